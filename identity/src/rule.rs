//! Bounds on names and lists, and how a broken rule is reported.

/// A statement contradicts itself or exceeds a bound; the text names the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BrokenRule(pub &'static str);

impl BrokenRule {
    /// `Ok` when the rule holds, else the rule as an error.
    ///
    /// # Errors
    /// The rule, when it does not hold.
    pub fn unless(holds: bool, rule: &'static str) -> Result<(), Self> {
        if holds { Ok(()) } else { Err(Self(rule)) }
    }
}

/// Longest name or label, in bytes of UTF-8.
pub const MAX_NAME_BYTES: usize = 64;

/// Checks a name for people: 1 to [`MAX_NAME_BYTES`] bytes of printable text, without outer
/// spaces. Names end up in terminals and web pages, so control characters, line breaks and the
/// invisible characters that reorder or hide text are refused.
///
/// # Errors
/// The given rule.
pub fn check_name(name: &str, rule: &'static str) -> Result<(), BrokenRule> {
    let printable = |c: char| {
        !c.is_control()
            && (c == ' ' || !c.is_whitespace())
            && !matches!(c,
                '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
                | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    let bounded = (1..=MAX_NAME_BYTES).contains(&name.len());
    BrokenRule::unless(
        bounded && name.trim() == name && name.chars().all(printable),
        rule,
    )
}

/// Whether no two items are equal. For the short lists of this crate.
pub(crate) fn all_distinct<T: Ord>(items: impl IntoIterator<Item = T>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
