//! Schemas of the document: their fields and types.

use super::value::{entries, items, rich, text};
use crate::http::markup::{escaped, push};
use serde_json::Value;

/// Describes a schema that operations refer to.
pub(super) fn describe(html: &mut String, name: &str, schema: &Value) {
    push(html, format_args!("<h3 id=\"{0}\">{0}</h3>\n", escaped(name)));
    push(html, format_args!("<p>{}</p>\n", rich(&schema["description"])));
    if entries(&schema["properties"]).next().is_none() {
        return;
    }
    html.push_str("<dl>\n");
    for (name, field) in entries(&schema["properties"]) {
        let (name, kind) = (escaped(name), kind(field));
        let meaning = rich(&field["description"]);
        push(
            html,
            format_args!(
                "<dt><code>{name}</code> <span class=\"muted\">{kind}</span></dt><dd>{meaning}</dd>\n"
            ),
        );
    }
    html.push_str("</dl>\n");
}

/// Describes the type of a field.
fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => escaped(name),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => match items(&schema["oneOf"]) {
            [] => reference(schema),
            ways => ways.iter().map(kind).collect::<Vec<_>>().join(" or "),
        },
    }
}

/// The content of a body: its media type and a link to its schema.
pub(super) fn content(media_type: &str, body: &Value) -> String {
    format!("{} {}", escaped(media_type), reference(&body["schema"])).trim_end().to_owned()
}

fn reference(schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    name.map_or(String::new(), |name| format!("<a href=\"#{0}\">{0}</a>", escaped(name)))
}
