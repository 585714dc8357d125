//! A request as examples show it, independent of a language. Pure.

use crate::http::openapi::html::operation::Operation;
use crate::http::openapi::html::value::{entries, items};
use serde_json::Value;

/// What examples send for parameters other than ids.
const SAMPLES: [(&str, &str); 7] = [
    ("name", "pose_data.csv"),
    ("kind", "csv"),
    ("code", "queue_full"),
    ("Tus-Resumable", "1.0.0"),
    ("Upload-Length", "1048576"),
    ("Upload-Offset", "0"),
    ("X-HTTP-Method-Override", "HEAD"),
];

/// A request with sample values.
pub(super) struct ExampleRequest {
    /// In lower case.
    pub(super) method: String,
    /// With `{job}` or `{upload}` for the id.
    pub(super) path: String,
    /// Whose listener it goes to.
    pub(super) listener: ListenerOf,
    pub(super) headers: Vec<(String, &'static str)>,
    pub(super) body: Body,
    pub(super) answer: Answer,
}

/// Whose listener a request goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ListenerOf {
    Clients,
    Operators,
}

/// What a request sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Nothing,
    /// A form with the video.
    Form,
    /// The bytes of the video.
    Video,
}

/// What a response has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Headers alone.
    Headers,
    Json,
    Text,
    /// To be saved under this name.
    File(&'static str),
    /// Lines that come while they are read.
    Stream,
}

impl ExampleRequest {
    pub(super) fn of(operation: &Operation<'_>) -> Self {
        let Operation { method, path, about } = *operation;
        let id = if path.starts_with("/api/tus") { "{upload}" } else { "{job}" };
        let fill = |part| match place(part) {
            Some("id") => id,
            Some(name) => sample(name).unwrap_or(name),
            None => part,
        };
        let (body, media_type) = body(&about["requestBody"]);
        let mut headers = required_headers(about);
        headers.extend(media_type.map(|media_type| ("Content-Type".to_owned(), media_type)));
        let is_operators = about["tags"][0] == "operators";
        Self {
            method: method.to_owned(),
            path: path.split('/').map(fill).collect::<Vec<_>>().join("/"),
            listener: if is_operators { ListenerOf::Operators } else { ListenerOf::Clients },
            headers,
            body,
            answer: if method == "head" { Answer::Headers } else { answer(about) },
        }
    }
}

/// The name of the parameter that a part of a path stands for.
fn place(part: &str) -> Option<&str> {
    part.strip_prefix('{').and_then(|part| part.strip_suffix('}'))
}

fn sample(name: &str) -> Option<&'static str> {
    SAMPLES.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
}

fn required_headers(about: &Value) -> Vec<(String, &'static str)> {
    let parameters = items(&about["parameters"]).iter();
    let required = parameters.filter(|it| it["in"] == "header" && it["required"] == true);
    let named = required.filter_map(|it| it["name"].as_str());
    named.filter_map(|name| Some((name.to_owned(), sample(name)?))).collect()
}

/// A body, and its media type where the client has to state it.
fn body(about: &Value) -> (Body, Option<&'static str>) {
    let kinds: Vec<&str> = entries(&about["content"]).map(|(kind, _)| kind).collect();
    if kinds.contains(&"multipart/form-data") {
        (Body::Form, None)
    } else if kinds.contains(&"video/*") {
        (Body::Video, Some("video/mp4"))
    } else if about["required"] == true && !kinds.is_empty() {
        (Body::Video, Some("application/offset+octet-stream"))
    } else {
        (Body::Nothing, None)
    }
}

fn answer(about: &Value) -> Answer {
    let successes = entries(&about["responses"]).filter(|(status, _)| *status < "300");
    let kind = successes.flat_map(|(_, response)| entries(&response["content"])).next();
    match kind.map(|(kind, _)| kind) {
        None => Answer::Headers,
        Some("*/*") => Answer::File("pose_data.csv"),
        Some("application/zip") => Answer::File("results.zip"),
        Some("text/event-stream" | "application/x-ndjson") => Answer::Stream,
        Some(kind) if kind.ends_with("json") => Answer::Json,
        Some(_) => Answer::Text,
    }
}
