//! `dawn task explain`: what a task's numbers mean, before anybody signs it. Every number comes from the functions that
//! decide (`docs/protocol.md`, sections 3, 4.1, 4.3 and 4.8); here they are only put into words.

use std::fmt;

use anyhow::{Context, Result, bail};
use dawn_crypto::norm::params::TOP_BITS;
use dawn_crypto::norm::soundness::{COMPLETENESS_BITS, GRINDING_BITS, PROJECTION_BITS};
use dawn_crypto::norm::{NormParams, Rows};
use dawn_crypto::shamir::Threshold;
use dawn_identity::{Organisation, SecretKey, Statement as _, Validity};
use dawn_learn::Way;
use dawn_protocol::dp::{self, Spending};
use dawn_protocol::upload::UploadSize;
use dawn_protocol::{Functional, Task};
use serde_json::{Map, Value, json};

use crate::files;

/// One thing that follows from the task: under `key` for programs, as `text` for people.
struct Fact {
    section: &'static str,
    key: &'static str,
    value: Value,
    text: String,
}

/// All that follows, in the order in which it is read.
pub struct Explanation {
    title: String,
    facts: Vec<Fact>,
}

impl Explanation {
    /// Explains a task to be opened by stewards with this threshold.
    ///
    /// # Errors
    /// When the task is one that everybody refuses, with the numbers that break the rule.
    pub fn of(task: &Task, threshold: &Threshold) -> Result<Explanation> {
        if let Some(rule) = &task.options.evaluation {
            rule.check(task.quantiser.clip)?;
        }
        if let Some(way) = &task.options.way {
            way.check(&task.model, &task.train)?;
        }
        let norm = norm_params(task)?;
        check_sums(task, &norm)?;
        task.check().context("the task breaks a rule")?;
        let mut explanation = Explanation {
            title: format!("{}: {}, {} rounds", task.name, task.model, task.rounds),
            facts: Vec::new(),
        };
        explanation.way(task)?;
        explanation.vector(task, &norm)?;
        explanation.proof(task, &norm, threshold);
        explanation.sums(task, &norm)?;
        explanation.upload(task, threshold)?;
        explanation.privacy(task, threshold)?;
        explanation.selection(task);
        explanation.honesty(task, threshold);
        Ok(explanation)
    }

    fn fact(&mut self, section: &'static str, key: &'static str, value: Value, text: String) {
        self.facts.push(Fact {
            section,
            key,
            value,
            text,
        });
    }

    fn way(&mut self, task: &Task) -> Result<()> {
        const SECTION: &str = "How devices learn together";
        let all = task.model.parameters();
        let sent = task.round_way(1)?.dimension();
        let text = match &task.options.way {
            None => "by averaging everything (FedAvg)".to_owned(),
            Some(Way::Proximal { mu }) => format!(
                "by averaging everything, each step drawn back to the round's model with a weight of {:.4} (FedProx)",
                f64::from(*mu) / 65536.0
            ),
            Some(way @ Way::LowRank { .. }) => format!(
                "by low-rank updates ({way}): {sent} numbers stand for changes of {all} parameters, in other random directions every round"
            ),
            Some(way @ Way::Personal { .. }) => format!(
                "with personal layers ({way}): {} of {all} parameters never leave their device, and stay as they began in the published model",
                all - sent
            ),
            Some(Way::Distillation { samples, .. }) => format!(
                "by distillation: devices send what they would answer to {samples} public samples ({sent} numbers), and the model of {all} parameters is trained towards the mean of the answers"
            ),
        };
        let evaluation = match &task.options.evaluation {
            None => (Value::Null, String::new()),
            Some(rule) => {
                let left = task.update_quantiser().clip;
                let one = task.sigma_error.to_f64() * f64::from(task.policy.min_accepted).sqrt();
                let one = one / f64::from(rule.scale);
                let text = format!(
                    "devices judge the model of each round on up to {} samples of their own; updates are clipped to {left} instead, and {} devices' noise moves each sum of samples by about {one:.2}",
                    rule.samples, task.policy.min_accepted
                );
                let value = json!({"samples": rule.samples, "scale": rule.scale, "loss": f64::from(rule.loss) / 65536.0, "update_clip": left, "deviation_samples": one});
                (value, text)
            }
        };
        self.fact(SECTION, "evaluation", evaluation.0, evaluation.1);
        let way = task.options.way.as_ref();
        let name = way.map_or_else(|| "fedavg".to_owned(), ToString::to_string);
        self.fact(SECTION, "way", json!(name), text);
        self.fact(SECTION, "parameters", json!(all), String::new());
        Ok(())
    }

    fn vector(&mut self, task: &Task, norm: &NormParams) -> Result<()> {
        const SECTION: &str = "What a device hides";
        let dim = task.dimension()?;
        let (d, padded) = (dim.coordinates(), dim.padded());
        let text = format!(
            "d = {d} coordinates, {padded} with the padding and the check coordinates, which carry noise alone"
        );
        self.fact(SECTION, "dimension", json!(d), text);
        self.fact(SECTION, "padded", json!(padded), String::new());
        let clip = task.quantiser.clip;
        self.fact(
            SECTION,
            "clip",
            json!(clip),
            format!("C = {clip}, the longest update"),
        );
        let sigma = task.sigma_error.to_f64();
        self.fact(
            SECTION,
            "sigma_error",
            json!(sigma),
            format!(
                "sigma_e = {sigma:.2}, the deviation of every device's noise in every coordinate"
            ),
        );
        let honest = (norm.honest_squared() as f64).sqrt();
        let text = format!(
            "B = {honest:.1}, the longest that update and noise of an honest device are together"
        );
        self.fact(SECTION, "honest_norm", json!(honest), text);
        Ok(())
    }

    fn proof(&mut self, task: &Task, norm: &NormParams, threshold: &Threshold) {
        const SECTION: &str = "What is proven about it";
        let test_only = norm.rows() == Rows::R128.get();
        let text = format!(
            "{} projections{}",
            norm.rows(),
            if test_only {
                ": FOR TESTS ONLY. What passes is bounded by experiments on families of vectors, not by a proof; use 256"
            } else {
                ""
            }
        );
        self.fact(SECTION, "rows", json!(norm.rows()), text);
        self.fact(SECTION, "test_only", json!(test_only), String::new());
        let (bits, shift) = (norm.range_bits(), norm.range_bits() - TOP_BITS);
        let text = format!(
            "L = {bits} bits a projection, of which the top {TOP_BITS} are squared (s = {shift}); sum (2h + 1)^2 is at most {}",
            norm.bound()
        );
        self.fact(SECTION, "range_bits", json!(bits), text);
        self.fact(SECTION, "shift", json!(shift), String::new());
        self.fact(SECTION, "bound", json!(norm.bound()), String::new());
        let (gamma, most) = (norm.gamma(), norm.max_norm());
        let text =
            format!("gamma = {gamma:.3}: whatever passes has a norm of at most gamma B = {most}");
        self.fact(SECTION, "gamma", json!(gamma), text);
        self.fact(SECTION, "max_norm", json!(most), String::new());
        let (functional, text) = match task.options.functional {
            None => (Value::Null, String::new()),
            Some(Functional::Direction) => (
                json!("direction"),
                "no update points against the last accepted one, but for noise; along it the sum may have few updates, which only noise protects".to_owned(),
            ),
            Some(Functional::Counts) => (
                json!("counts"),
                format!(
                    "the counts of an update sum to one ({}) at most, but for noise; the sum may have few of them, which only noise protects",
                    task.quantiser.clip
                ),
            ),
        };
        self.fact(SECTION, "functional", functional, text);
        let text =
            format!("an honest device's proof fails with probability below 2^-{COMPLETENESS_BITS}");
        self.fact(SECTION, "completeness_bits", json!(COMPLETENESS_BITS), text);

        let soundness = norm.soundness();
        let sets = binomial(threshold.m(), threshold.t());
        let choice = (sets as f64).log2();
        let after =
            |bits: f64| (bits - choice - f64::from(task.policy.max_submissions).log2()).floor();
        let (proof, linear) = (after(soundness.proof), after(soundness.linear));
        let text = format!(
            "a longer vector passes with 2^-{PROJECTION_BITS} a try at the projections, 2^-{:.0} after 2^{GRINDING_BITS} tries of one device",
            soundness.projection
        );
        let value = json!({
            "tries_bits": GRINDING_BITS,
            "projection_bits": soundness.projection,
            "proof_bits": proof,
            "linear_bits": linear,
            "signer_sets": sets,
            "signer_bits": choice,
        });
        self.fact(SECTION, "soundness", value, text);
        let text = format!(
            "digits that are none pass with 2^-{proof:.0} a round, digits of something else with 2^-{linear:.0}: after those tries, \
             with all {} submissions malicious, and with the aggregator choosing among {sets} sets of {} signers ({choice:.1} bits)",
            task.policy.max_submissions,
            threshold.t()
        );
        self.facts.push(Fact {
            section: SECTION,
            key: "",
            value: Value::Null,
            text,
        });
    }

    fn selection(&mut self, task: &Task) {
        let selection = task.options.selection;
        let text = selection.map(|selection| {
            format!(
                "a device takes part in a round with probability {:.4}, by a draw that nobody chooses; privacy is counted as if all did",
                selection.probability()
            )
        });
        self.fact(
            "Who takes part",
            "selection",
            json!(selection.map(|selection| selection.probability())),
            text.unwrap_or_else(|| "every device that its organisation enrolled".to_owned()),
        );
    }

    fn sums(&mut self, task: &Task, norm: &NormParams) -> Result<()> {
        const SECTION: &str = "What a cheating device can do";
        let largest = task.largest_sum()? as f64;
        let limit = Task::LARGEST_SUM as f64;
        let text = format!(
            "no sum wraps: {} submissions of norm gamma B are {largest:.0}, {:.1} % of q/4",
            task.policy.max_submissions,
            100.0 * largest / limit
        );
        self.fact(SECTION, "largest_sum", json!(largest), text);
        self.fact(SECTION, "largest_sum_limit", json!(limit), String::new());
        let factor = norm.max_norm() as f64 / f64::from(task.quantiser.clip);
        let text = format!(
            "it may put all that passes into one direction: {factor:.2} C, which is gamma sqrt(1 + d sigma_e^2/C^2) and the tails of the noise"
        );
        self.fact(SECTION, "weapon_factor", json!(factor), text);
        Ok(())
    }

    fn upload(&mut self, task: &Task, threshold: &Threshold) -> Result<()> {
        // A device of an organisation that is made up for this: only lengths matter.
        let mut rng = rand_core::UnwrapErr(getrandom::SysRng);
        let validity = Validity::starting(files::now(), 1);
        let org = Organisation::generate("explained", validity, &mut rng)?;
        let device = SecretKey::generate(&mut rng);
        let chain = org.issue_device(&device.public(), "device-0", validity)?;
        let size = UploadSize::of(task, threshold, &chain, &device)?;
        let text = format!(
            "{} bytes a device and round: {} of vector, {} of packages for {} stewards, {} of header",
            size.total,
            size.payload,
            size.packages,
            threshold.m(),
            size.header
        );
        let value = json!({
            "total": size.total,
            "payload": size.payload,
            "packages": size.packages,
            "header": size.header,
        });
        self.fact("What it costs", "upload_bytes", value, text);
        Ok(())
    }

    fn privacy(&mut self, task: &Task, threshold: &Threshold) -> Result<()> {
        const SECTION: &str = "What the opened sums tell about one device";
        let noise = task.counted_noise(dp::honest_stewards(threshold));
        let charge = noise.charge_micro_rho(task.quantiser.clip)?;
        let exponent = task.privacy.delta_exponent;
        let dim = task.dimension()?;
        let groups = task.options.groups;
        let epsilon = |rounds: u32| {
            let spending = Spending {
                micro_rho: charge.saturating_mul(u64::from(rounds)),
                rounds,
                padded_dimension: dim.padded(),
                noise,
            };
            dp::epsilon(&spending, exponent)
        };
        let (one, all) = (epsilon(1), epsilon(task.rounds));
        let rounds = task.rounds;
        let text = match (one, all) {
            (Some(one), Some(all)) => format!(
                "epsilon {one:.2} of one round and {all:.2} of all {rounds}, at delta 10^-{exponent}"
            ),
            (Some(one), None) => format!(
                "epsilon {one:.2} of one round, at delta 10^-{exponent}; of all {rounds} none can be claimed"
            ),
            (None, _) => "no epsilon can be claimed: there is too little noise".to_owned(),
        };
        self.fact(SECTION, "epsilon_round", json!(one), text);
        self.fact(SECTION, "epsilon_total", json!(all), String::new());
        self.fact(SECTION, "delta_exponent", json!(exponent), String::new());
        let text = match task.privacy.budget_micro_rho {
            None => format!("{charge} micro-rho a round, without a limit of the task's own"),
            Some(budget) => {
                let affordable = budget / charge.max(1);
                format!(
                    "{charge} micro-rho a round; the budget of {budget} is enough for {affordable} rounds"
                )
            }
        };
        self.fact(SECTION, "charge_micro_rho", json!(charge), text);
        if let Some(groups) = groups {
            let fewest = groups.fewest(&task.policy);
            let text = format!(
                "the sum of every group is opened: {fewest} to {} groups of {} submissions or more, at least {} of each accepted. What hides a device is the noise of {} honest ones of its group alone, which are there when at most {} accepted devices of a round are dishonest",
                groups.most, groups.size, groups.least, groups.honest, groups.dishonest
            );
            let value = json!({
                "fewest": fewest,
                "most": groups.most,
                "size": groups.size,
                "least": groups.least,
                "honest": groups.honest,
                "dishonest": groups.dishonest,
            });
            self.fact(SECTION, "groups", value, text);
        }
        let Some(asked) = task.options.noise else {
            self.fact(SECTION, "steward_noise", Value::Null, String::new());
            return Ok(());
        };
        let (honest, sigma) = (dp::honest_stewards(threshold), asked.sigma.to_f64());
        let passes = asked.undetected(threshold.m(), threshold.t());
        let text = format!(
            "of that, stewards contribute noise of deviation {sigma:.2} each, of which that of {honest} is counted; a steward that works with the \
             aggregator gets one wrong candidate of {} into the sum with probability {passes:.3} a round at most",
            asked.candidates
        );
        let value = json!({"sigma": sigma, "candidates": asked.candidates, "counted": honest, "cheating_steward_passes": passes});
        self.fact(SECTION, "steward_noise", value, text);
        Ok(())
    }

    fn honesty(&mut self, task: &Task, threshold: &Threshold) {
        const SECTION: &str = "Who must be honest";
        let (m, f, t, a) = (threshold.m(), threshold.f(), threshold.t(), threshold.a());
        let text = format!(
            "at least {} of {m} stewards (f = {f} may lie, also together with the aggregator and with devices); {t} (T) open, {a} (A) must agree, {} may be away",
            m - f,
            m - a
        );
        let value = json!({"m": m, "f": f, "t": t, "a": a, "away": m - a});
        self.fact(SECTION, "stewards", value, text);
        let policy = &task.policy;
        let text = format!(
            "at least {} of the devices in every sum, from whose noise alone the privacy follows; a sum has at least {} devices of {} organisations, \
             none with more than {:.1} % of it",
            policy.min_honest,
            policy.min_accepted,
            policy.min_organisations,
            f64::from(policy.max_org_share_permille) / 10.0
        );
        self.fact(SECTION, "min_honest", json!(policy.min_honest), text);
        let text = "the organisations' root keys, and nobody else: the aggregator is trusted with staying up".to_owned();
        self.facts.push(Fact {
            section: SECTION,
            key: "",
            value: Value::Null,
            text,
        });
    }

    /// One object, flat but for a few groups.
    pub fn to_json(&self) -> Value {
        let named = self.facts.iter().filter(|fact| !fact.key.is_empty());
        let object: Map<String, Value> = named
            .map(|fact| (fact.key.to_owned(), fact.value.clone()))
            .collect();
        Value::Object(object)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)?;
        let mut section = "";
        for fact in self.facts.iter().filter(|fact| !fact.text.is_empty()) {
            if fact.section != section {
                section = fact.section;
                write!(f, "\n\n{section}")?;
            }
            write!(f, "\n  {}", fact.text)?;
        }
        Ok(())
    }
}

/// The parameters of the norm proof, or why there are none.
fn norm_params(task: &Task) -> Result<NormParams> {
    task.norm_params().with_context(|| {
        format!(
            "no norm proof exists for clip {}, deviation {:.2} and {} projections",
            task.quantiser.clip,
            task.sigma_error.to_f64(),
            task.projections
        )
    })
}

/// The rule on sums, in numbers.
fn check_sums(task: &Task, norm: &NormParams) -> Result<()> {
    if task.largest_sum()? < Task::LARGEST_SUM {
        return Ok(());
    }
    let most = (Task::LARGEST_SUM - 1) / u128::from(norm.max_norm());
    bail!(
        "a sum could wrap: {} submissions of norm gamma B = {} exceed q/4 = {}. At most {most} submissions of this norm are \
         possible; a smaller clip or less noise allows more",
        task.policy.max_submissions,
        norm.max_norm(),
        Task::LARGEST_SUM
    )
}

/// `C(m, t)`.
fn binomial(m: u8, t: u8) -> u64 {
    (0..u64::from(t)).fold(1, |sets, i| sets * (u64::from(m) - i) / (i + 1))
}
