//! The HTML report of a demo run: one self-contained file.

use std::fmt::Write as _;

use super::summary::{DemoSummary, epsilon_text};
use crate::svg::{Axis, COLOURS, STYLE, Series, escape, lines, stacked_bars};

/// Renders the report.
pub fn html(summary: &DemoSummary) -> String {
    let rows = &summary.rounds;
    let mut out = format!(
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>Dawn: demo report</title><style>{STYLE}</style><h1>Dawn demo</h1><p class='lead'>{}</p><div class='cards'>",
        escape(&summary.setting)
    );
    let pass = summary.audit == "PASS";
    let cards = [
        (
            if pass { "pass" } else { "fail" },
            summary.audit.clone(),
            "audit of every round".to_string(),
        ),
        (
            "",
            format!("{:.1} %", 100.0 * summary.accuracy),
            format!(
                "accuracy ({:.1} % without masks, noise and attackers)",
                100.0 * summary.accuracy_plain
            ),
        ),
        (
            "",
            epsilon_text(summary.epsilon),
            format!("epsilon at delta {:.1e}", summary.delta),
        ),
        (
            if summary.sum_errors == 0 {
                "pass"
            } else {
                "fail"
            },
            summary.sum_errors.to_string(),
            "coordinates opened wrongly".to_string(),
        ),
        (
            "",
            format!(
                "{} / {}",
                summary.stewards - summary.stewards_offline,
                summary.stewards
            ),
            "stewards alive at the end".to_string(),
        ),
        (
            "",
            format!("{:.0} s", summary.seconds),
            "whole run".to_string(),
        ),
    ];
    for (class, value, label) in cards {
        let _ = write!(
            out,
            "<div class='card {class}'><b>{}</b><span>{}</span></div>",
            escape(&value),
            escape(&label)
        );
    }
    out.push_str("</div><div class='plots'>");
    let axis = Axis::rounds(rows.len());
    let of = |f: &dyn Fn(usize) -> Option<f64>| (0..rows.len()).map(f).collect::<Vec<_>>();
    let mut accuracies = vec![
        Series {
            name: "plain",
            colour: COLOURS[5],
            values: of(&|i| Some(100.0 * rows[i].accuracy_plain)),
        },
        Series {
            name: "private",
            colour: COLOURS[0],
            values: of(&|i| Some(100.0 * rows[i].accuracy)),
        },
    ];
    if summary.attack.is_some() {
        accuracies.push(Series {
            name: "undefended",
            colour: COLOURS[3],
            values: of(&|i| rows[i].accuracy_undefended.map(|a| 100.0 * a)),
        });
    }
    out.push_str(&lines("Accuracy", "% of the test set", &axis, &accuracies));
    out.push_str(&lines(
        "Privacy spent",
        "epsilon, cumulative",
        &axis,
        &[Series {
            name: "epsilon",
            colour: COLOURS[3],
            values: of(&|i| rows[i].epsilon),
        }],
    ));
    out.push_str(&stacked_bars(
        "Participation",
        "devices",
        &axis,
        &[
            Series {
                name: "accepted",
                colour: COLOURS[2],
                values: of(&|i| Some(f64::from(rows[i].accepted))),
            },
            Series {
                name: "rejected",
                colour: COLOURS[3],
                values: of(&|i| Some(f64::from(rows[i].rejected))),
            },
            Series {
                name: "dropped",
                colour: COLOURS[5],
                values: of(&|i| Some(f64::from(rows[i].dropped))),
            },
        ],
    ));
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|r| &r.phases_ms) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let phases: Vec<Series<'_>> = names
        .iter()
        .enumerate()
        .map(|(k, name)| Series {
            name,
            colour: COLOURS[k % COLOURS.len()],
            values: of(&|i| {
                rows[i]
                    .phases_ms
                    .iter()
                    .find(|(n, _)| n == name)
                    .map(|(_, ms)| *ms as f64 / 1000.0)
            }),
        })
        .collect();
    out.push_str(&stacked_bars("Time per phase", "seconds", &axis, &phases));
    out.push_str(&stacked_bars(
        "Upload of one device",
        "kilobytes",
        &axis,
        &[Series {
            name: "bytes",
            colour: COLOURS[4],
            values: of(&|i| Some(rows[i].bytes_per_device as f64 / 1000.0)),
        }],
    ));
    out.push_str("</div><table><tr><th>round<th>submitted<th>accepted<th>rejected<th>dropped<th>accuracy<th>plain<th>epsilon<th>seconds<th>KB/device<th>outcome</tr>");
    for r in rows {
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1} %<td>{:.1} %<td>{}<td>{:.1}<td>{:.1}<td>{}</tr>",
            r.round,
            r.submitted,
            r.accepted,
            r.rejected,
            r.dropped,
            100.0 * r.accuracy,
            100.0 * r.accuracy_plain,
            epsilon_text(r.epsilon),
            r.seconds,
            r.bytes_per_device as f64 / 1000.0,
            escape(&r.outcome_text())
        );
    }
    let _ = write!(
        out,
        "</table><p class='lead'>Check it yourself: <code>{}</code><br>The digest is that of the federation's founding document; a stranger gets it from the organisations.</p></html>",
        escape(&summary.check)
    );
    out
}
