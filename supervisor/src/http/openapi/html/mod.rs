//! Renders the OpenAPI document as an HTML page without scripts.
//!
//! Done once, by `openapi`. All text is escaped, although none comes from clients.

mod article;
mod examples;
mod navigation;
mod operation;
mod schema;
mod value;

use crate::http::markup::push;
use navigation::{Section, sections};
use serde_json::Value;
use value::{entries, rich, text};

/// The style sheet of the page.
pub(crate) const STYLE: &str = include_str!("../../../../assets/docs.css");

/// Renders the page.
pub(crate) fn page(document: &Value) -> String {
    let title = text(&document["info"]["title"]);
    let sections = sections(document);
    let mut html = head(&title);
    push(&mut html, format_args!("{}<main id=\"main\">\n", navigation::render(&sections)));
    push(
        &mut html,
        format_args!(
            "<h1>{title} API</h1>\n<p class=\"lead\">{}</p>\n\
             <p class=\"muted\">Version {}. Also: <a href=\"/openapi.json\">openapi.json</a>, \
             <a href=\"/api/problems\">all error codes</a>.</p>\n",
            rich(&document["info"]["description"]),
            text(&document["info"]["version"]),
        ),
    );
    html.push_str(&examples::preparation());
    for Section { id, title, description, operations } in &sections {
        push(&mut html, format_args!("<section aria-labelledby=\"{id}\">\n"));
        push(&mut html, format_args!("<h2 id=\"{id}\">{title}</h2>\n<p>{description}</p>\n"));
        operations.iter().for_each(|operation| article::render(&mut html, operation));
        html.push_str("</section>\n");
    }
    html.push_str("<section aria-labelledby=\"schemas\">\n<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, schema) in entries(&document["components"]["schemas"]) {
        schema::describe(&mut html, name, schema);
    }
    html.push_str("</section>\n</main>\n</div>\n</body>\n</html>\n");
    html
}

/// The beginning of the page, with the bar that leads to the upload page.
fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title} API documentation</title>\n\
         <link rel=\"icon\" href=\"/assets/icon.svg\" type=\"image/svg+xml\">\n\
         <link rel=\"stylesheet\" href=\"/assets/base.css\">\n\
         <link rel=\"stylesheet\" href=\"/docs.css\">\n\
         </head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to content</a>\n\
         <header class=\"bar\"><a class=\"brand\" href=\"/\">\
         <img src=\"/assets/icon.svg\" alt=\"\" width=\"26\" height=\"26\">{title}</a></header>\n\
         <div class=\"page\">\n"
    )
}

#[cfg(test)]
mod tests;
