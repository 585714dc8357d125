//! Examples of an operation for curl, Python and JavaScript, made from its description.

mod languages;
mod request;

use super::operation::Operation;
use crate::http::markup::{escaped, push};
use languages::LANGUAGES;
use request::ExampleRequest;

/// What all examples take for granted.
pub(super) fn preparation() -> String {
    let mut html = String::from(
        "<section aria-labelledby=\"before\">\n<h2 id=\"before\">Before the examples</h2>\n\
         <p>All examples use these values. Operators have a listener of their own.</p>\n",
    );
    let first = LANGUAGES.map(|language| (language.name, language.preparation.to_owned()));
    html.push_str(&blocks("before", &first));
    html.push_str("</section>\n");
    html
}

/// The examples of an operation.
pub(super) fn render(operation: &Operation<'_>) -> String {
    let request = ExampleRequest::of(operation);
    blocks(
        &operation.id(),
        &LANGUAGES.map(|language| (language.name, (language.example)(&request))),
    )
}

/// Blocks of code of which one is open at a time, the first at the start.
fn blocks(group: &str, blocks: &[(&str, String)]) -> String {
    let mut html = String::from("<div class=\"examples\">\n");
    for (n, (name, code)) in blocks.iter().enumerate() {
        let open = if n == 0 { " open" } else { "" };
        push(
            &mut html,
            format_args!(
                "<details name=\"example-{group}\"{open}><summary>{name}</summary>\n\
                 <pre tabindex=\"0\"><code>{}</code></pre></details>\n",
                escaped(code)
            ),
        );
    }
    html.push_str("</div>\n");
    html
}
