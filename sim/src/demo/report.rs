//! The HTML report of a demo run: one self-contained file.

use std::fmt::Write as _;

use super::summary::{DemoSummary, epsilon_text};
use super::svg::{Series, escape, lines, stacked_bars};

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2430;--soft:#5b6776;--line:#d9dee5;--card:#fff;--page:#f5f7f9}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--soft:#9aa7b6;--line:#323b46;--card:#1a2027;--page:#11161b}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);margin:0 auto;max-width:1180px;padding:28px}
h1{font-size:24px;margin:0 0 4px}p.lead{color:var(--soft);margin:0 0 20px}
.cards{display:flex;flex-wrap:wrap;gap:12px;margin-bottom:20px}.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 16px;min-width:130px}
.card b{display:block;font-size:22px;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:13px}
.pass b{color:#1a7f4b}.fail b{color:#c0392b}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(440px,1fr));gap:16px}
figure{background:var(--card);border:1px solid var(--line);border-radius:8px;margin:0;padding:12px 14px}
figcaption{font-weight:600}.unit{color:var(--soft);font-weight:400;font-size:13px}.legend{float:right;font-weight:400;font-size:13px;color:var(--soft)}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 10px}
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:11px}svg .grid{stroke:var(--line)}
table{border-collapse:collapse;width:100%;margin-top:20px;background:var(--card);font-variant-numeric:tabular-nums}
th,td{padding:6px 10px;border-bottom:1px solid var(--line);text-align:right}th{color:var(--soft);font-weight:500}td:last-child,th:last-child{text-align:left}
";

const COLOURS: [&str; 6] = [
    "#2f6fde", "#e08a1e", "#2a9d6f", "#b0508c", "#7a6ff0", "#8a97a6",
];

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
    out.push_str(&lines("Accuracy", "% of the test set", &accuracies));
    out.push_str(&lines(
        "Privacy spent",
        "epsilon, cumulative",
        &[Series {
            name: "epsilon",
            colour: COLOURS[3],
            values: of(&|i| rows[i].epsilon),
        }],
    ));
    out.push_str(&stacked_bars(
        "Participation",
        "devices",
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
    out.push_str(&stacked_bars("Time per phase", "seconds", &phases));
    out.push_str(&stacked_bars(
        "Upload of one device",
        "kilobytes",
        &[Series {
            name: "bytes",
            colour: COLOURS[4],
            values: of(&|i| Some(rows[i].bytes_per_device as f64 / 1000.0)),
        }],
    ));
    out.push_str("</div><table><tr><th>round<th>submitted<th>accepted<th>rejected<th>dropped<th>accuracy<th>plain<th>epsilon<th>seconds<th>KB/device<th>outcome</tr>");
    for r in rows {
        let culprits = if r.culprits.is_empty() {
            String::new()
        } else {
            format!("; wrong answers from {}", r.culprits.join(", "))
        };
        let _ = write!(
            out,
            "<tr><td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.1} %<td>{:.1} %<td>{}<td>{:.1}<td>{:.1}<td>{}{}</tr>",
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
            escape(&r.outcome_text()),
            escape(&culprits)
        );
    }
    let _ = write!(
        out,
        "</table><p class='lead'>Check it yourself: <code>{}</code><br>The digest is that of the federation's founding document; a stranger gets it from the organisations.</p></html>",
        escape(&summary.check)
    );
    out
}
