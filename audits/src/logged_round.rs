//! What the log has of the rounds that were audited, beside their transcripts (A18, A19): a transcript leaves nothing out that was
//! logged before its round ended, and a round that was aborted because too few stewards said something has too few of them in
//! the log.

use std::collections::{BTreeMap, BTreeSet};

use dawn_crypto::digest::Digest;
use dawn_identity::{Envelope, Members, Signed, Statement, StewardId};
use dawn_protocol::{
    AbortReason, Aborted, BeaconShare, Endorsement, Opening, PackageReport, RoundId, RoundResult,
    SealingKey,
};

use crate::blame;
use crate::finding::{Finding, Party};
use crate::heard::{Heard, Phase};
use crate::rule::AuditRule;
use crate::said::{About, Said, SaidRound, SaidStatement};

/// What a steward said in a round before its end, as the log has it.
#[derive(Debug)]
struct Heeded {
    kind: &'static str,
    steward: StewardId,
    body: Digest,
}

/// What the log has of one round.
#[derive(Debug)]
struct LoggedRound<'a> {
    of: &'a SaidRound,
    /// Everything that stewards of its roster signed for its session, up to its end.
    heeded: Vec<Heeded>,
    keys: Vec<Signed<SealingKey>>,
    /// How many of the sealing keys count as of the end; none when the task itself does not, or there is no end.
    seats: Option<usize>,
    over: bool,
}

/// What the log has of the rounds that were audited.
#[derive(Debug)]
pub(crate) struct LoggedRounds<'a> {
    rounds: BTreeMap<RoundId, LoggedRound<'a>>,
    /// The time of the head, unix seconds.
    at: u64,
}

impl<'a> LoggedRounds<'a> {
    /// Of these transcripts; `at` is when the log is from, unix seconds.
    pub(crate) fn of(said: impl Iterator<Item = &'a Said>, at: u64) -> Self {
        let rounds = said.filter_map(|said| said.round.as_ref()).map(|of| {
            let logged = LoggedRound {
                of,
                heeded: Vec::new(),
                keys: Vec::new(),
                seats: None,
                over: false,
            };
            (of.id, logged)
        });
        Self {
            rounds: rounds.collect(),
            at,
        }
    }

    /// Notes the next entry; `members` are those of the register as of the entries before it.
    pub(crate) fn note(&mut self, envelope: &Envelope, members: &Members) {
        macro_rules! heeded {
            ($type:ty, $fits:expr) => {
                if let Ok(signed) = Signed::<$type>::from_envelope(envelope.clone())
                    && let Some(round) = self.rounds.get_mut(&signed.peek().round)
                {
                    let fits: fn(&$type, &SaidRound) -> bool = $fits;
                    round.heed(&signed, &signed.peek().steward, fits);
                }
            };
        }
        match envelope.kind() {
            SealingKey::KIND => {
                if let Ok(key) = Signed::<SealingKey>::from_envelope(envelope.clone())
                    && let Some(round) = self.rounds.get_mut(&key.peek().round)
                    && !round.over
                {
                    round.keys.push(key);
                }
            }
            Endorsement::KIND => heeded!(Endorsement, |said, of| of.is_session(&said.session)),
            BeaconShare::KIND => heeded!(BeaconShare, |said, of| of.is_session(&said.session)),
            PackageReport::KIND => heeded!(PackageReport, |said, of| {
                of.is_session(&said.session) && of.challenge == Some(said.challenge)
            }),
            Opening::KIND => heeded!(Opening, |said, of| {
                of.is_session(&said.session) && of.verdict == Some(said.verdict)
            }),
            RoundResult::KIND => {
                if let Ok(result) = Signed::<RoundResult>::from_envelope(envelope.clone()) {
                    self.end(&result, &result.peek().round, members);
                }
            }
            Aborted::KIND => {
                if let Ok(aborted) = Signed::<Aborted>::from_envelope(envelope.clone()) {
                    self.end(&aborted, &aborted.peek().round, members);
                }
            }
            _ => {}
        }
    }

    fn end<T: Statement + Clone>(&mut self, end: &Signed<T>, round: &RoundId, members: &Members) {
        let at = self.at;
        if let Some(round) = self.rounds.get_mut(round)
            && !round.over
            && end.verify(members.aggregator()).is_ok()
        {
            round.over = true;
            round.seats = round.seats_at(at, members);
        }
    }

    /// A18 and A19 of one transcript beside the whole log.
    pub(crate) fn check(&self, place: &str, said: &Said, heard: &Heard) -> Result<(), Finding> {
        let Some(round) = (said.round.as_ref()).and_then(|of| self.rounds.get(&of.id)) else {
            return Ok(());
        };
        // What the aggregator's own words refute, before what only is not in the file.
        round.enough()?;
        round.is_told(place, said, heard)
    }

    /// Who keeps a statement out of the log. Whoever hands over a newer transcript beside an older log, or what a steward has
    /// said once more or never sent, needs nobody's help for it: the aggregator is to blame only when it went on, in the
    /// log, from what is not there.
    pub(crate) fn hider(&self, missing: &SaidStatement, heard: &Heard) -> Party {
        let is_its_own = match missing.about {
            About::Register => false,
            About::Task(task) => heard.hides(task),
            About::Round(id) => match Phase::of(missing.kind) {
                Some(phase) => match heard.own(id, phase) {
                    Some(logged) => logged != missing.body,
                    None => heard.went_on(id, phase),
                },
                None => self.skipped(id, missing, heard),
            },
        };
        match is_its_own {
            true => Party::Aggregator,
            false => Party::Provider,
        }
    }

    /// Whether the aggregator went on, in the log, from a steward's statement that is not there.
    fn skipped(&self, id: RoundId, missing: &SaidStatement, heard: &Heard) -> bool {
        let Some(round) = self.rounds.get(&id) else {
            return false;
        };
        let is_there = |heeded: &Heeded| heeded.body == missing.body;
        if round.heeded.iter().any(is_there) {
            return false;
        }
        let later = match missing.kind {
            SealingKey::KIND => {
                let is_there = |key: &Signed<SealingKey>| key.body_digest() == missing.body;
                return !round.keys.iter().any(is_there) && heard.own(id, Phase::Spec).is_some();
            }
            // Nothing names endorsements, and not all of them are needed.
            Endorsement::KIND => {
                let t = usize::from(round.of.task.threshold().t());
                return round.count(Endorsement::KIND) < t
                    && heard.own(id, Phase::Closed).is_some();
            }
            BeaconShare::KIND => Phase::Challenge,
            PackageReport::KIND => Phase::Verdict,
            // An abort names none.
            Opening::KIND if round.of.aborted.is_none() => Phase::End,
            _ => return false,
        };
        heard.own(id, later).is_some()
    }
}

impl SaidRound {
    fn is_session(&self, session: &dawn_protocol::SessionId) -> bool {
        let context = self.context.as_ref();
        context.is_some_and(|context| context.session() == *session)
    }
}

impl LoggedRound<'_> {
    fn heed<T: Statement + Clone>(
        &mut self,
        signed: &Signed<T>,
        steward: &StewardId,
        fits: impl Fn(&T, &SaidRound) -> bool,
    ) {
        let rule = AuditRule::Log;
        let task = match &self.of.context {
            Some(context) => context,
            None => &self.of.task,
        };
        if !self.over
            && fits(signed.peek(), self.of)
            && blame::by_steward(task, rule, signed, steward).is_ok()
        {
            self.heeded.push(Heeded {
                kind: T::KIND,
                steward: *steward,
                body: signed.body_digest(),
            });
        }
    }

    /// How many stewards said something of a kind.
    fn count(&self, kind: &str) -> usize {
        let all = self.heeded.iter().filter(|heeded| heeded.kind == kind);
        BTreeSet::from_iter(all.map(|heeded| heeded.steward)).len()
    }

    /// How many of the sealing keys a specification could have had, as the aggregator decides it. The time at which it decided
    /// is not known: a task that counts when it was made and when the log was signed counted in between.
    fn seats_at(&self, at: u64, members: &Members) -> Option<usize> {
        let at = at.max(self.of.task.task().created);
        self.of.task.verify_standing(members, at).ok()?;
        let task = self.of.task.under_roster_in_force(members).ok()?;
        let points = self.keys.iter().filter_map(|key| {
            let point = task.verify_sealing_key(&self.of.id, key).ok()?;
            let member = members.get(&task.roster().steward_at(point)?.org);
            let counts =
                member.is_none_or(|member| member.check_steward(&key.peek().steward).is_ok());
            counts.then_some(point)
        });
        Some(BTreeSet::from_iter(points).len())
    }

    /// A18: what was logged before the round ended is in its transcript.
    fn is_told(&self, place: &str, said: &Said, heard: &Heard) -> Result<(), Finding> {
        for (phase, body) in heard.of_round(self.of.id) {
            // Whoever hands over a transcript can leave its last parts out, unless the end itself says that there were none.
            let reason = self.of.aborted;
            let culprit = match reason.is_none_or(|reason| Phase::not_before(reason) <= phase) {
                true => Party::Aggregator,
                false => Party::Provider,
            };
            Finding::unless(
                said.says(&body),
                AuditRule::Log,
                culprit,
                format_args!("{place} leaves out what the aggregator said, as the log has it"),
            )?;
        }
        for heeded in &self.heeded {
            // The verdict names all reports that are here, and a result all openings: one that it leaves out was not weighed.
            let culprit = match heeded.kind {
                BeaconShare::KIND => continue,
                PackageReport::KIND if self.of.verdict.is_some() => Party::Aggregator,
                Opening::KIND if self.of.aborted.is_none() => Party::Aggregator,
                _ => Party::Provider,
            };
            Finding::unless(
                said.says(&heeded.body),
                AuditRule::Log,
                culprit,
                format_args!(
                    "a {} of steward {} was logged before the end and is not in {place}",
                    heeded.kind, heeded.steward
                ),
            )?;
        }
        Ok(())
    }

    /// A19: too few said it, as the log has it.
    fn enough(&self) -> Result<(), Finding> {
        let Some(reason) = self.of.aborted else {
            return Ok(());
        };
        let threshold = self.of.task.threshold();
        let (said, needed) = match reason {
            AbortReason::TooFewSealingKeys => (self.seats.unwrap_or(0), threshold.a()),
            AbortReason::TooFewEndorsements => (self.count(Endorsement::KIND), threshold.t()),
            AbortReason::TooFewBeaconShares => (self.count(BeaconShare::KIND), threshold.t()),
            AbortReason::TooFewReports => (self.count(PackageReport::KIND), threshold.a()),
            AbortReason::TooFewOpenings => (self.count(Opening::KIND), threshold.t()),
            _ => return Ok(()),
        };
        Finding::unless(
            said < usize::from(needed),
            AuditRule::Abort,
            Party::Aggregator,
            format_args!(
                "round {} was aborted: {reason}; {said} came before that, as the log has it, and {needed} are enough",
                self.of.id
            ),
        )
    }
}
