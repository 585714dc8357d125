//! Parts of the OpenAPI document as escaped text.

use crate::http::markup::escaped;
use serde_json::{Map, Value};

/// The entries of an object; none of anything else.
pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

/// The items of a list; none of anything else.
pub(super) fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A text, escaped.
pub(super) fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// A text, escaped, with code for what is in backquotes and links for addresses in angle brackets.
pub(super) fn rich(value: &Value) -> String {
    let text = text(value);
    let parts = text.split('`').enumerate().map(|(n, part)| match n % 2 {
        0 => linked(part),
        _ => format!("<code>{part}</code>"),
    });
    parts.collect()
}

fn linked(text: &str) -> String {
    let mut parts = text.split("&lt;https://");
    let mut html = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("&gt;") {
            Some((address, rest)) => {
                html += &format!("<a href=\"https://{address}\">{address}</a>{rest}");
            }
            None => html += &format!("&lt;https://{part}"),
        }
    }
    html
}
