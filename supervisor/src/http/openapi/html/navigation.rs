//! The order of the operations on the page: what a first program needs, then the rest by tag.

use super::operation::Operation;
use super::value::{entries, items, rich, text};
use crate::http::markup::push;
use serde_json::Value;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// What a first program calls, in this order.
pub(super) const FIRST: [(&str, &str); 4] = [
    ("post", "/api/upload"),
    ("get", "/api/status/{id}"),
    ("get", "/api/serve/{id}/{name}"),
    ("delete", "/api/cleanup/{id}"),
];

/// A section of the page. Texts are escaped.
pub(super) struct Section<'a> {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) description: String,
    pub(super) operations: Vec<Operation<'a>>,
}

/// The sections in order; each operation is in one of them.
pub(super) fn sections(document: &Value) -> Vec<Section<'_>> {
    let all = operations(document);
    let is_first = |it: &Operation<'_>| FIRST.contains(&(it.method, it.path));
    let first =
        FIRST.iter().flat_map(|place| all.iter().filter(|it| (it.method, it.path) == *place));
    let start = Section {
        id: "start".into(),
        title: "Upload, wait, fetch, clean up".into(),
        description: "Four requests take a video to its results.".into(),
        operations: first.copied().collect(),
    };
    let of_tag = |tag: &Value| {
        let name = text(&tag["name"]);
        let rest = all.iter().filter(|it| it.has_tag(tag) && !is_first(it));
        Section {
            id: format!("tag-{name}"),
            title: title(&name),
            description: rich(&tag["description"]),
            operations: rest.copied().collect(),
        }
    };
    std::iter::once(start).chain(items(&document["tags"]).iter().map(of_tag)).collect()
}

fn operations(document: &Value) -> Vec<Operation<'_>> {
    let mut all = Vec::new();
    for (path, item) in entries(&document["paths"]) {
        let of_path = METHODS.map(|method| Operation { method, path, about: &item[method] });
        all.extend(of_path.into_iter().filter(|operation| operation.about.is_object()));
    }
    all
}

/// A tag's name with a capital letter.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// Links to all operations, folded where the page is narrow.
pub(super) fn render(sections: &[Section<'_>]) -> String {
    let mut html = String::from("<nav aria-label=\"Operations\">\n");
    for Section { id, title, operations, .. } in sections {
        push(&mut html, format_args!("<p><a href=\"#{id}\">{title}</a></p>\n<ul>\n"));
        for operation in operations {
            let (id, name) = (operation.id(), text(&operation.about["summary"]));
            // Has the name of its GET.
            let note = if operation.method == "head" { " (headers)" } else { "" };
            push(&mut html, format_args!("<li><a href=\"#{id}\">{name}{note}</a></li>\n"));
        }
        html.push_str("</ul>\n");
    }
    html.push_str("<p><a href=\"#schemas\">Schemas</a></p>\n</nav>\n");
    html
}
