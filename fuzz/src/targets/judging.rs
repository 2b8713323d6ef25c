//! Which submissions count, against the definition of `docs/protocol.md`, section 4.6, tried out set by set; and the
//! sum of a round with lying stewards, section 4.7.

use arbitrary::{Result, Unstructured};
use dawn_crypto::digest::{Digest, hash, labels};
use dawn_crypto::mask::{MaskKey, PublicMatrix, add_assign, mask};
use dawn_crypto::norm::NormSeeds;
use dawn_crypto::params::{Dimension, N, Q};
use dawn_crypto::shamir::{ShareSum, Threshold, share_key};
use dawn_identity::{DeviceId, OrgId, RegisterHead};
use dawn_protocol::judge::{Ballot, Judgement, judge};
use dawn_protocol::open::{MaskedSums, open};
use dawn_protocol::roll::{Entry, NoiseEntry, Roll};
use dawn_protocol::violation::{Culprit, Rule, Violation};
use dawn_protocol::{AbortReason, Decision, Examined, Finding, Outcome, Policy};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

/// Input: whether to judge or to open, then what.
pub fn judging(data: &[u8]) -> bool {
    let mut input = Unstructured::new(data);
    match input.arbitrary() {
        Ok(true) => judged(&mut input).unwrap_or(false),
        Ok(false) => opened(&mut input).unwrap_or(false),
        Err(_) => false,
    }
}

fn judged(input: &mut Unstructured<'_>) -> Result<bool> {
    let Ok(threshold) = Threshold::new(input.int_in_range(2..=7)?, input.int_in_range(0..=2)?)
    else {
        return Ok(false);
    };
    let policy = Policy {
        min_accepted: input.int_in_range(1..=4)?,
        min_honest: 2,
        min_organisations: input.int_in_range(1..=3)?,
        max_org_share_permille: input.int_in_range(1..=1000)?,
        max_submissions: 100,
        target_submissions: 100,
    };
    let root = Digest(input.arbitrary()?);
    let mut entries = Vec::new();
    for place in 0..input.int_in_range(1..=10)? {
        let device = DeviceId(Digest([place; 32]));
        let refused = input
            .ratio(1, 8)?
            .then(|| Box::new(Violation::new(Culprit::Device(device), Rule::Signature, "")));
        entries.push(Entry {
            device,
            org: OrgId(Digest([input.int_in_range(0..=3)?; 32])),
            leaf: Digest([0; 32]),
            header: Digest([0; 32]),
            payload: Digest([0; 32]),
            noise: match refused.is_none() && input.ratio(1, 4)? {
                true => Some(NoiseEntry {
                    point: place % 16 + 1,
                    index: 0,
                }),
                false => None,
            },
            norm: NormSeeds {
                projection: Digest([0; 32]),
                joint: Digest([0; 32]),
            },
            refused,
        });
    }
    let mut reports = Vec::new();
    for point in 1..=threshold.m() {
        if input.ratio(7, 8)? {
            let mut outcomes = Vec::new();
            for _ in &entries {
                outcomes.push(match input.ratio(3, 4)? {
                    true => Outcome::Ok,
                    false => *input.choose(Outcome::ALL)?,
                });
            }
            reports.push((point, outcomes));
        }
    }
    let mut findings = Vec::new();
    for _ in &entries {
        findings.push(Finding {
            agreeing: input.arbitrary::<u16>()? | input.arbitrary::<u16>()?,
            lied: input.arbitrary::<u16>()? & input.arbitrary::<u16>()?,
            result: *input.choose(&[
                Examined::Valid,
                Examined::Valid,
                Examined::Valid,
                Examined::TooFew,
                Examined::Disagree,
                Examined::Projection,
                Examined::Norm,
                Examined::NotChosen,
                Examined::Unproven,
            ])?,
        });
    }
    let roll = Roll::from_entries(entries.clone(), RegisterHead::empty(&Digest([0; 32])));
    let ballots: Vec<_> = reports
        .iter()
        .map(|(point, outcomes)| Ballot {
            point: *point,
            outcomes,
        })
        .collect();
    let noise = input.int_in_range(0..=2)?;
    let found = judge(
        &threshold, &policy, noise, &root, &roll, None, &ballots, &findings,
    );
    let policy = (&policy, noise);
    assert_eq!(
        found,
        by_definition(&threshold, policy, &root, &entries, &reports, &findings)
    );
    Ok(found.is_ok())
}

/// Every step of section 4.6, as it is written there.
fn by_definition(
    threshold: &Threshold,
    policy: (&Policy, usize),
    root: &Digest,
    entries: &[Entry],
    reports: &[(u8, Vec<Outcome>)],
    findings: &[Finding],
) -> std::result::Result<Judgement, AbortReason> {
    let a = usize::from(threshold.a());
    if reports.len() < a {
        return Err(AbortReason::TooFewReports);
    }
    let ok = |report: &(u8, Vec<Outcome>), index: usize| {
        entries[index].refused.is_none() && report.1[index].is_ok()
    };
    let among = |points: u16, point: u8| points & 1 << (point - 1) != 0;
    let holds = |report: &(u8, Vec<Outcome>), index: usize| {
        let finding = &findings[index];
        ok(report, index) && finding.result == Examined::Valid && among(finding.agreeing, report.0)
    };
    let mut best: Option<(Vec<usize>, Vec<usize>)> = None;
    // In lexicographic order: the sets as numbers whose highest bits are the lowest points.
    let mut sets: Vec<Vec<usize>> = (0..1u32 << reports.len())
        .map(|bits| {
            (0..reports.len())
                .filter(|place| bits >> place & 1 == 1)
                .collect()
        })
        .filter(|set: &Vec<usize>| set.len() == a)
        .collect();
    sets.sort();
    for set in sets {
        let common: Vec<usize> = (0..entries.len())
            .filter(|index| set.iter().all(|place| holds(&reports[*place], *index)))
            .collect();
        let Some(kept) = cut(policy, root, entries, &common) else {
            continue;
        };
        if best
            .as_ref()
            .is_none_or(|(_, best)| kept.len() > best.len())
        {
            best = Some((set, kept));
        }
    }
    let valid = |(entry, finding): &(&Entry, &Finding)| {
        entry.noise.is_some() && finding.result == Examined::Valid
    };
    let little = entries.iter().zip(findings).filter(valid).count() < policy.1;
    let (set, accepted) = best.ok_or(match little {
        true => AbortReason::TooLittleNoise,
        false => AbortReason::Policy,
    })?;
    let decide = |index: usize| {
        if entries[index].refused.is_some() {
            Decision::BadHeader
        } else if findings[index].result == Examined::NotChosen {
            Decision::NotChosen
        } else if reports.iter().filter(|report| ok(report, index)).count() < a {
            Decision::TooFewStewards
        } else if findings[index].result != Examined::Valid {
            match findings[index].result {
                Examined::Disagree => Decision::AnswersDisagree,
                Examined::Projection => Decision::Projection,
                Examined::Norm => Decision::Norm,
                Examined::Unproven => Decision::UnprovenNoise,
                Examined::TooFew | Examined::Valid | Examined::NotChosen => {
                    Decision::TooFewStewards
                }
            }
        } else if accepted.contains(&index) {
            match entries[index].noise {
                Some(_) => Decision::Noise,
                None => Decision::Accepted,
            }
        } else if set.iter().all(|place| holds(&reports[*place], index)) {
            Decision::OrganisationShare
        } else {
            Decision::OutsideOpeningSet
        }
    };
    let holds_all =
        |report: &&(u8, Vec<Outcome>)| accepted.iter().all(|index| holds(report, *index));
    let lied = |report: &&(u8, Vec<Outcome>)| {
        let about = |index| ok(report, index) && among(findings[index].lied, report.0);
        (0..entries.len()).any(about)
    };
    Ok(Judgement {
        decisions: (0..entries.len()).map(decide).collect(),
        openers: reports
            .iter()
            .filter(holds_all)
            .map(|(point, _)| *point)
            .collect(),
        liars: reports
            .iter()
            .filter(lied)
            .map(|(point, _)| *point)
            .collect(),
    })
}

/// What the policy leaves of a set; none when that is not enough.
fn cut(
    (policy, least_noise): (&Policy, usize),
    root: &Digest,
    entries: &[Entry],
    set: &[usize],
) -> Option<Vec<usize>> {
    // Noise belongs to no organisation, and none of it is cut.
    let (noise, set): (Vec<usize>, Vec<usize>) = set
        .iter()
        .partition(|index| entries[**index].noise.is_some());
    let set = &set[..];
    let count = |org: &OrgId| {
        set.iter()
            .filter(|index| entries[**index].org == *org)
            .count()
    };
    let mut orgs: Vec<OrgId> = set.iter().map(|index| entries[*index].org).collect();
    orgs.sort();
    orgs.dedup();
    let total = |c: usize| orgs.iter().map(|org| count(org).min(c)).sum::<usize>();
    let fits = |c: &usize| 1000 * c <= usize::from(policy.max_org_share_permille) * total(*c);
    let largest = orgs.iter().map(count).max().unwrap_or(0);
    let c = (0..=largest).rev().find(fits)?;
    let rank = |index: &usize| {
        hash(
            labels::ORG_TRIM,
            &[&root.0, entries[*index].device.as_bytes()],
        )
    };
    let mut kept = Vec::new();
    for org in &orgs {
        let mut of_org: Vec<usize> = set
            .iter()
            .copied()
            .filter(|index| entries[*index].org == *org)
            .collect();
        of_org.sort_by_key(rank);
        kept.extend(of_org.into_iter().take(c));
    }
    kept.sort_unstable();
    let mut left: Vec<OrgId> = kept.iter().map(|index| entries[*index].org).collect();
    left.sort();
    left.dedup();
    let enough = noise.len() >= least_noise
        && kept.len() >= policy.min_accepted as usize
        && left.len() >= usize::from(policy.min_organisations);
    kept.extend(noise);
    kept.sort_unstable();
    enough.then_some(kept)
}

/// At most f lies among the answers: with T honest answers the sum comes out, and with A - 1 exactly the liars are
/// named.
fn opened(input: &mut Unstructured<'_>) -> Result<bool> {
    let Ok(threshold) = Threshold::new(input.int_in_range(2..=7)?, input.int_in_range(0..=2)?)
    else {
        return Ok(false);
    };
    let mut rng = ChaCha20Rng::seed_from_u64(input.arbitrary()?);
    let matrix = PublicMatrix::from_seed(&[1; 32]);
    let dimension = Dimension::new(3).expect("in range");
    let mut words = vec![0; dimension.padded()];
    let mut sums = vec![ShareSum::zero(); usize::from(threshold.m())];
    let (mut expected, devices) = (vec![0; 3], input.int_in_range(1..=2u64)?);
    for _ in 0..devices {
        let key = MaskKey::sample(&mut rng);
        let x = [input.int_in_range(-9..=9)?, 1, -9];
        let nothing = vec![0; dimension.padded()];
        let c = mask(&matrix, &key, &dimension, &x, &nothing).expect("fits");
        add_assign(&mut words, &c);
        expected.iter_mut().zip(&x).for_each(|(sum, x)| *sum += x);
        for (sum, share) in sums.iter_mut().zip(share_key(&key, &threshold, &mut rng)) {
            sum.add_assign(&share.expand().expect("our own"));
        }
    }
    let mut liars = Vec::new();
    for _ in 0..threshold.f() {
        let liar = input.int_in_range(1..=threshold.m())?;
        if input.arbitrary()? && !liars.contains(&liar) {
            liars.push(liar);
            let answer = &mut sums[usize::from(liar) - 1];
            let mut bytes = answer.to_bytes();
            let at = 4 * input.int_in_range(0..=N - 1)?;
            let word = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
            let lie = (u64::from(word) + input.int_in_range(1..=u64::from(Q) - 1)?) % u64::from(Q);
            bytes[at..at + 4].copy_from_slice(&(lie as u32).to_le_bytes());
            *answer = ShareSum::from_bytes(&bytes).expect("below q");
        }
    }
    liars.sort_unstable();
    let silent: u32 = input.arbitrary()?;
    let answers: Vec<(u8, &[ShareSum])> = (1..=threshold.m())
        .zip(sums.chunks(1))
        .filter(|(point, _)| silent >> point & 1 == 0)
        .collect();
    liars.retain(|liar| answers.iter().any(|(point, _)| point == liar));
    let honest = answers.len() - liars.len();
    let masked = MaskedSums {
        matrix: &matrix,
        dimension,
        groups: &[(&words, 9 * devices)],
    };
    let found = open(&threshold, &masked, &answers);
    if answers.len() < usize::from(threshold.t()) {
        assert_eq!(found, Err(AbortReason::TooFewOpenings));
        return Ok(false);
    }
    if honest < usize::from(threshold.t()) {
        assert_eq!(found, Err(AbortReason::NoSmallOpening));
        return Ok(false);
    }
    let found = found.expect("T honest answers open");
    assert_eq!(found.sums, [expected]);
    assert!(
        found.culprits.iter().all(|point| liars.contains(point)),
        "an honest steward is named"
    );
    if honest + 1 >= usize::from(threshold.a()) {
        assert_eq!(found.culprits, liars);
    }
    assert_eq!(found.points.len(), usize::from(threshold.t()));
    assert!(!found.points.iter().any(|point| liars.contains(point)));
    Ok(true)
}
