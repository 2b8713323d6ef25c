//! What a measurement shows: tables for the repository, a report with plots.

use std::fmt::Write as _;

use super::plan::{Cell, Results};
use crate::svg::{Axis, COLOURS, STYLE, Series, escape, lines};

/// Further colours, for the ninth defence and before.
const MORE_COLOURS: [&str; 3] = ["#c0392b", "#3aa5b8", "#6b8e23"];

impl Results {
    /// Attacks in their order.
    fn attacks(&self) -> Vec<&str> {
        distinct(self.cells.iter().filter_map(|cell| cell.attack.as_deref()))
    }

    fn defences(&self) -> Vec<&str> {
        distinct(self.cells.iter().map(|cell| cell.defence.as_str()))
    }

    fn shares(&self) -> Vec<f64> {
        let mut shares: Vec<f64> = self.cells.iter().map(|cell| cell.share).collect();
        shares.sort_by(f64::total_cmp);
        shares.dedup();
        shares
    }

    /// The setting in one sentence.
    pub fn describe(&self) -> String {
        format!(
            "{} data, model {} ({} parameters), {} training samples on {} devices of 6 organisations, {} rounds of {} epochs, clip bound {}, accepted vectors at most {:.2} clip bounds long, {} groups, seeds {:?}, {} trainings in {:.0} s",
            self.data,
            self.model,
            self.parameters,
            self.samples,
            self.devices,
            self.rounds,
            self.epochs,
            self.clip,
            self.longest,
            self.groups,
            self.seeds,
            self.trainings,
            self.seconds
        )
    }

    /// A table in Markdown: an attack a row, a defence a column, accuracies in per cent at the shares in turn.
    pub fn markdown(&self) -> String {
        let (defences, shares) = (self.defences(), self.shares());
        let mut out = format!("| attack | {} |\n|---|", defences.join(" | "));
        out.push_str(&"---|".repeat(defences.len()));
        out.push('\n');
        let mut row = |name: &str, shares: &[f64]| {
            let _ = write!(out, "| {name} |");
            for defence in &defences {
                let accuracies = shares.iter().map(|share| {
                    let cell = self.cell(name, *share, defence);
                    cell.map_or_else(|| "-".into(), |c| format!("{:.1}", 100.0 * c.accuracy))
                });
                let _ = write!(out, " {} |", accuracies.collect::<Vec<_>>().join(" / "));
            }
            out.push('\n');
        };
        row("none", &[0.0]);
        let attacked: Vec<f64> = shares.into_iter().filter(|share| *share > 0.0).collect();
        for attack in self.attacks() {
            row(attack, &attacked);
        }
        out
    }

    /// A self-contained report with a plot an attack.
    pub fn html(&self) -> String {
        let mut out = format!(
            "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Dawn: what the bounds buy</title><style>{STYLE}</style><h1>Accuracy under attack</h1><p class='lead'>{}. Computed in the clear; what is accepted is decided by the predicates of the proofs.</p><div class='plots'>",
            escape(&self.describe())
        );
        let (defences, shares) = (self.defences(), self.shares());
        let axis = Axis {
            name: "malicious devices, %".into(),
            labels: shares.iter().map(|s| format!("{:.0}", 100.0 * s)).collect(),
        };
        for attack in self.attacks() {
            let series = defences.iter().enumerate().map(|(index, defence)| Series {
                name: defence,
                colour: colour(index),
                values: shares
                    .iter()
                    .map(|share| Some(100.0 * self.cell(attack, *share, defence)?.accuracy))
                    .collect(),
            });
            let series: Vec<Series<'_>> = series.collect();
            out.push_str(&lines(attack, "accuracy, %", &axis, &series));
        }
        out.push_str("</div><table><tr><th>malicious<th>accuracy<th>lowest<th>highest<th>malicious accepted<th>honest length<th>honest refused<th>turned<th>attack, defence</tr>");
        for cell in &self.cells {
            let _ = write!(
                out,
                "<tr><td>{:.0} %<td>{:.1} %<td>{:.1} %<td>{:.1} %<td>{:.0} %<td>{:.2}<td>{}<td>{}<td>{}</tr>",
                100.0 * cell.share,
                100.0 * cell.accuracy,
                100.0 * cell.lowest,
                100.0 * cell.highest,
                100.0 * cell.malicious_accepted,
                cell.honest_length,
                cell.honest_refused,
                cell.honest_turned,
                escape(&cell.name())
            );
        }
        out.push_str("</table></html>");
        out
    }
}

impl Cell {
    /// What it is about.
    pub fn name(&self) -> String {
        let attack = self.attack.as_deref().unwrap_or("none");
        format!("{attack}, {}", self.defence)
    }

    /// One line for people.
    pub fn line(&self) -> String {
        format!(
            "{:>4.0} %  {:<42} {:>6.1} %  malicious accepted: {:.0} %, honest length {:.2}, turned {}",
            100.0 * self.share,
            self.name(),
            100.0 * self.accuracy,
            100.0 * self.malicious_accepted,
            self.honest_length,
            self.honest_turned
        )
    }
}

fn colour(index: usize) -> &'static str {
    let all = COLOURS.iter().chain(&MORE_COLOURS);
    all.copied().nth(index).unwrap_or("#000")
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = Vec::new();
    for name in names {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}
