//! The OpenAPI 3.1 document, generated from the handlers, and its HTML page.
//!
//! `http::router` adds a route and its description in one call, so that every route is described.
//! The error responses of handlers are declared here as sets of codes from the catalogue.

pub(crate) mod html;
pub(crate) mod info;
pub(crate) mod problems;

use crate::dispatcher::status::Status;
use crate::http::problem::Problem;
use crate::http::problem::catalogue::{Catalogue, Code, Entry, Remedy};
use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, PathItem, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, Modify, OpenApi, ToSchema};

/// The document without its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "BodyScript",
        description = "Turns videos into human pose data. Every error is a problem document \
            (RFC 9457) whose `code` is listed in `/api/problems`. Errors that a later retry may \
            resolve carry `Retry-After`. Except for health checks, every endpoint can return 429 \
            (`too_many_connections`) if a client has too many concurrent requests, and 503 \
            (`overloaded`) if the service has. Every response carries `X-Request-Id`, which also \
            appears in the log.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "jobs", description = "Uploads and jobs"),
        (name = "resumable", description = "Resumable uploads with tus 1.0.0 \
            (<https://tus.io/protocols/resumable-upload>)"),
        (name = "results", description = "The files of a completed job"),
        (name = "service", description = "Information about the service and its health"),
        (name = "operators", description = "Endpoints for operators: on the operator listener \
            (`operator_listen`) from the host of the service, or with the token (`token_file`)")
    ),
    components(schemas(Problem, Status, Catalogue)),
    modifiers(&SecuritySchemes)
)]
pub(crate) struct Outline;

struct SecuritySchemes;

impl Modify for SecuritySchemes {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let schemes = [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)];
        let components = document.components.get_or_insert_default();
        for (name, scheme) in schemes {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

macro_rules! refusals {
    ($($name:ident: $($code:ident)*;)*) => {$(
        /// A set of error responses.
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                responses_by_status(&[$(Code::$code,)* Code::Internal])
            }
        }
    )*};
}

refusals! {
    Unknown: UnknownAddress;
    JobRefusals: JobNotFound Stopping;
    EventRefusals: JobNotFound TooManyStreams Stopping;
    CleanupRefusals: JobNotFound OtherOrigin Stopping;
    CancelRefusals: JobNotFound AlreadyOver OtherOrigin Stopping;
    FileRefusals: UnknownAddress JobNotFound FileNotFound NotCompleted ConditionFailed
        RangeNotSatisfiable Stopping;
    UploadRefusals: UnsupportedMediaType MalformedQuery MalformedForm MissingFile RepeatedField ConflictingFields InvalidField
        WebhooksOff UploadTooLarge FormTooLarge UploadStalled UploadTooSlow UploadBroken QueueFull MemoryShort
        DiskFull JournalLost Overloaded TooManyUploads TooManyJobs KeyReused KeyBusy OtherOrigin Stopping;
    ResumableStartRefusals: TusVersion InvalidHeader RepeatedField ConflictingFields InvalidField
        WebhooksOff UploadTooLarge UploadBeyondLength UploadStalled UploadTooSlow UploadBroken UploadLocked
        ChecksumMismatch TooManyResumable QueueFull MemoryShort DiskFull JournalLost Overloaded TooManyUploads TooManyJobs
        OtherOrigin Stopping;
    ResumableAppendRefusals: TusVersion UnknownAddress UploadNotFound InvalidHeader
        UnsupportedMediaType OffsetConflict UploadBeyondLength UploadStalled UploadTooSlow
        UploadBroken UploadLocked ChecksumMismatch QueueFull MemoryShort DiskFull JournalLost Overloaded
        OtherOrigin Stopping;
    ResumableRefusals: Overloaded TusVersion UnknownAddress UploadNotFound UploadLocked OtherOrigin Stopping;
    OperatorRefusals: OperatorsOnly TokenRequired Stopping;
    ListRefusals: MalformedQuery InvalidField OperatorsOnly TokenRequired Stopping;
}

/// Groups the codes by status, one response each.
fn responses_by_status(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status = BTreeMap::<String, Vec<Entry>>::new();
    for entry in codes.iter().map(|code| code.entry()) {
        let status = entry.status.map_or(String::new(), |status| status.as_u16().to_string());
        by_status.entry(status).or_default().push(entry);
    }
    by_status.into_iter().map(|(status, entries)| (status, response(&entries).into())).collect()
}

fn response(entries: &[Entry]) -> Response {
    let mut description = String::new();
    for Entry { code, cause, .. } in entries {
        let gap = if description.is_empty() { "" } else { " " };
        write!(description, "{gap}`{code}`: {cause}").expect("writing to a string succeeds");
    }
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let mut response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content);
    if entries.iter().any(|entry| entry.cured_by == Remedy::Time) {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Integer).build()))
            .description(Some("Seconds to wait before trying again"))
            .build();
        response = response.header("Retry-After", header);
    }
    response.build()
}

/// A binary body.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "describes bodies that are streamed")]
pub(crate) struct Bytes(Vec<u8>);

/// The document as JSON and as HTML, generated once.
#[derive(Clone)]
pub(crate) struct Documents {
    json: Arc<str>,
    page: Arc<str>,
}

impl Documents {
    pub(crate) fn new(mut document: utoipa::openapi::OpenApi) -> Self {
        document.paths.paths.values_mut().for_each(describe_head);
        let value = serde_json::to_value(&document).expect("the document is plain data");
        Self { json: value.to_string().into(), page: html::page(&value).into() }
    }
}

/// Corrects HEAD operations described together with GET: they need an operation id of their own,
/// and their responses have no body (RFC 9110, 9.3.2).
fn describe_head(item: &mut PathItem) {
    let Some(head) = &mut item.head else { return };
    if item.get.is_some() {
        let id = head.operation_id.take();
        head.operation_id = id.map(|id| format!("{id}_headers"));
    }
    for response in head.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            response.content.clear();
        }
    }
}

/// This OpenAPI document
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "get_openapi",
    responses((status = 200, description = "The OpenAPI document", body = Object,
        content_type = "application/json")))]
pub(crate) async fn json(Extension(documents): Extension<Documents>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], documents.json.to_string())
}

/// This documentation as a web page
#[utoipa::path(get, path = "/docs", tag = "service", operation_id = "get_docs",
    responses((status = 200, description = "This page", body = String, content_type = "text/html")))]
pub(crate) async fn page(Extension(documents): Extension<Documents>) -> Html<String> {
    Html(documents.page.to_string())
}

/// Style sheet of the documentation
#[utoipa::path(get, path = "/docs.css", tag = "service", operation_id = "get_docs_style",
    responses((status = 200, description = "The style sheet", body = String,
        content_type = "text/css")))]
pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], html::STYLE)
}
