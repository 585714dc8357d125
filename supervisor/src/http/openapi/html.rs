//! Renders the OpenAPI document as an HTML page without scripts.
//!
//! Done once, by `openapi`. All text is escaped, although none comes from clients.

use serde_json::{Map, Value};
use std::fmt::Write;

/// The style sheet of the page.
pub(crate) const STYLE: &str = include_str!("../../../assets/docs.css");

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// Renders the page.
pub(crate) fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title} API documentation</title>\n<link rel=\"stylesheet\" href=\"/docs.css\">\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{}</p>\n\
         <p>Version {}. See also: <a href=\"/openapi.json\">openapi.json</a>, \
         <a href=\"/api/problems\">error codes</a>.</p>\n",
        code(&document["info"]["description"]),
        text(&document["info"]["version"]),
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        let description = code(&tag["description"]);
        push(&mut html, format_args!("<h2>{}</h2>\n<p>{description}</p>\n", text(&tag["name"])));
        for (path, item) in entries(&document["paths"]) {
            for method in METHODS {
                let operation = &item[method];
                if operation["tags"][0] == tag["name"] {
                    describe(&mut html, (method, path), operation);
                }
            }
        }
    }
    html.push_str("<h2>Schemas</h2>\n");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        push(&mut html, format_args!("<h3 id=\"{0}\">{0}</h3>\n", escaped(name)));
        push(&mut html, format_args!("<p>{}</p>\n", code(&schema["description"])));
        fields(&mut html, schema);
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn describe(html: &mut String, (method, path): (&str, &str), operation: &Value) {
    let (verb, path) = (method.to_uppercase(), escaped(path));
    push(html, format_args!("<h3><code>{verb} {path}</code></h3>\n"));
    push(html, format_args!("<p>{}</p>\n", code(&operation["summary"])));
    if operation["description"].is_string() {
        push(html, format_args!("<p>{}</p>\n", code(&operation["description"])));
    }
    let parameters = operation["parameters"].as_array();
    if let Some(parameters) = parameters.filter(|list| !list.is_empty()) {
        html.push_str("<dl>\n");
        for parameter in parameters {
            let (name, location) = (text(&parameter["name"]), text(&parameter["in"]));
            let meaning = code(&parameter["description"]);
            push(
                html,
                format_args!("<dt><code>{name}</code> in {location}</dt><dd>{meaning}</dd>\n"),
            );
        }
        html.push_str("</dl>\n");
    }
    for (kind, body) in entries(&operation["requestBody"]["content"]) {
        push(html, format_args!("<p>Request body: {}.</p>\n", content(kind, body)));
    }
    html.push_str(
        "<table>\n<thead><tr><th>Status</th><th>Meaning</th><th>Body</th></tr></thead>\n",
    );
    for (status, response) in entries(&operation["responses"]) {
        let bodies: Vec<_> =
            entries(&response["content"]).map(|(kind, body)| content(kind, body)).collect();
        let meaning = code(&response["description"]);
        let bodies = bodies.join(", ");
        let status = escaped(status);
        push(html, format_args!("<tr><td>{status}</td><td>{meaning}</td><td>{bodies}</td></tr>\n"));
    }
    html.push_str("</table>\n");
}

fn content(kind: &str, body: &Value) -> String {
    let schema = reference(&body["schema"]);
    if schema.is_empty() { escaped(kind) } else { format!("{} {schema}", escaped(kind)) }
}

fn fields(html: &mut String, schema: &Value) {
    if entries(&schema["properties"]).next().is_none() {
        return;
    }
    html.push_str("<dl>\n");
    for (name, field) in entries(&schema["properties"]) {
        let (name, kind) = (escaped(name), kind(field));
        let meaning = code(&field["description"]);
        push(html, format_args!("<dt><code>{name}</code> {kind}</dt><dd>{meaning}</dd>\n"));
    }
    html.push_str("</dl>\n");
}

/// Describes the type of a field.
fn kind(schema: &Value) -> String {
    match &schema["type"] {
        Value::String(name) if name == "array" => format!("list of {}", kind(&schema["items"])),
        Value::String(name) => escaped(name),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => match schema["oneOf"].as_array() {
            Some(ways) => ways.iter().map(kind).collect::<Vec<_>>().join(" or "),
            None => reference(schema),
        },
    }
}

fn reference(schema: &Value) -> String {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    name.map_or(String::new(), |name| format!("<a href=\"#{0}\">{0}</a>", escaped(name)))
}

fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter).map(|(key, value)| (key.as_str(), value))
}

fn text(value: &Value) -> String {
    escaped(value.as_str().unwrap_or_default())
}

/// Escapes a text and renders parts in backquotes as code.
fn code(value: &Value) -> String {
    let mut html = String::new();
    for (n, part) in text(value).split('`').enumerate() {
        match n % 2 {
            0 => html.push_str(part),
            _ => push(&mut html, format_args!("<code>{part}</code>")),
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn push(html: &mut String, what: std::fmt::Arguments<'_>) {
    html.write_fmt(what).expect("writing to a string succeeds");
}
