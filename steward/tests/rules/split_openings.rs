//! Two histories shown to two parts of the stewards, each played to its end: at most one sum is opened, and with the honest
//! stewards split evenly none (`docs/protocol.md`, section 4.6.1). Real stewards with their memories on disk; m = 6, f = 1,
//! T = 4, A = 5.

use std::collections::BTreeMap;

use dawn_identity::Signed;
use dawn_protocol::{Decision, Digest, PackageReport, Verdict};
use dawn_steward::{OpenRequest, OpenStep, StewardError, StewardState};

use crate::now;
use crate::reporting::{Reported, signed};
use crate::splits::{History, Parts, Split, history};
use crate::world::{ClosedRound, Round, World};

/// One of two histories of an announced round, and what its stewards say in it.
struct Told<'a> {
    round: &'a Round,
    base: History,
    parts: Parts,
    honest: Vec<u8>,
    closed: ClosedRound,
}

impl Told<'_> {
    /// Shows its stewards the next statement, after all before it.
    fn show(&self, split: &mut Split, statements: &[&[u8]]) -> History {
        let log = statements
            .iter()
            .fold(self.base.clone(), |log, said| history(&log, said));
        let spec = self.round.spec.bytes();
        for point in &self.honest {
            assert!(split.show(*point, &log, &[&[spec][..], statements].concat()));
        }
        log
    }

    /// What an honest steward of this history says, asked as its session asks.
    fn said(
        &mut self,
        split: &mut Split,
        point: u8,
        ask: impl FnOnce(&mut World, &StewardState, &ClosedRound) -> Result<Vec<u8>, StewardError>,
    ) -> Vec<u8> {
        self.closed.seat = self.closed.open.seat_index(point).expect("seated");
        let state = &split.stewards[usize::from(point) - 1];
        ask(&mut split.world, state, &self.closed).expect("said")
    }

    /// Plays it to its end; whether the sum is opened. The history as far as it came, and its verdict, when it has one.
    fn play(&mut self, split: &mut Split) -> (bool, History, Option<Ended>) {
        let t = usize::from(split.world.context.threshold().t());
        let a = usize::from(split.world.context.threshold().a());
        let closed = self.closed.statement.clone();
        let mut log = self.show(split, &[closed.bytes()]);
        let mut parts: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
        for point in self.honest.clone() {
            let part = self.said(split, point, |world, state, closed| {
                world.beacon(state, closed)
            });
            parts.insert(point, part);
        }
        for point in self.parts.liars() {
            let part = split.world.beacon_share_of(&self.closed.closed, point);
            parts.insert(point, part.bytes().to_vec());
        }
        if parts.len() < t {
            return (false, log, None);
        }
        let points: Vec<u8> = parts.keys().copied().take(t).collect();
        self.closed = split.world.challenged_again(&self.closed, &points);
        // These are the very parts that were given.
        let shares = self.closed.challenge.peek().shares.iter();
        assert!(
            shares
                .map(|part| part.bytes())
                .eq(points.iter().map(|point| &parts[point][..]))
        );
        let challenge = self.closed.challenge.clone();
        self.show(split, &[closed.bytes(), challenge.bytes()]);
        let mut reports = Vec::new();
        for point in self.honest.clone() {
            let said = self.said(split, point, |world, state, closed| {
                world.report(state, closed)
            });
            let signed: Signed<PackageReport> = Signed::from_bytes(&said).expect("report");
            let answers = split.world.own_answers[&signed.peek().answers].clone();
            reports.push(Reported {
                point,
                signed,
                answers,
            });
        }
        for point in self.parts.liars() {
            let report = split
                .world
                .report_with(self.round, &self.closed, point, |_, _| {});
            reports.push(report);
        }
        let scalars = split.world.scalars(&self.closed);
        if reports.len() < a {
            // The aggregator says that they are enough, and that everybody is in the sum.
            let challenged = &self.closed.challenged;
            let closed = challenged.round_closed().closed();
            let verdict = split.world.by_aggregator(&Verdict {
                round: closed.round,
                session: closed.session,
                root: closed.root,
                decisions: vec![Decision::Accepted; self.closed.submissions.len()],
                openers: reports.iter().map(|report| report.point).collect(),
                reports: reports.iter().map(|report| report.body_digest()).collect(),
                charge_micro_rho: challenged.spec().charge_micro_rho,
                spent_micro_rho: challenged.spec().charge_micro_rho,
                challenge: challenged.challenge_digest(),
                scalars: scalars.digest(),
                liars: Vec::new(),
            });
            let statements = [
                self.closed.statement.bytes(),
                challenge.bytes(),
                verdict.bytes(),
            ];
            let log = self.show(split, &statements);
            let ended = Ended { reports, verdict };
            for point in &self.honest {
                assert!(ended.is_refused(split, &self.closed, *point), "{point}");
            }
            return (false, log, Some(ended));
        }
        let verdict = split.world.verdict(&self.closed, &reports, 0);
        let statements = [
            self.closed.statement.bytes(),
            challenge.bytes(),
            verdict.bytes(),
        ];
        log = self.show(split, &statements);
        let judged = split.world.adopt(&self.closed, &reports, &verdict);
        let mut openings = Vec::new();
        for point in self.honest.clone() {
            let said = self.said(split, point, |world, state, closed| {
                world.open(state, closed, &reports, &verdict)
            });
            openings.push(Signed::from_bytes(&said).expect("opening"));
        }
        for point in self.parts.liars() {
            let said = split
                .world
                .opening_of(self.round, &self.closed, &judged, point);
            openings.push(said);
        }
        let sum = split.world.masked_sum(&self.closed, &judged);
        let opened = judged.open(&sum, &openings).expect("opens");
        assert!(opened.culprits().is_empty());
        (true, log, Some(Ended { reports, verdict }))
    }
}

/// The end of a history.
struct Ended {
    reports: Vec<Reported>,
    verdict: Signed<Verdict>,
}

impl Ended {
    /// Whether a steward says nothing to its verdict.
    fn is_refused(&self, split: &mut Split, closed: &ClosedRound, point: u8) -> bool {
        let asked = OpenRequest {
            announcement: &closed.announcement,
            closed: &closed.statement,
            challenge: &closed.challenge,
            reports: &signed(&self.reports),
            verdict: &self.verdict,
        };
        let state = &split.stewards[usize::from(point) - 1];
        let shown = split.world.shown(closed, &self.reports);
        match state.open(&asked, &mut split.world.rng) {
            Err(_) => true,
            Ok(OpenStep::Answered(_)) => false,
            // It judges again when it is shown what the verdict was judged with.
            Ok(OpenStep::Examine(work)) => split.world.show(state, *work, &shown).is_err(),
        }
    }
}

/// Two closed lists of one announced round, each shown to a part of the stewards and played to its end: how many are opened.
fn histories_opened(parts: Parts) -> usize {
    let (mut split, round) = Split::with_liars(parts.malicious);
    let base = history(
        &History {
            leaves: vec![Digest([1; 32])],
        },
        round.spec.bytes(),
    );
    for point in 1..=parts.honest {
        assert!(split.show(point, &base, &[round.spec.bytes()]));
        let state = &split.stewards[usize::from(point) - 1];
        let rng = &mut split.world.rng;
        state
            .endorse(&round.spec, &[], now(), rng)
            .expect("endorse");
    }
    let announcement = split.world.announce(&round, &[1, 2, 3, 4]);
    let submissions = split.world.submissions(&announcement, &[0, 1, 2, 3, 4]);
    let fewer = submissions[1..].to_vec();
    let [first, second] = parts.shown();
    let mut opened = 0;
    for (list, honest, others) in [(submissions, &first, &second), (fewer, &second, &first)] {
        let mut told = Told {
            round: &round,
            base: base.clone(),
            parts,
            honest: honest.clone(),
            closed: split.world.close(&announcement, list),
        };
        let (is_open, log, ended) = told.play(&mut split);
        opened += usize::from(is_open);
        for point in others {
            // Whoever has cosigned the other history says nothing in this one, and whoever has cosigned neither yet will be shown
            // the other next.
            let has_cosigned_the_other =
                split.cosigned[usize::from(*point) - 1] as usize > base.leaves.len();
            if has_cosigned_the_other {
                assert!(!split.show(*point, &log, &[]));
            }
            if let Some(ended) = &ended {
                assert!(ended.is_refused(&mut split, &told.closed, *point));
            }
        }
    }
    opened
}

/// With the stewards that lie in both histories on their side, A of them are needed to judge: never two histories, and with
/// enough on one side exactly that one.
#[test]
fn two_histories_are_never_both_opened() {
    for (first, expected) in [(0, 1), (1, 1), (2, 0), (3, 0), (4, 1), (5, 1)] {
        let parts = Parts {
            first,
            honest: 5,
            malicious: 1,
        };
        assert_eq!(histories_opened(parts), expected, "{first} of 5");
    }
}

#[test]
fn with_the_honest_stewards_split_evenly_neither_is_opened() {
    for (first, honest, malicious) in [(3, 6, 0), (2, 4, 1)] {
        let parts = Parts {
            first,
            honest,
            malicious,
        };
        assert_eq!(histories_opened(parts), 0, "{first} of {honest}");
    }
}
