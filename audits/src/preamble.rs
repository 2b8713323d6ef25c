//! What a transcript begins with: federation, members, roster, task, what was before (A02 to A04).

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use dawn_crypto::digest::Digest;
use dawn_identity::{Entry, Members, OrgId, Register, Signed, VerifiedFederation};
use dawn_learn::Model;
use dawn_protocol::digests::model_digest;
use dawn_protocol::{Rule, Start, Task, TaskContext, Terminal};

use crate::finding::{Finding, Party};
use crate::records::{Records, Stop, take, take_if};
use crate::rule::AuditRule;
use crate::said::Said;

/// The verified beginning of a transcript.
pub(crate) struct Preamble {
    pub(crate) context: TaskContext,
    /// The register as far as the file has it.
    pub(crate) register: Register,
    /// How the round before ended; signed by the aggregator.
    pub(crate) previous: Option<Terminal>,
    pub(crate) model: Model,
    pub(crate) model_digest: Digest,
    names: Names,
    /// The model that the last accepted update went from, canonical bytes.
    pub(crate) direction: Option<Vec<u8>>,
}

impl Preamble {
    /// The name of an organisation, for people.
    pub(crate) fn name(&self, org: &OrgId) -> String {
        self.names.given.get(org).cloned().unwrap_or_default()
    }

    /// What the round starts from, as the end of the round before has it.
    pub(crate) fn start(&self) -> Start {
        Start {
            model: self.model_digest,
            direction: (self.previous.as_ref()).and_then(|end| end.next_start().direction),
            draw: match &self.previous {
                Some(end) => end.next_start().draw,
                None => self.context.initial_draw(),
            },
        }
    }
}

/// The names of organisations: of founders in the founding document, of others in the registration that they came in with.
struct Names {
    given: BTreeMap<OrgId, String>,
    founders: BTreeSet<OrgId>,
}

impl Names {
    fn of(federation: &VerifiedFederation) -> Self {
        let founders = federation.founders.iter();
        let given: BTreeMap<_, _> = founders
            .map(|founder| (OrgId::of(&founder.root), founder.name.clone()))
            .collect();
        Self {
            founders: given.keys().copied().collect(),
            given,
        }
    }

    /// Notes the next entry of the register. An approval that ended with its founder's key may have brought another registration
    /// than those that let the organisation in: the last one counts.
    fn note(&mut self, entry: &Entry) {
        let registration = match entry {
            Entry::Registration(registration) => registration,
            Entry::Approval(_, registration) => registration,
            Entry::Event(_) | Entry::Roster(..) | Entry::ServerKey(_) => return,
        };
        let org = registration.org();
        if !self.founders.contains(&org) {
            self.given.insert(org, registration.name.clone());
        }
    }
}

/// Reads and verifies everything before the specification. `pin` is the federation's digest; none
/// trusts the document in the transcript.
pub(crate) fn read<R: Read>(
    records: &mut Records<R>,
    pin: Option<&Digest>,
    said: &mut Said,
) -> Result<Preamble, Stop> {
    let document = take!(records, Founding);
    let federation = match pin {
        Some(pin) => document.verify_pinned(pin),
        None => document.verify(),
    };
    let federation = federation.map_err(|e| provider(AuditRule::Federation, e))?;
    let mut names = Names::of(&federation);
    let register = register(records, &federation, &mut names, said)?;
    let members = register.members();
    // Whose keys count for it was decided at its place in the register.
    let roster = take!(records, Roster);
    let digest = roster.peek().digest();
    let known = members.roster(&digest);
    Finding::unless(
        known.is_some_and(|known| *known.signed() == *roster),
        AuditRule::Roster,
        Party::Provider,
        "the roster in the file is not one of the register in the file",
    )?;
    let task = take!(records, Task);
    said.note_task(&task);
    check_task_signature(&task, members)?;
    let context = TaskContext::verify(&federation, members, &task)
        .and_then(|context| context.under_roster(members, &digest))
        .map_err(|violation| match violation.rule {
            // The owner signed for other documents than these: whoever put them together erred.
            Rule::TaskBinding | Rule::Roster => provider(AuditRule::Task, violation),
            _ => Finding::of(AuditRule::Task, violation),
        })?;
    let set = take_if!(records, PublicSet);
    match (context.wanted_public_set(), set) {
        (None, None) => {}
        (_, Some(bytes)) => context
            .learn_public_set(&bytes)
            .map_err(|e| provider(AuditRule::Task, e))?,
        (Some(_), None) => {
            let detail = "the task distils, and its public set is missing";
            return Err(provider(AuditRule::Task, detail).into());
        }
    }
    let previous = take_if!(records, Previous).map(|terminal| *terminal);
    if let Some(terminal) = &previous {
        context
            .verify_terminal(terminal)
            .map_err(|e| provider(AuditRule::Continuity, e))?;
        said.note_terminal(terminal);
    }
    let bytes = take!(records, Model);
    let model = Model::from_bytes(&bytes).map_err(|e| provider(AuditRule::Model, e))?;
    Finding::unless(
        model.spec() == context.task().model,
        AuditRule::Model,
        Party::Provider,
        "the model is not of the task's shape",
    )?;
    let direction = take_if!(records, Direction);
    Ok(Preamble {
        direction,
        names,
        register,
        context,
        previous,
        model,
        model_digest: model_digest(&bytes),
    })
}

fn register<R: Read>(
    records: &mut Records<R>,
    federation: &VerifiedFederation,
    names: &mut Names,
    said: &mut Said,
) -> Result<Register, Stop> {
    let mut register = Register::new(federation);
    while let Some(bytes) = take_if!(records, Register) {
        let entry = register
            .push(&bytes)
            .map_err(|e| provider(AuditRule::Roster, e))?;
        names.note(entry);
        said.note_entry(entry);
    }
    Ok(register)
}

/// The owner's word, before the owner is blamed for anything in it.
fn check_task_signature(task: &Signed<Task>, members: &Members) -> Result<(), Finding> {
    let body = task.peek();
    let member = members
        .get(&body.owner)
        .ok_or_else(|| provider(AuditRule::Task, "the task's owner is not a member"))?;
    let issuer = member
        .roots()
        .find_map(|root| body.issuer.verify(root).ok())
        .ok_or_else(|| provider(AuditRule::Task, "the task's issuer is not of its owner"))?;
    task.verify(&issuer.key)
        .map_err(|e| provider(AuditRule::Task, e))?;
    Ok(())
}

fn provider(rule: AuditRule, detail: impl std::fmt::Display) -> Finding {
    Finding::new(rule, Party::Provider, detail)
}

#[cfg(test)]
mod tests {
    use dawn_identity::{
        Admission, Federation, FoundingDocument, Organisation, SecretKey, Validity,
    };
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const NOW: u64 = 1_800_000_000;

    /// One founder approves a newcomer under one name, and takes that back with its key; others let it in under another.
    #[test]
    fn an_organisation_has_the_name_that_it_came_in_with() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let validity = Validity::starting(NOW, 1000);
        let mut generate =
            |name: &str| Organisation::generate(name, validity, &mut rng).expect("valid");
        let founders = ["Alpha", "Beta", "Gamma"].map(&mut generate);
        let again = generate("Acme");
        let copy = |key: &SecretKey| SecretKey::from_seed(&key.to_seed());
        let first = Organisation::from_parts(
            "Red Cross",
            copy(again.root()),
            copy(again.issuer()),
            again.certificate().clone(),
        );
        let first = first.expect("valid");
        let body = Federation {
            name: "Federation".into(),
            founders: founders.iter().map(Organisation::founder_entry).collect(),
            aggregator: SecretKey::from_seed(&[1; 32]).public(),
            log: SecretKey::from_seed(&[2; 32]).public(),
            admission: Admission::Approval { k: 2 },
            roster_quorum: 2,
            created: NOW,
        };
        let all: Vec<_> = founders.iter().collect();
        let document = FoundingDocument::found(body, &all).expect("valid");
        let federation = document.verify().expect("valid");
        let (digest, [alpha, beta, gamma]) = (federation.digest(), &founders);
        let registration = beta.register(&digest, NOW).expect("valid");
        let last = (0, registration.body_digest());
        let rotation = beta.rotation(&digest, &SecretKey::from_seed(&[3; 32]));
        let [early, late] = [&first, &again].map(|org| org.register(&digest, NOW).expect("valid"));
        let entries = [
            registration.bytes().to_vec(),
            beta.approve(&early, NOW).expect("valid").bytes().to_vec(),
            (beta
                .event(&digest, last, rotation, NOW)
                .expect("valid")
                .bytes())
            .to_vec(),
            alpha.approve(&late, NOW).expect("valid").bytes().to_vec(),
            gamma.approve(&late, NOW).expect("valid").bytes().to_vec(),
        ];
        let (mut register, mut names) = (Register::new(&federation), Names::of(&federation));
        for entry in &entries {
            names.note(register.push(entry).expect("valid"));
        }
        assert!(register.members().get(&again.id()).is_some());
        assert_eq!(names.given[&again.id()], "Acme");
        assert_eq!(names.given[&beta.id()], "Beta");
    }
}
