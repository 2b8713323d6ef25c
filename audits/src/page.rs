//! The answer of an audit as one page: no scripts, nothing from elsewhere, readable in print. Everything that somebody else
//! chose is escaped.

use std::fmt::Write as _;

use dawn_protocol::RoundId;

use crate::checks::Check;
use crate::report::{Answer, AuditReport, RoundReport};
use crate::verify::Mode;

const STYLE: &str = ":root{color-scheme:light dark;--text:#1b1b1b;--page:#fff;--soft:#555;--rule:#888;--line:#e2e2e2;\
--good:#1a7f37;--good-page:#eef8f0;--bad:#b3261e;--bad-page:#fdf0ef;--open:#8a5a00}\
@media (prefers-color-scheme:dark){:root{--text:#e4e4e2;--page:#16181b;--soft:#a9adb3;--rule:#70757c;--line:#2d3136;\
--good:#63c97c;--good-page:#16291c;--bad:#ff8a80;--bad-page:#331a1a;--open:#e0ac4f}}\
body{font:15px/1.5 Georgia,serif;color:var(--text);background:var(--page);max-width:56em;margin:2em auto;padding:0 1.2em}\
h1{font-size:1.7em;line-height:1.25;margin:0}h2{font-size:1.25em;margin:2em 0 .4em;border-bottom:1px solid var(--rule)}h3{font-size:1em;margin:1.4em 0 .3em}\
table{border-collapse:collapse;width:100%;font-size:.92em}td,th{padding:.25em .9em .25em 0;vertical-align:top;text-align:left;font-weight:400}\
th{font-weight:600}.facts th{white-space:nowrap;width:6em}.facts tr+tr>*,.checks tr+tr>*,.people tbody+tbody tr:first-child>*{border-top:1px solid var(--line)}\
.people thead th{border-bottom:1px solid var(--rule)}.people .id td{padding-top:0;color:var(--soft)}.checks td:nth-child(-n+2){width:1.6em}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font:12px/1.4 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}\
.answer{font-size:1.2em;padding:.7em 1em;margin:1em 0;border-left:6px solid;overflow-wrap:anywhere}.pass{border-color:var(--good);background:var(--good-page)}\
.fail{border-color:var(--bad);background:var(--bad-page)}.holds{color:var(--good)}.broken{color:var(--bad);font-weight:700}.unchecked{color:var(--open)}\
.absent,.not-reached,.small{color:var(--soft)}.small{font-size:.88em}ul{padding-left:1.2em}li{overflow-wrap:anywhere}\
@media (max-width:36em){body{margin:1em auto;padding:0 .8em}.people{font-size:.84em}td,th{padding-right:.6em}.facts th,.facts td{display:block;width:auto}\
.facts th{padding-bottom:0}.facts td{border-top:0!important}}\
@media print{:root{--text:#000;--page:#fff;--soft:#444;--good:#1a7f37;--good-page:#eef8f0;--bad:#b3261e;--bad-page:#fdf0ef;--open:#8a5a00;--line:#ccc}\
body{margin:0;max-width:none;font-size:11pt}h2,h3,tr{break-inside:avoid;break-after:auto}.answer{-webkit-print-color-adjust:exact;print-color-adjust:exact}}";

/// The page, as HTML.
pub fn page(report: &AuditReport) -> String {
    let mut out = String::new();
    let title = match &report.rounds[..] {
        [round] => format!("Audit of round {} of {}", round.number, task(round)),
        rounds => format!("Audit of {} rounds", rounds.len()),
    };
    let title = escape(&title);
    let _ = write!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>{title}</title><style>{STYLE}</style></head><body><h1>{title}</h1>"
    );
    answer(&mut out, report);
    checks(&mut out, report);
    for shown in &report.rounds {
        round(&mut out, shown, report.mode);
    }
    if !report.unchecked.is_empty() {
        out.push_str("<h2>Not checked</h2><ul>");
        for what in &report.unchecked {
            let _ = write!(out, "<li>{}</li>", escape(what));
        }
        out.push_str("</ul>");
    }
    let _ = write!(
        out,
        "<p class=\"small\">Made by {}. The rules are in docs/audit.md; whoever has the transcripts can repeat this audit.</p></body></html>",
        crate::signed_report::SOFTWARE
    );
    out
}

fn answer(out: &mut String, report: &AuditReport) {
    match &report.finding {
        None if report.answer == Answer::Incomplete => out.push_str(
            "<p class=\"answer\"><b>INCOMPLETE.</b> No rule was found broken, and the service did not give everything that is over.</p>",
        ),
        None if report.mode == Mode::Light => out.push_str(
            "<p class=\"answer pass\"><b>PASS, light.</b> Signatures and digests hold together; nothing was executed again.</p>",
        ),
        None => out.push_str(
            "<p class=\"answer pass\"><b>PASS.</b> Everything that was here was executed again and follows.</p>",
        ),
        Some(finding) => {
            let _ = write!(
                out,
                "<p class=\"answer fail\"><b>FAIL {}.</b> {}.<br>To blame: {}.<br>In {}: {}</p>",
                finding.rule.number(),
                escape(finding.rule.title()),
                escape(&finding.culprit.to_string()),
                escape(report.place.as_deref().unwrap_or("what was given")),
                escape(&finding.detail)
            );
        }
    }
    out.push_str("<table class=\"facts\">");
    if let Some(federation) = &report.federation {
        let trust = match report.federation_pinned {
            true => "pinned by the auditor",
            false => "not pinned: taken from the transcript itself",
        };
        row(
            out,
            "Federation",
            &format!("<code>{federation}</code><br>{trust}"),
        );
    }
    if let Some(log) = &report.log {
        let mut text = format!(
            "{} entries under root <code>{}</code>; the {} statements of these rounds are all in it",
            log.size, log.root, log.statements_found
        );
        if let Some(seen) = &log.witnesses {
            let needed = seen
                .needed
                .map_or(String::new(), |needed| format!(", T is {needed}"));
            let _ = write!(
                text,
                "<br>the first {} entries are cosigned by {} stewards of the newest roster{needed}",
                seen.size, seen.cosigned
            );
        }
        row(out, "Log", &text);
    }
    out.push_str("</table>");
}

fn checks(out: &mut String, report: &AuditReport) {
    out.push_str("<h2>Every check</h2><table class=\"checks\">");
    for (rule, check) in report.checks() {
        let (class, sign, said) = match check {
            Check::Holds => ("holds", "\u{2713}", ""),
            Check::Broken => ("broken", "\u{2717}", " \u{2014} broken"),
            Check::Unchecked => ("unchecked", "?", " \u{2014} not checked"),
            Check::NotReached => ("not-reached", "\u{2013}", " \u{2014} not reached"),
            Check::Absent => ("absent", "\u{2013}", " \u{2014} nothing here"),
        };
        let _ = write!(
            out,
            "<tr><td class=\"{class}\">{sign}</td><td>{}</td><td>{}<span class=\"{class}\">{said}</span></td></tr>",
            rule.number(),
            escape(rule.title())
        );
    }
    out.push_str("</table>");
}

fn round(out: &mut String, round: &RoundReport, mode: Mode) {
    let details = &round.details;
    let id = RoundId::new(round.task, round.number);
    let _ = write!(
        out,
        "<h2>Round {} of {}</h2><table class=\"facts\">",
        round.number,
        escape(&task(round))
    );
    match &round.aborted {
        Some(reason) => row(out, "Ended", &format!("aborted: {}", escape(reason))),
        None => {
            let noise = match round.noise {
                0 => String::new(),
                count => format!(", with the noise of {count} stewards"),
            };
            let text = format!(
                "opened: the sum of {} of {} submissions{noise}",
                round.accepted, round.submitted
            );
            row(out, "Ended", &text);
        }
    }
    row(
        out,
        "Identifier",
        &format!("<code>{id}</code> of task <code>{}</code>", round.task),
    );
    if let Some(opened) = details.opened_ms {
        let closed = match details.closed_ms {
            Some(closed) => format!(
                "; closed {} ({:.1} s later)",
                moment(closed),
                closed.saturating_sub(opened) as f64 / 1000.0
            ),
            None => String::new(),
        };
        let text = format!("{}{closed}, by the aggregator's clock", moment(opened));
        row(out, "Opened", &text);
    }
    let mut budget = format!(
        "{} micro-rho for this round",
        grouped(round.charge_micro_rho)
    );
    if let Some(spent) = round.spent_micro_rho {
        let _ = write!(budget, ", {} spent with it", grouped(spent));
    }
    match details.budget_micro_rho {
        Some(most) => {
            let _ = write!(budget, " of a budget of {}", grouped(most));
        }
        None => budget.push_str("; the task has no budget"),
    }
    if let Some(epsilon) = round.epsilon {
        let _ = write!(
            budget,
            "; epsilon {epsilon:.3} at delta 10<sup>-{}</sup>",
            details.delta_exponent
        );
    }
    row(out, "Privacy", &budget);
    row(
        out,
        "Model",
        &format!(
            "from <code>{}</code><br>to <code>{}</code>",
            round.model, round.next_model
        ),
    );
    if let Some(sum) = &round.sum {
        row(out, "Sum", &format!("<code>{sum}</code>"));
    }
    if let Some(transcript) = &details.transcript {
        row(out, "Transcript", &format!("<code>{transcript}</code>"));
    }
    out.push_str("</table>");
    organisations(out, round);
    stewards(out, round, mode);
}

fn organisations(out: &mut String, round: &RoundReport) {
    let organisations = &round.details.organisations;
    if organisations.is_empty() {
        return;
    }
    out.push_str(
        "<h3>Who took part</h3><table class=\"people\"><thead><tr><th>Organisation</th><th class=\"n\">Submitted</th>\
         <th class=\"n\">In the sum</th><th class=\"n\">Left out</th><th>Why</th></tr></thead>",
    );
    for org in organisations {
        let left_out: u32 = org.rejected.values().sum();
        let why = org
            .rejected
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"));
        let why = why.collect::<Vec<_>>().join(", ");
        let name = match org.name.as_str() {
            "" => "(not a member)",
            name => name,
        };
        let _ = write!(
            out,
            "<tbody><tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{left_out}</td><td>{}</td></tr>\
             <tr class=\"id\"><td colspan=\"5\"><code>{}</code></td></tr></tbody>",
            escape(name),
            org.submitted,
            org.accepted,
            escape(&why),
            org.id
        );
    }
    out.push_str("</table>");
}

fn stewards(out: &mut String, round: &RoundReport, mode: Mode) {
    // What a steward answered is looked into by a full audit alone.
    let (class, lied, opened) = match mode {
        Mode::Full => (
            "broken",
            "answered wrongly about a submission",
            "opened wrongly",
        ),
        Mode::Light => (
            "unchecked",
            "accused of a wrong answer about a submission (not checked)",
            "accused of a wrong opening (not checked)",
        ),
    };
    out.push_str(
        "<h3>Stewards</h3><table class=\"people\"><thead><tr><th>Steward of</th><th>Sealing key</th><th>Endorsed</th>\
         <th>Reported</th><th>Opened</th><th></th></tr></thead>",
    );
    for steward in &round.details.stewards {
        let tick = |did| if did { "\u{2713}" } else { "\u{2013}" };
        let mut said = Vec::new();
        if round.lying_stewards.contains(&steward.id) {
            said.push(lied);
        }
        if round.wrong_stewards.contains(&steward.id) {
            said.push(opened);
        }
        let _ = write!(
            out,
            "<tbody><tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{}</td></tr>\
             <tr class=\"id\"><td colspan=\"6\"><code>{}</code></td></tr></tbody>",
            escape(&steward.organisation),
            tick(steward.seated),
            tick(steward.endorsed),
            tick(steward.reported),
            tick(steward.opened),
            said.join(", "),
            steward.id
        );
    }
    out.push_str("</table>");
}

/// `text` is HTML.
fn row(out: &mut String, name: &str, text: &str) {
    let _ = write!(out, "<tr><th>{name}</th><td>{text}</td></tr>");
}

fn task(round: &RoundReport) -> String {
    match round.details.task_name.as_str() {
        "" => format!("task {}", round.task),
        name => format!("\u{201c}{name}\u{201d}"),
    }
}

/// A number with a thin space between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A time in UTC: `2027-01-15 08:00:00 UTC`.
fn moment(ms: u64) -> String {
    let seconds = ms / 1000;
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    // Days since 1970 to a date of the proleptic Gregorian calendar, in years that begin with March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Text in an element or a quoted attribute.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{escape, grouped, moment};

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_201_028), "1\u{202f}201\u{202f}028");
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(moment(1_800_000_000_999), "2027-01-15 08:00:00 UTC");
        assert_eq!(moment(4_102_444_799_000), "2099-12-31 23:59:59 UTC");
    }

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(escape("<a b='\"&\">"), "&lt;a b=&#39;&quot;&amp;&quot;&gt;");
    }
}
