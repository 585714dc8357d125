//! One operation of the document. Pure.

use super::value::{entries, text};
use serde_json::Value;

/// An operation of the document.
#[derive(Clone, Copy)]
pub(super) struct Operation<'a> {
    /// In lower case.
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    /// Its description.
    pub(super) about: &'a Value,
}

impl Operation<'_> {
    /// Its anchor on the page.
    pub(super) fn id(&self) -> String {
        text(&self.about["operationId"])
    }

    pub(super) fn has_tag(&self, tag: &Value) -> bool {
        self.about["tags"][0] == tag["name"]
    }

    /// The responses with this kind of status, in order.
    pub(super) fn responses(&self, is_error: impl Fn(&str) -> bool) -> Vec<(&str, &Value)> {
        let all = entries(&self.about["responses"]);
        all.filter(|(status, _)| is_error(status)).collect()
    }
}
