//! What a connected steward fetches so that it can verify: tasks, the register, models, proofs of draws.

use dawn_identity::TaskId;
use dawn_protocol::{DrawProof, RoundContext, Terminal};

use crate::run::RunError;
use crate::session::{Session, decide};

impl Session {
    /// Fetches the models that the round's functional follows from, where it does.
    pub(crate) async fn learn_models(&self, context: &RoundContext) -> Result<(), RunError> {
        let Some([from, to]) = context.wanted_models() else {
            return Ok(());
        };
        let most = context.model_bytes();
        let from = self.api.model(&from, most).await?;
        let to = self.api.model(&to, most).await?;
        let context = context.clone();
        decide(&self.state, move |_, _| {
            context.learn_models(&from, &to)?;
            Ok(())
        })
        .await
    }

    /// Fetches the proof of what the last result leaves to draw devices from, where this steward does not know it. What the
    /// log does not show is not learnt: then the state refuses.
    pub(crate) async fn prove_draw(&self, history: &[Terminal]) -> Result<(), RunError> {
        let Some((round, session)) = self.state.wants_draw(history)? else {
            return Ok(());
        };
        let entries = self.api.statements(&round).await?;
        decide(&self.state, move |state, _| {
            let envelopes = entries.iter().map(|entry| entry.envelope.as_slice());
            match DrawProof::find(&session, envelopes) {
                Some(proof) => state.learn_draw(&proof),
                None => Ok(()),
            }
        })
        .await
    }

    /// Makes sure that the state has verified a task.
    pub(crate) async fn know(&self, task: &TaskId) -> Result<(), RunError> {
        if self.state.knows_task(task) {
            return Ok(());
        }
        let signed = self.api.task(task).await?;
        self.refresh_register().await?;
        let id = *task;
        decide(&self.state, move |state, _| {
            let context = state.learn_task(&signed)?;
            tracing::info!(task = %context.id(), name = %context.task().name, "verified a task");
            // Another task under this name is learnt as what it is, and this one stays unknown.
            state.task(&id).map(|_| ())
        })
        .await
    }

    /// Fetches what the register has more than this steward, and remembers changes of the server's keys.
    pub(crate) async fn refresh_register(&self) -> Result<(), RunError> {
        loop {
            let after = self.state.register_entries();
            let entries = self.api.register_entries(after).await?;
            if entries.is_empty() {
                return decide(&self.state, |state, rng| state.keep_server_keys(rng)).await;
            }
            decide(&self.state, move |state, _| {
                state.learn_register(after, &entries)
            })
            .await?;
        }
    }
}
