//! Text as HTML. Used by all that builds pages.

use std::fmt::{Arguments, Write};

/// Escapes a text for use in elements and in quoted attributes.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Appends HTML.
pub(crate) fn push(html: &mut String, what: Arguments<'_>) {
    html.write_fmt(what).expect("writing to a string succeeds");
}
