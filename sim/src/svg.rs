//! Small inline SVG charts for reports: lines and stacked bars, readable without scripts.
//!
//! One file of markup beats a plotting dependency here: the report must open offline, years later.

use std::fmt::Write as _;

/// The style of a report.
pub const STYLE: &str = "
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

/// Colours for series.
pub const COLOURS: [&str; 6] = [
    "#2f6fde", "#e08a1e", "#2a9d6f", "#b0508c", "#7a6ff0", "#8a97a6",
];

/// What is along the bottom of a chart.
pub struct Axis {
    /// What its places are.
    pub name: String,
    /// One label a place.
    pub labels: Vec<String>,
}

impl Axis {
    /// Rounds from 1 on.
    pub fn rounds(count: usize) -> Self {
        Self {
            name: "round".into(),
            labels: (1..=count).map(|round| round.to_string()).collect(),
        }
    }
}

/// A named series of one value per place of the axis; `None` leaves a gap.
pub struct Series<'a> {
    /// What the legend says.
    pub name: &'a str,
    /// A CSS colour.
    pub colour: &'a str,
    /// One value per place, from the left.
    pub values: Vec<Option<f64>>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;

/// A line chart with one point per place.
pub fn lines(title: &str, unit: &str, axis: &Axis, series: &[Series<'_>]) -> String {
    let top = series
        .iter()
        .flat_map(|s| s.values.iter().flatten())
        .fold(0.0f64, |a, b| a.max(*b));
    let top = round_up(top);
    let rounds = axis.labels.len();
    let mut out = frame(title, unit, top, axis, series);
    for s in series {
        let points: Vec<(f64, f64)> = s
            .values
            .iter()
            .enumerate()
            .filter_map(|(i, v)| v.map(|v| (x_at(i, rounds), y_at(v, top))))
            .collect();
        if points.is_empty() {
            let _ = write!(
                out,
                "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{}: nothing finite to show</text>",
                (WIDTH + LEFT) / 2.0,
                HEIGHT / 2.0,
                escape(s.name)
            );
        }
        let path: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = write!(
            out,
            "<polyline fill='none' stroke='{}' stroke-width='2' points='{}'/>",
            s.colour,
            path.join(" ")
        );
        for ((x, y), value) in points.iter().zip(s.values.iter().flatten()) {
            let _ = write!(
                out,
                "<circle cx='{x:.1}' cy='{y:.1}' r='3' fill='{}'><title>{}: {}</title></circle>",
                s.colour,
                escape(s.name),
                number(*value)
            );
        }
    }
    out.push_str("</svg></figure>");
    out
}

/// Bars with the series stacked upon each other, one bar per place.
pub fn stacked_bars(title: &str, unit: &str, axis: &Axis, series: &[Series<'_>]) -> String {
    let rounds = axis.labels.len();
    let total = |i: usize| -> f64 {
        series
            .iter()
            .filter_map(|s| s.values.get(i).copied().flatten())
            .sum()
    };
    let top = round_up((0..rounds).map(total).fold(0.0f64, f64::max));
    let mut out = frame(title, unit, top, axis, series);
    let width = ((WIDTH - LEFT - RIGHT) / rounds.max(1) as f64 * 0.62).min(34.0);
    for i in 0..rounds {
        let mut base = 0.0;
        for s in series {
            let Some(value) = s.values.get(i).copied().flatten() else {
                continue;
            };
            let (low, high) = (y_at(base, top), y_at(base + value, top));
            base += value;
            let _ = write!(
                out,
                "<rect x='{:.1}' y='{high:.1}' width='{width:.1}' height='{:.1}' fill='{}'><title>{}: {}</title></rect>",
                x_at(i, rounds) - width / 2.0,
                (low - high).max(0.0),
                s.colour,
                escape(s.name),
                number(value)
            );
        }
    }
    out.push_str("</svg></figure>");
    out
}

/// The top of the axis: the smallest of 1, 2, 4, 6, 8 or 10 times a power of ten that is not below the
/// largest value, so that the four grid lines have short numbers.
fn round_up(largest: f64) -> f64 {
    if largest <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(largest.log10().floor());
    [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|top| *top >= largest)
        .unwrap_or(largest)
}

fn x_at(index: usize, rounds: usize) -> f64 {
    let step = (WIDTH - LEFT - RIGHT) / rounds.max(1) as f64;
    LEFT + step * (index as f64 + 0.5)
}

fn y_at(value: f64, top: f64) -> f64 {
    let top = if top > 0.0 { top } else { 1.0 };
    TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - value / top)
}

fn frame(title: &str, unit: &str, top: f64, axis: &Axis, series: &[Series<'_>]) -> String {
    let rounds = axis.labels.len();
    let mut out = format!(
        "<figure><figcaption>{} <span class='unit'>{}</span><span class='legend'>",
        escape(title),
        escape(unit)
    );
    for s in series {
        let _ = write!(
            out,
            "<i style='background:{}'></i>{} ",
            s.colour,
            escape(s.name)
        );
    }
    let _ = write!(
        out,
        "</span></figcaption><svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{}'>",
        escape(title)
    );
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let y = y_at(value, top);
        let _ = write!(
            out,
            "<line x1='{LEFT}' x2='{:.1}' y1='{y:.1}' y2='{y:.1}' class='grid'/><text x='{:.1}' y='{:.1}' text-anchor='end'>{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            number(value)
        );
    }
    // At most ten labels, so that a hundred rounds stay readable.
    let every = rounds.div_ceil(10).max(1);
    for i in (0..rounds).step_by(every) {
        let _ = write!(
            out,
            "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
            x_at(i, rounds),
            HEIGHT - BOTTOM + 16.0,
            escape(&axis.labels[i])
        );
    }
    let _ = write!(
        out,
        "<text x='{:.1}' y='{:.1}' text-anchor='middle'>{}</text>",
        (WIDTH + LEFT) / 2.0,
        HEIGHT - 4.0,
        escape(&axis.name)
    );
    out
}

fn number(value: f64) -> String {
    if value == value.trunc() || value.abs() >= 1000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// Escapes text for HTML and single-quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_cannot_leave_their_place() {
        let chart = lines(
            "<script>",
            "'",
            &Axis::rounds(3),
            &[Series {
                name: "'/><script>",
                colour: "#000",
                values: vec![Some(1.0), None, Some(2.0)],
            }],
        );
        assert!(!chart.contains("<script>"));
        assert_eq!(chart.matches("<circle").count(), 2);
    }

    #[test]
    fn axes_end_at_short_numbers() {
        for (largest, top) in [
            (0.0, 1.0),
            (94.2, 100.0),
            (11.8, 20.0),
            (57.8, 60.0),
            (0.3, 0.4),
        ] {
            assert!((round_up(largest) - top).abs() < 1e-9, "{largest}");
        }
    }

    #[test]
    fn empty_charts_are_still_charts() {
        assert!(lines("a", "b", &Axis::rounds(0), &[]).ends_with("</svg></figure>"));
        assert!(stacked_bars("a", "b", &Axis::rounds(0), &[]).ends_with("</svg></figure>"));
    }
}
