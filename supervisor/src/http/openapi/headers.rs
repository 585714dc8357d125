//! Response headers in the OpenAPI document: what each means, said once for all responses that declare it.

use crate::http::problem::catalogue::{Code, Remedy};
use std::collections::BTreeMap;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Response};

/// Name and meaning of each header that a response declares without saying what it means.
const MEANINGS: [(&str, &str); 22] = [
    ("Accept-Ranges", "`bytes`: a part can be requested with `Range`"),
    ("Content-Length", "Size of the file in bytes"),
    ("Content-Location", "URL of the status that is the content of this response"),
    ("Content-Range", "Position of the part in the file, and the size of the file, in bytes"),
    ("ETag", "Version of the file, for `If-Match`, `If-None-Match` and `If-Range`"),
    ("Job-Id", "Id of the job that the upload became, once it is complete"),
    ("Last-Modified", "When the file was written"),
    ("Location", "URL of the new resource"),
    ("Preference-Applied", "`wait=N`: how many seconds the service was ready to wait"),
    (
        "RateLimit",
        "How many uploads this client can begin now, and when all of them; if it is limited",
    ),
    ("RateLimit-Policy", "How many uploads per minute this client can begin; if it is limited"),
    ("Retry-After", "Seconds to wait before trying again"),
    ("Tus-Checksum-Algorithm", "Algorithms that `Upload-Checksum` can use, separated by commas"),
    ("Tus-Extension", "Supported extensions of the protocol, separated by commas"),
    ("Tus-Max-Size", "Maximum size of an upload in bytes"),
    ("Tus-Resumable", "Version of the protocol of this response"),
    ("Tus-Version", "Supported version of the protocol"),
    ("Upload-Expires", "When the upload is deleted if it is not complete by then"),
    ("Upload-Length", "Size of the video in bytes"),
    ("Upload-Metadata", "`filename` and options, as they were sent"),
    ("Upload-Offset", "Number of bytes that are stored on disk"),
    ("WWW-Authenticate", "Ways to send the token"),
];

/// The headers of an error response with these codes.
pub(crate) fn of_refusal(codes: &[Code]) -> Vec<(&'static str, Header)> {
    let text = |name| (name, of_type(Type::String));
    let mut headers = Vec::new();
    if codes.iter().any(|code| code.entry().cured_by == Remedy::Time) {
        headers.push(("Retry-After", of_type(Type::Integer)));
    }
    for (code, name) in [
        (Code::TokenRequired, "WWW-Authenticate"),
        (Code::RangeNotSatisfiable, "Content-Range"),
        (Code::TusVersion, "Tus-Version"),
    ] {
        headers.extend(codes.contains(&code).then(|| text(name)));
    }
    headers
}

fn of_type(kind: Type) -> Header {
    HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind).build())).build()
}

/// Adds the meaning of each header that has none yet.
pub(crate) fn describe(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            describe_response(response);
        }
    }
}

fn describe_response(response: &mut Response) {
    let meanings = BTreeMap::from(MEANINGS);
    for (name, header) in &mut response.headers {
        if let RefOr::T(header) = header
            && header.description.is_none()
        {
            header.description = meanings.get(name.as_str()).map(ToString::to_string);
        }
    }
}

/// Adds a header that all responses to an operation have.
pub(crate) fn add_to_all(operation: &mut Operation, name: &str) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.headers.insert(name.to_owned(), of_type(Type::String).into());
        }
    }
}
