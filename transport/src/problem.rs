//! RFC 9457 problem documents, as a server that may be hostile sends them.

use serde::Deserialize;

/// Longest problem document that is read, in bytes; a longer one is ignored and only its status reported.
pub const MAX_PROBLEM_BYTES: usize = 16 * 1024;
/// Longest text of one member that is kept, in characters.
const MAX_TEXT: usize = 1024;

/// A refusal: RFC 9457, section 3.1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The HTTP status code of the response (never the one claimed inside the document).
    pub status: u16,
    /// The problem type, a URI reference; `about:blank` when the server did not say.
    pub kind: String,
    /// Short, human-readable summary.
    pub title: String,
    /// What went wrong this time, and what to do.
    pub detail: String,
    /// Seconds after which the server wants to be asked again (`Retry-After`), when it said so.
    pub retry_after: Option<u64>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    detail: Option<String>,
}

impl Problem {
    /// Parses the body of a response with this status. A body that is no problem document still gives a problem:
    /// the status is what counts. Texts are cut and stripped of control characters, because they end in logs and
    /// on terminals.
    pub fn parse(status: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        let document = if body.len() <= MAX_PROBLEM_BYTES {
            serde_json::from_slice::<Document>(body).ok()
        } else {
            None
        };
        let (kind, title, detail) = match document {
            Some(document) => (document.kind, document.title, document.detail),
            None => (None, None, None),
        };
        Self {
            status,
            kind: clean(kind).unwrap_or_else(|| "about:blank".to_owned()),
            title: clean(title).unwrap_or_else(|| "no reason given".to_owned()),
            detail: clean(detail).unwrap_or_default(),
            retry_after,
        }
    }
}

fn clean(text: Option<String>) -> Option<String> {
    text.map(|text| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(MAX_TEXT)
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_the_members_and_keeps_the_real_status() {
        let body = br#"{"type":"https://dawn/problems/closed","title":"Closed","status":200,"detail":"too\u001b[2Jlate","extra":[1]}"#;
        let problem = Problem::parse(409, Some(3), body);
        assert_eq!(problem.status, 409);
        assert_eq!(problem.kind, "https://dawn/problems/closed");
        assert_eq!(problem.title, "Closed");
        assert_eq!(
            problem.detail, "too[2Jlate",
            "control characters never reach a terminal"
        );
        assert_eq!(problem.retry_after, Some(3));
    }

    #[test]
    fn long_texts_are_cut_and_long_documents_ignored() {
        let body = format!("{{\"title\":\"{}\"}}", "x".repeat(8000));
        assert_eq!(
            Problem::parse(500, None, body.as_bytes()).title.len(),
            MAX_TEXT
        );
        let body = format!("{{\"title\":\"{}\"}}", "x".repeat(MAX_PROBLEM_BYTES));
        assert_eq!(
            Problem::parse(500, None, body.as_bytes()).title,
            "no reason given"
        );
    }

    proptest! {
        #[test]
        fn garbage_still_gives_a_problem_with_the_status(body: Vec<u8>, status in 400u16..600) {
            let problem = Problem::parse(status, None, &body);
            prop_assert_eq!(problem.status, status);
            prop_assert!(problem.title.chars().count() <= MAX_TEXT);
        }
    }
}
