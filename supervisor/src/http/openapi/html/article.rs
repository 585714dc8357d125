//! The description of an operation: what it is for, examples, its parameters and its responses.

use super::operation::Operation;
use super::value::{entries, items, rich, text};
use super::{examples, schema};
use crate::http::markup::{escaped, push};
use serde_json::Value;

/// Appends the description of an operation.
pub(super) fn render(html: &mut String, operation: &Operation<'_>) {
    let (verb, path) = (operation.method.to_uppercase(), escaped(operation.path));
    let summary = text(&operation.about["summary"]);
    push(html, format_args!("<article>\n<h3 id=\"{}\">{summary}</h3>\n", operation.id()));
    push(html, format_args!("<p class=\"call\"><code>{verb} {path}</code></p>\n"));
    if operation.about["description"].is_string() {
        push(html, format_args!("<p>{}</p>\n", rich(&operation.about["description"])));
    }
    html.push_str(&examples::render(operation));
    parameters(html, operation);
    let bodies = entries(&operation.about["requestBody"]["content"]);
    let bodies: Vec<_> = bodies.map(|(kind, body)| schema::content(kind, body)).collect();
    if !bodies.is_empty() {
        push(html, format_args!("<p>Request body: {}.</p>\n", bodies.join(" or ")));
    }
    html.push_str("<h4>Responses</h4>\n");
    responses(html, &operation.responses(|status| status < "400"));
    let errors = operation.responses(|status| status >= "400");
    if !errors.is_empty() {
        html.push_str("<details><summary>Errors</summary>\n");
        responses(html, &errors);
        html.push_str("</details>\n");
    }
    html.push_str("</article>\n");
}

fn parameters(html: &mut String, operation: &Operation<'_>) {
    let all = items(&operation.about["parameters"]);
    let (required, optional): (Vec<_>, Vec<_>) = all.iter().partition(|it| it["required"] == true);
    list(html, &required);
    // Uploads have many: their options.
    if !optional.is_empty() {
        html.push_str("<details><summary>Optional parameters</summary>\n");
        list(html, &optional);
        html.push_str("</details>\n");
    }
}

fn list(html: &mut String, parameters: &[&Value]) {
    if parameters.is_empty() {
        return;
    }
    html.push_str("<dl>\n");
    for parameter in parameters {
        let (name, location) = (text(&parameter["name"]), text(&parameter["in"]));
        let meaning = rich(&parameter["description"]);
        push(
            html,
            format_args!(
                "<dt><code>{name}</code> <span class=\"muted\">in {location}</span></dt>\
                 <dd>{meaning}</dd>\n"
            ),
        );
    }
    html.push_str("</dl>\n");
}

fn responses(html: &mut String, responses: &[(&str, &Value)]) {
    html.push_str("<dl>\n");
    for (status, response) in responses {
        let bodies = entries(&response["content"]);
        let bodies: Vec<_> = bodies.map(|(kind, body)| schema::content(kind, body)).collect();
        let (status, bodies) = (escaped(status), bodies.join(", "));
        let meaning = rich(&response["description"]);
        push(
            html,
            format_args!(
                "<dt><code>{status}</code> <span class=\"muted\">{bodies}</span></dt>\
                 <dd>{meaning}</dd>\n"
            ),
        );
    }
    html.push_str("</dl>\n");
}
