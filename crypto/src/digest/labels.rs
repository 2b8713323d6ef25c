//! The one table of labels. Every hash and stream of every crate takes its context from here;
//! `docs/crypto-table.md` says what goes into each.

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = concat!("dawn v1 ", $text);)*

        /// Every label with its name, for documentation and for the test that none is used twice.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $name)),*];
    };
}

labels! {
    // Identifiers.
    /// Identifier of an Ed25519 key.
    KEY_ID = "key identifier";
    /// Identifier of an organisation, from its root key.
    ORG_ID = "organisation identifier";
    /// Identifier of a device, from its organisation and key.
    DEVICE_ID = "device identifier";
    /// Identifier of a steward, from its organisation and key.
    STEWARD_ID = "steward identifier";
    /// Identifier of a task, from its signed statement.
    TASK_ID = "task identifier";
    /// Session identifier: digest of a RoundSpec's body.
    SESSION = "session identifier";

    // Statements and documents.
    /// Digest of what a statement says: its kind and body, without the signature.
    STATEMENT = "statement digest";
    /// Digest of the founding document, which pins a federation.
    FEDERATION = "federation digest";
    /// What a founder signs.
    FEDERATION_SIGNATURE = "federation signature";
    /// Digest of a roster's body.
    ROSTER = "roster digest";
    /// What an organisation signs to accept a roster.
    ROSTER_SIGNATURE = "roster signature";
    /// What a steward signs to show that it holds the key that its organisation enrols.
    STEWARD_PROOF = "steward proof of possession";
    /// What a new root key signs to show that its holder takes over an organisation.
    ROOT_PROOF = "root key proof of possession";
    /// Digest of a change of the server's keys.
    SERVER_KEY = "server key change digest";
    /// What a founder signs to let another key of the server take over.
    SERVER_KEY_SIGNATURE = "server key change signature";
    /// What a new key of the server signs to show that its holder takes over.
    SERVER_KEY_PROOF = "server key proof of possession";
    /// Head of a federation's register after an entry.
    REGISTER = "register head";
    /// External associated data of an envelope.
    ENVELOPE_AAD = "envelope associated data";
    /// Digest of a whole envelope, signature included.
    ENVELOPE = "envelope digest";

    // Kept by one party, never sent.
    /// What a steward was asked, so that it answers one question once.
    STEWARD_REQUEST = "steward request";
    /// Authenticates the nonces that an aggregator gave away.
    REQUEST_NONCE = "request nonce";
    /// Seeds of a simulated federation.
    SIMULATION = "simulation seed";

    // Submissions.
    /// Digest of a payload's bytes.
    PAYLOAD = "payload digest";
    /// Digest of a sealed package's bytes.
    PACKAGE = "package digest";
    /// Commitment to a steward's key share.
    KEY_COMMIT = "key share commitment";
    /// Mask of a steward's value in the proof that the shares are consistent, from its blind.
    SHARE_MASK = "key share mask";
    /// Challenge of the proof that the shares are consistent.
    SHARE_CHALLENGE = "key share consistency challenge";
    /// Seed of the projections of the norm proof.
    PROJECTION_SEED = "projection seed";
    /// Commitment to a steward's share of the digits of the projections.
    DIGIT_COMMIT = "digit share commitment";
    /// Seed of the joint randomness of the norm proof.
    JOINT_SEED = "norm proof joint seed";
    /// Joint randomness of one repetition of the norm proof.
    JOINT_RANDOMNESS = "norm proof joint randomness";
    /// Commitment to a steward's share of the norm proof.
    PROOF_COMMIT = "norm proof share commitment";
    /// What stewards' beacon shares are about.
    BEACON_INPUT = "beacon input";
    /// The beacon of a closed round.
    BEACON = "beacon";
    /// Digest of a steward's answers about all submissions.
    ANSWERS = "answers digest";
    /// Digest of the public scalars of all submissions.
    SCALARS = "scalars digest";
    /// What the beacon asks of one submission.
    NORM_CHALLENGE = "norm proof challenge";
    /// Order in which the groups of a round are filled.
    GROUP_ORDER = "group order";
    /// Digest of a steward's sums over the groups of a round.
    GROUP_SUMS = "group sums digest";
    /// HPKE `info` of a package.
    SEAL_INFO = "package seal info";
    /// HPKE associated data of a package.
    PACKAGE_AAD = "package associated data";

    // Noise of stewards.
    /// Identifier of a candidate of a steward's noise.
    NOISE_SUBMITTER = "noise candidate identifier";
    /// Which candidate of a steward the beacon picks.
    NOISE_CHOICE = "noise candidate choice";
    /// Seed of the stream of a candidate's mask key.
    NOISE_KEY = "noise candidate mask key";
    /// Seed of the stream of a candidate's noise.
    NOISE_ERROR = "noise candidate error";
    /// Seed of a candidate, from the secret that a steward keeps.
    NOISE_SEED = "noise candidate seed";
    /// Seed of everything else that is random about a candidate.
    NOISE_SHARES = "noise candidate shares";

    // Devices and their selection.
    /// What the devices of a task's first rounds are drawn from.
    SELECTION_START = "selection start";
    /// What a device's VRF is asked about a round.
    SELECTION_INPUT = "selection input";
    /// Seed of a device's VRF key.
    DEVICE_VRF = "device vrf key";
    /// Digest of a device's attestation.
    ATTESTATION = "attestation digest";

    // Streams.
    /// Seed of a round's public matrix.
    MATRIX_SEED = "matrix seed";
    /// Key of one block of the public matrix.
    MATRIX_BLOCK = "matrix block key";
    /// Key of one block of the norm proof's projection matrix.
    PROJECTION_BLOCK = "projection block key";
    /// Stream of a key share that is given by a seed.
    SHARE_SEED = "key share expansion";
    /// Stream of a share of the digits that is given by a seed.
    DIGIT_SHARE_SEED = "digit share expansion";
    /// Stream of a share of the norm proof that is given by a seed.
    PROOF_SHARE_SEED = "norm proof share expansion";

    // Results and policy.
    /// Digest of a transcript.
    TRANSCRIPT = "transcript digest";
    /// Digest of a round's opened sum.
    SUM = "opened sum digest";
    /// Digest of a model's bytes.
    MODEL = "model digest";
    /// Order in which an organisation's submissions are trimmed to its cap.
    ORG_TRIM = "organisation trimming order";
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::collections::BTreeSet;

    #[test]
    fn no_label_is_used_twice_and_all_are_versioned() {
        let texts: BTreeSet<_> = ALL.iter().map(|(_, text)| text).collect();
        assert_eq!(texts.len(), ALL.len());
        assert!(ALL.iter().all(|(_, text)| text.starts_with("dawn v1 ")));
    }
    /// The table that people read has every label, its text, and no label that does not exist.
    #[test]
    fn documented_labels_are_the_ones_in_use() {
        let table = include_str!("../../../docs/crypto-table.md");
        for (name, label) in ALL {
            let row = format!("| `{name}` | `{label}` |");
            assert!(
                table.contains(&row),
                "docs/crypto-table.md has no row {row}"
            );
        }
        let documented = table.matches("` | `dawn v1 ").count();
        assert_eq!(documented, ALL.len());
    }
}
