//! The bodies of all statements, below the signature: whoever signs may say anything.

use std::fmt::Debug;

use dawn_audits::AuditStatement;
use dawn_crypto::digest::Digest;
use dawn_crypto::params::Q;
use dawn_crypto::shamir::ShareSum;
use dawn_identity::signed::statement_digest;
use dawn_identity::{
    DeviceCredential, FederationEvent, IssuerCertificate, OrgApproval, OrgEvent, OrgRegistration,
    RosterPosting, Signed, Statement, StewardEnrolment, TaskId, to_canonical,
};
use dawn_protocol::{
    Aborted, BeaconShare, Challenge, Closed, Endorsement, LogHead, MAX_STATEMENT_BYTES, Opening,
    PackageReport, Receipt, RoundResult, RoundSpec, SealingKey, SubmissionHeader, Task, Verdict,
};

use super::canonical::canonical;
use super::{Target, choose, envelopes};
use crate::world;

/// A kind, what reads its bodies, and what reads its envelopes.
pub type Kind = (&'static str, Target, Target);

macro_rules! kinds {
    ($($type:ty, $further:expr;)*) => {
        /// Every kind of statement; the place is the byte that chooses it.
        pub const KINDS: &[Kind] = &[
            $((
                <$type>::KIND,
                |body| accepted::<$type>(body, $further),
                envelopes::signed::<$type>,
            ),)*
        ];
    };
}

kinds! {
    Task, task;
    SealingKey, |_, _| ();
    RoundSpec, round_spec;
    Endorsement, |_, _| ();
    SubmissionHeader, header;
    Receipt, |_, _| ();
    Closed, |_, _| ();
    BeaconShare, |_, _| ();
    Challenge, |_, _| ();
    PackageReport, |_, _| ();
    Verdict, |verdict, _| assert!(verdict.accepted_count() as usize <= verdict.decisions.len());
    Opening, |opening, _| {
        let bytes = opening.share_sum.to_bytes();
        assert_eq!(ShareSum::from_bytes(&bytes).as_ref(), Ok(&opening.share_sum));
    };
    RoundResult, |_, _| ();
    Aborted, |_, _| ();
    LogHead, |_, _| ();
    IssuerCertificate, |_, _| ();
    DeviceCredential, |_, _| ();
    OrgRegistration, |_, _| ();
    StewardEnrolment, |_, _| ();
    OrgEvent, |_, _| ();
    OrgApproval, |_, _| ();
    RosterPosting, |_, _| ();
    FederationEvent, |_, _| ();
    AuditStatement, audit_report;
}

/// The first byte chooses the kind.
pub fn statements(data: &[u8]) -> bool {
    choose(KINDS, data).is_some_and(|((_, body, _), bytes)| body(bytes))
}

fn accepted<T>(body: &[u8], further: fn(&T, &[u8])) -> bool
where
    T: Statement + PartialEq + Debug,
{
    const { assert!(Signed::<T>::MAX_BYTES <= MAX_STATEMENT_BYTES) };
    let Some(statement) = canonical::<T>(body, T::MAX_BYTES) else {
        return false;
    };
    let key = world::key();
    // What breaks a rule cannot be signed, and what can be signed is read as it was.
    let checked = statement.check();
    let signed = Signed::sign(&statement, key);
    assert_eq!(checked.is_ok(), signed.is_ok());
    let Ok(signed) = signed else {
        return false;
    };
    assert_eq!(signed.body(), body);
    assert_eq!(signed.peek(), &statement);
    assert_eq!(signed.body_digest(), statement_digest(&statement));
    assert_eq!(
        Signed::<T>::from_bytes(signed.bytes()).as_ref(),
        Ok(&signed)
    );
    assert!(signed.verify(&key.public()).is_ok());
    further(&statement, body);
    true
}

/// What an accepted task says can be computed with, and no sum of it wraps.
fn task(task: &Task, body: &[u8]) {
    assert_eq!(task.id(), TaskId::of(body));
    let dimension = task.dimension().expect("an accepted task has a dimension");
    let way = task.round_way(1).expect("an accepted task's way fits it");
    let evaluation = task.options.evaluation.map_or(0, |_| 3);
    assert_eq!(dimension.coordinates(), way.dimension() + evaluation);
    assert!(way.dimension() + way.head_len() <= task.model.parameters());
    let charge = task
        .charge_micro_rho()
        .expect("an accepted task has a charge");
    assert!(charge.checked_mul(task.rounds.into()).is_some());
    let params = task
        .proof_params()
        .expect("an accepted task has a norm proof");
    let noise = params.noise.map_or(0, |noise| noise.max_norm());
    let largest = u64::from(task.policy.max_submissions) * params.device.max_norm() + 16 * noise;
    assert!(largest < u64::from(Q) / 4);
}

fn round_spec(spec: &RoundSpec, _: &[u8]) {
    assert!(spec.seated_count() <= spec.sealing_keys.len());
    assert!(spec.seated().is_sorted());
    assert_eq!(spec.session(), spec.clone().session());
}

/// A finding that was accepted names a rule that there is, and somebody in words.
fn audit_report(report: &AuditStatement, _: &[u8]) {
    assert_eq!(report.passed(), report.finding.is_none());
    if let Some(finding) = &report.finding {
        assert!(finding.rule().is_some());
        let words = finding.culprit();
        assert!(words != "nobody");
        let named = |id: &Digest| words.ends_with(&id.to_string());
        assert!(finding.culprit.as_ref().is_none_or(named));
    }
}

/// The pre-header is the header without its last field.
fn header(header: &SubmissionHeader, body: &[u8]) {
    let pre = header.pre_header();
    assert_eq!((pre[0], body[0]), (0x88, 0x89));
    assert_eq!(pre[1..], body[1..pre.len()]);
    let packages = to_canonical(&header.packages);
    assert_eq!(body[pre.len()..], packages);
    assert!(pre[1..].starts_with(&header.consistency_context()[1..]));
    assert!(pre[1..].starts_with(&header.norm_context()[1..]));
}
