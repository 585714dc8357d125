//! What `bodyscript doctor` finds, and how it is printed.

use serde::Serialize;

/// What was found about one part of the service.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) what: String,
    pub(crate) state: State,
    pub(crate) detail: String,
}

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum State {
    /// As it should be.
    Good,
    /// Weaker than it could be, but permitted.
    Weak,
    /// The service does not work.
    Bad,
}

/// A finding.
pub(crate) fn finding(what: impl Into<String>, state: State, detail: impl Into<String>) -> Finding {
    Finding { what: what.into(), state, detail: detail.into() }
}

/// Findings as text, one a line.
pub(crate) fn table(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    let line = |Finding { what, state, detail }: &Finding| {
        let state = match state {
            State::Good => "good",
            State::Weak => "weak",
            State::Bad => "BAD ",
        };
        format!("{what:width$}  {state}  {detail}\n")
    };
    findings.iter().map(line).collect()
}
