//! Recognising this steward's own statements among those of others.

use dawn_identity::{Envelope, PublicKey, Signed};
use dawn_protocol::{BeaconShare, Endorsement, Opening, PackageReport, RoundId, SealingKey};

use crate::records::AnswerKind;

/// The round and kind of a statement that verifies under this key; `None` for every other one.
pub(crate) fn own_statement(envelope: &Envelope, key: &PublicKey) -> Option<(RoundId, AnswerKind)> {
    if envelope.signer() != key.id() {
        return None;
    }
    let kind = AnswerKind::from_name(envelope.kind())?;
    envelope.verify(key).ok()?;
    let envelope = envelope.clone();
    let round = match kind {
        AnswerKind::SealingKey => {
            Signed::<SealingKey>::from_envelope(envelope)
                .ok()?
                .peek()
                .round
        }
        AnswerKind::Endorsement => {
            Signed::<Endorsement>::from_envelope(envelope)
                .ok()?
                .peek()
                .round
        }
        AnswerKind::BeaconShare => {
            Signed::<BeaconShare>::from_envelope(envelope)
                .ok()?
                .peek()
                .round
        }
        AnswerKind::Report => {
            Signed::<PackageReport>::from_envelope(envelope)
                .ok()?
                .peek()
                .round
        }
        // Not a statement: the log has none.
        AnswerKind::Noise => return None,
        AnswerKind::Opening => {
            Signed::<Opening>::from_envelope(envelope)
                .ok()?
                .peek()
                .round
        }
    };
    Some((round, kind))
}
