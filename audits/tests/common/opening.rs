//! The end of a played round: openings, and the result or the abort that follows.

use dawn_crypto::mask;
use dawn_crypto::params::N;
use dawn_crypto::seal::SealingSecretKey;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::Signed;
use dawn_protocol::digests::model_digest;
use dawn_protocol::package::open_package;
use dawn_protocol::phase::JudgeError;
use dawn_protocol::round_context::VerifiedSubmission;
use dawn_protocol::terminal::Terminal;
use dawn_protocol::{Culprit, GroupSums, Groups, Judged, RoundOpen};

use super::World;
use super::round::{PlayedRound, Script};

impl World {
    /// The stewards answer the verdict, and the aggregator ends the round.
    pub(super) fn finish_opening(
        &self,
        open: &RoundOpen,
        judged: &Judged,
        secrets: &[(u8, SealingSecretKey)],
        verified: &[Option<VerifiedSubmission>],
        script: &Script,
        played: &mut PlayedRound,
    ) {
        let groups = judged.round_challenged().groups();
        let count = groups.map_or(1, Groups::count);
        let group_of = |place| groups.and_then(|groups| groups.of(place)).unwrap_or(0);
        let mut masked = vec![vec![0; open.dimension().padded()]; count];
        for place in judged.verdict().accepted() {
            let words = mask::parse_payload(&played.submissions[place].payload).unwrap();
            mask::add_assign(&mut masked[group_of(place)], &words);
        }
        for point in &judged.verdict().openers {
            if script.silent_openers.contains(point) {
                continue;
            }
            let (_, secret) = secrets.iter().find(|(p, _)| p == point).unwrap();
            let seat = open.seat_index(*point).unwrap();
            let mut sums = GroupSums::zero(count);
            for place in judged.verdict().accepted() {
                let package = &played.submissions[place].packages[seat];
                let header = verified[place].as_ref().unwrap();
                let opened = open_package(open, header, package, secret, *point).unwrap();
                sums.group_mut(group_of(place))
                    .unwrap()
                    .add_assign(&opened.key);
            }
            if script.lying_openers.contains(point) {
                let mut bytes = vec![0; 4 * N];
                bytes[0] = 1;
                // About the last group alone, when there are groups.
                *sums.group_mut(count - 1).unwrap() = ShareSum::from_bytes(&bytes).unwrap();
            }
            let opening = if groups.is_some() {
                played.group_sums.push(sums.to_bytes());
                judged.group_opening(self.steward_id(*point), &sums)
            } else {
                judged.opening(self.steward_id(*point), sums.total())
            };
            played
                .openings
                .push(Signed::sign(&opening, self.steward_key(*point)).unwrap());
        }
        let given =
            |bytes: &Vec<u8>| GroupSums::from_bytes(bytes, count, Culprit::Aggregator).unwrap();
        let opened = if groups.is_some() {
            let given: Vec<_> = played.group_sums.iter().map(given).collect();
            judged.open_groups(&masked, &played.openings, &given)
        } else {
            judged.open(&masked[0], &played.openings)
        };
        match opened {
            Ok(opened) => {
                let next = opened.next_model(&played.model).unwrap();
                let result = opened.result(model_digest(&next.to_bytes()));
                played.terminal =
                    Terminal::Result(Signed::sign(&result, &self.aggregator).unwrap());
                played.next_model = next;
                if open.names_directions() {
                    played.next_direction = Some(played.model.clone());
                }
            }
            Err(JudgeError::Abort(reason)) => played.terminal = self.abort(open, reason),
            Err(JudgeError::Violation(violation)) => panic!("{violation}"),
        }
    }
}
