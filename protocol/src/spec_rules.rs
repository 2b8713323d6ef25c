//! Everything that a specification must follow from (`docs/protocol.md`, section 4.1).

use dawn_identity::Signed;

use crate::PROTOCOL_VERSION;
use crate::context::TaskContext;
use crate::digests;
use crate::round_context::{RoundContext, Seat};
use crate::spec::{RoundSpec, SealingKey};
use crate::violation::{Culprit, Rule, Violation};

impl TaskContext {
    /// Verifies the specification of a round: the aggregator signed it, and everything in it
    /// follows from the task and the sealing keys. The round is under the key that signed it, which is one that the aggregator
    /// has or has had: whether it was the one as of the register that is named, [`RoundContext::verify_register`] asks.
    ///
    /// The chain of models is another question ([`RoundContext::verify_previous`]), and so is
    /// whether the stewards stand behind it ([`RoundContext::verify_endorsements`]).
    ///
    /// # Errors
    /// A [`Violation`] by the aggregator.
    pub fn verify_spec(&self, spec: &Signed<RoundSpec>) -> Result<RoundContext, Violation> {
        let spec = self.verify_aggregator_ever(spec)?;
        let key = self.verified_with().aggregator_with(&spec.signer());
        let round = self.under_key(*key.unwrap_or(self.aggregator()));
        let rule =
            |holds, rule, detail| Violation::unless(holds, Culprit::Aggregator, rule, detail);
        rule(
            spec.version == PROTOCOL_VERSION,
            Rule::Version,
            "the specification is of another protocol version",
        )?;
        rule(
            spec.round.task == self.id() && (1..=self.task().rounds).contains(&spec.round.number),
            Rule::Round,
            "the task has no such round",
        )?;
        rule(
            spec.federation == self.federation().digest(),
            Rule::SpecBinding,
            "the specification names another federation",
        )?;
        rule(
            spec.roster == self.roster().digest(),
            Rule::SpecBinding,
            "the specification names another roster",
        )?;
        rule(
            spec.dimension == self.dimension_u32(),
            Rule::SpecBinding,
            "the dimension is not the model's",
        )?;
        rule(
            spec.charge_micro_rho == self.charge_micro_rho(),
            Rule::SpecBinding,
            "the charge is not what the round costs",
        )?;
        rule(
            spec.direction.is_none() || self.names_directions(),
            Rule::SpecBinding,
            "the specification names a direction that the task does not ask for",
        )?;
        rule(
            spec.draw.is_some() == self.task().options.selection.is_some(),
            Rule::SpecBinding,
            "a specification names what devices are drawn from exactly when the task selects them",
        )?;
        let seats = self.verify_seats(&spec)?;
        rule(
            spec.matrix_seed == digests::matrix_seed(&spec.round, &spec.sealing_keys),
            Rule::MatrixSeed,
            "the matrix seed does not follow from the sealing keys",
        )?;
        Ok(RoundContext::new(round, spec, seats))
    }

    fn verify_seats(&self, spec: &RoundSpec) -> Result<Vec<Seat>, Violation> {
        let aggregator =
            |detail: String| Violation::new(Culprit::Aggregator, Rule::SealingKeys, detail);
        let m = usize::from(self.threshold().m());
        if spec.sealing_keys.len() != m {
            return Err(aggregator(format!(
                "{} places for {m} stewards",
                spec.sealing_keys.len()
            )));
        }
        let mut seats = Vec::with_capacity(m);
        for (point, key) in (1u8..).zip(&spec.sealing_keys) {
            let Some(key) = key else { continue };
            // A key that does not verify was put there by the aggregator, whoever made it.
            let found = self
                .verify_sealing_key(&spec.round, key)
                .map_err(|e| aggregator(format!("the key at point {point}: {}", e.detail)))?;
            if found != point {
                return Err(aggregator(format!(
                    "the key of the steward at point {found} is at point {point}"
                )));
            }
            let SealingKey { steward, key, .. } = key.peek().clone();
            seats.push(Seat {
                point,
                steward,
                key,
            });
        }
        let least = usize::from(self.threshold().a());
        if seats.len() < least {
            return Err(aggregator(format!(
                "{} sealing keys, at least {least} are needed",
                seats.len()
            )));
        }
        Ok(seats)
    }
}
