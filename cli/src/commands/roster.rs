//! `dawn roster`: the stewards of an epoch, signed by the member organisations.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Subcommand;
use dawn_crypto::shamir::Threshold;
use dawn_identity::{
    Digest, Member, OrgId, Register, Roster, RosterEntry, Signed, SignedRoster, StewardEnrolment,
};
use dawn_sim::demo::tolerated;
use dawn_transport::Api;
use serde_json::json;

use crate::{files, output};

#[derive(Subcommand)]
pub enum Command {
    /// Signs a roster of the newest enrolled stewards of these organisations, and posts it.
    Sign {
        #[arg(long)]
        server: String,
        /// Folder of an organisation whose steward is listed and which signs; once per organisation.
        #[arg(long = "org", required = true)]
        orgs: Vec<PathBuf>,
        /// The next one when absent.
        #[arg(long)]
        epoch: Option<u64>,
        /// How many stewards may be malicious. Default: the most that still lets one be away.
        #[arg(long)]
        malicious: Option<u8>,
        #[arg(long)]
        json: bool,
    },
    /// Shows the roster of an epoch.
    Show {
        #[arg(long)]
        server: String,
        /// The newest one when absent.
        #[arg(long)]
        epoch: Option<u64>,
        #[arg(long)]
        json: bool,
    },
}

pub async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Sign {
            server,
            orgs,
            epoch,
            malicious,
            json,
        } => {
            let organisations = files::load_organisations(&orgs)?;
            let api = Api::new(&server)?;
            let federation = api.federation().await?.verify()?;
            let mut register = Register::new(&federation);
            api.extend_register(&mut register, None).await?;
            let mut members = Vec::new();
            for organisation in &organisations {
                let member = register.members().get(&organisation.id());
                members.push(
                    member.with_context(|| format!("{} is not a member", organisation.name()))?,
                );
            }
            let enrolled = enrolled(&api, &federation.digest(), &members).await?;
            let mut stewards = Vec::new();
            for organisation in &organisations {
                let org = organisation.id();
                let enrolment = enrolled.get(&org).with_context(|| {
                    format!(
                        "{} has enrolled no steward: run `dawn steward enrol` first",
                        organisation.name()
                    )
                })?;
                let (steward, vrf) = (enrolment.peek().steward, enrolment.peek().vrf.clone());
                stewards.push(RosterEntry { org, steward, vrf });
            }
            let count =
                u8::try_from(stewards.len()).context("more stewards than a roster holds")?;
            let next = register.members().rosters().len() as u64 + 1;
            let epoch = epoch.unwrap_or(next);
            let roster = Roster {
                federation: federation.digest(),
                epoch,
                threshold: Threshold::new(count, malicious.unwrap_or_else(|| tolerated(count)))?,
                stewards,
                created: files::now(),
            };
            let signatures = organisations
                .iter()
                .map(|o| roster.sign_for(o.id(), o.root()))
                .collect();
            let signed = SignedRoster::assemble(roster, signatures)?;
            let posting = organisations[0].post_roster(&signed, files::now())?;
            api.post_roster(&posting, organisations[0].root()).await?;
            output::report(json, &describe(&signed), |v| format!("{v:#}"))
        }
        Command::Show {
            server,
            epoch,
            json,
        } => {
            let roster = of_epoch(&Api::new(&server)?, epoch).await?;
            output::report(json, &describe(&roster), |v| format!("{v:#}"))
        }
    }
}

/// The roster of an epoch, or the newest.
pub(super) async fn of_epoch(api: &Api, epoch: Option<u64>) -> Result<SignedRoster> {
    match epoch {
        Some(epoch) => Ok(api.roster(epoch).await?),
        None => newest(api).await?.context("no roster is stored there"),
    }
}

/// The newest roster of a server, if it has any. Epochs have no gaps.
async fn newest(api: &Api) -> Result<Option<SignedRoster>> {
    let mut newest = None;
    for epoch in 1.. {
        match api.roster(epoch).await {
            Ok(roster) => newest = Some(roster),
            Err(error) if error.status() == Some(404) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(newest)
}

fn describe(signed: &SignedRoster) -> serde_json::Value {
    let roster = signed.peek();
    let threshold = &roster.threshold;
    json!({
        "roster": roster.digest(),
        "epoch": roster.epoch,
        "m": threshold.m(), "f": threshold.f(), "T": threshold.t(), "A": threshold.a(),
        "stewards": roster.stewards.iter().map(|s| json!({"org": s.org, "steward": s.id()})).collect::<Vec<_>>(),
        "signed_by": signed.signatures().iter().map(|s| s.org).collect::<Vec<_>>(),
    })
}

/// Entries of the log that are asked for at a time.
const PAGE: u32 = 256;

/// The stewards that these organisations enrolled last and have not revoked. They are looked up in the log, and count only when
/// its current root key signed the enrolment: an aggregator that could name them would have its own stewards signed
/// here.
async fn enrolled(
    api: &Api,
    federation: &Digest,
    members: &[&Member],
) -> Result<BTreeMap<OrgId, Signed<StewardEnrolment>>> {
    let mut newest = BTreeMap::new();
    let mut from = 0;
    loop {
        let entries = api.log_entries(from, PAGE).await?;
        if entries.is_empty() {
            return Ok(newest);
        }
        from += entries.len() as u64;
        for entry in &entries {
            note(&entry.envelope, federation, members, &mut newest);
        }
    }
}

/// Keeps an enrolment that counts and is not older than the one before.
fn note(
    envelope: &[u8],
    federation: &Digest,
    members: &[&Member],
    newest: &mut BTreeMap<OrgId, Signed<StewardEnrolment>>,
) {
    let Ok(signed) = Signed::<StewardEnrolment>::from_bytes(envelope) else {
        return;
    };
    let (org, created) = (signed.peek().org, signed.peek().created);
    let Some(member) = members.iter().find(|member| member.org() == org) else {
        return;
    };
    let older = newest
        .get(&org)
        .is_some_and(|known| known.peek().created > created);
    // Whoever has a root key that was replaced enrols nobody.
    let verified = signed.verify_enrolment(&org, member.root(), federation);
    let counts = member.check_steward(&signed.peek().id()).is_ok();
    if !older && counts && verified.is_ok() {
        newest.insert(org, signed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dawn_crypto::vrf::VrfSecretKey;
    use dawn_identity::{
        Admission, Federation, FoundingDocument, Members, Organisation, SecretKey, Validity,
    };
    use rand_core::UnwrapErr;

    /// A federation of this organisation alone.
    fn member_of(org: &Organisation) -> Members {
        let key = SecretKey::from_seed(&[5; 32]).public();
        let federation = Federation {
            name: "alone".to_owned(),
            founders: vec![org.founder_entry()],
            aggregator: key,
            log: key,
            admission: Admission::Open,
            roster_quorum: 1,
            created: 0,
        };
        let document = FoundingDocument::found(federation, &[org]).expect("founded");
        Members::founders_of(&document.verify().expect("verifies"))
    }

    #[test]
    fn only_stewards_that_the_organisation_enrolled_count() {
        let rng = &mut UnwrapErr(getrandom::SysRng);
        let validity = Validity::starting(0, 1 << 40);
        let mut organisation =
            |name: &str| Organisation::generate(name, validity, rng).expect("an organisation");
        let (ours, theirs) = (organisation("ours"), organisation("theirs"));
        let key = || SecretKey::generate(&mut UnwrapErr(getrandom::SysRng));
        let (old, new, foreign, forged) = (key(), key(), key(), key());
        let (here, elsewhere) = (Digest([1; 32]), Digest([2; 32]));
        let enrol = |org: &Organisation, digest, key, at| {
            let vrf = VrfSecretKey::from_seed(&[7; 32]);
            org.enrol_steward(digest, key, vrf.public(), at)
                .expect("an enrolment")
        };
        // What the aggregator would write in our name, and can sign only itself.
        let mut claimed = enrol(&ours, &here, &forged, 9).peek().clone();
        claimed.created = 10;
        let claimed = Signed::sign(&claimed, theirs.root()).expect("signs");
        let log = [
            enrol(&ours, &here, &old, 5),
            enrol(&ours, &here, &new, 6),
            enrol(&ours, &here, &old, 4),
            enrol(&ours, &elsewhere, &foreign, 7),
            enrol(&theirs, &here, &foreign, 8),
            claimed,
        ];
        let members = member_of(&ours);
        let members = [members.get(&ours.id()).expect("a founder")];
        let mut newest = BTreeMap::new();
        for entry in &log {
            note(entry.bytes(), &here, &members, &mut newest);
        }
        note(b"nonsense", &here, &members, &mut newest);
        assert_eq!(newest.len(), 1);
        assert_eq!(newest[&ours.id()].peek().steward, new.public());
    }
}
