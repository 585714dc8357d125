//! The OpenAPI 3.1 document, generated from the handlers, and its HTML page.
//!
//! `http::router` adds a route and its description in one call, so that every route is described.

mod headers;
pub(crate) mod html;
pub(crate) mod info;
pub(crate) mod problems;
pub(crate) mod refusals;
pub(crate) mod schemas;

use crate::dispatcher::status::Status;
use crate::http::problem::Problem;
use crate::http::problem::catalogue::Catalogue;
use axum::Extension;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse};
use std::sync::Arc;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{PathItem, RefOr, Required, Schema};
use utoipa::{Modify, OpenApi, ToSchema};

/// The tag of the operations of tus.
const RESUMABLE: &str = "resumable";

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
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact(name = "The operator of this service")
    ),
    servers((url = "/", description = "The service that this document comes from")),
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
        let operations = document.paths.paths.values_mut().flat_map(operations);
        operations.for_each(complete);
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

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, options, head, patch, .. } = item;
    [get, put, post, delete, options, head, patch].into_iter().flatten()
}

/// Adds what all operations have in common, or all of a tag.
fn complete(operation: &mut Operation) {
    if operation.tags.iter().flatten().any(|tag| tag == RESUMABLE) {
        headers::add_to_all(operation, "Tus-Resumable");
        // A request can create an upload, or complete it, without bytes.
        if let Some(RefOr::T(body)) = &mut operation.request_body {
            body.required = Some(Required::False);
        }
    }
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter {
            without_null(parameter);
        }
    }
    headers::describe(operation);
}

/// A parameter that may be left out is none that may be null: neither queries nor headers have such a value.
fn without_null(parameter: &mut Parameter) {
    let Some(RefOr::T(Schema::Object(object))) = &mut parameter.schema else { return };
    let SchemaType::Array(types) = &mut object.schema_type else { return };
    types.retain(|one| *one != Type::Null);
    if let [only] = &types[..] {
        object.schema_type = SchemaType::Type(only.clone());
    }
}

/// This OpenAPI document
///
/// Describes every endpoint except the web pages, for client generators and other tools.
#[utoipa::path(get, path = "/openapi.json", tag = "service", operation_id = "get_openapi",
    responses((status = 200, description = "The OpenAPI document", body = Object,
        content_type = "application/json")))]
pub(crate) async fn json(Extension(documents): Extension<Documents>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], documents.json.to_string())
}

/// This documentation as a web page
///
/// The content of `/openapi.json`, without scripts.
#[utoipa::path(get, path = "/docs", tag = "service", operation_id = "get_docs",
    responses((status = 200, description = "This page", body = String, content_type = "text/html")))]
pub(crate) async fn page(Extension(documents): Extension<Documents>) -> Html<String> {
    Html(documents.page.to_string())
}

/// Style sheet of the documentation
///
/// Used by `/docs`.
#[utoipa::path(get, path = "/docs.css", tag = "service", operation_id = "get_docs_style",
    responses((status = 200, description = "The style sheet", body = String,
        content_type = "text/css")))]
pub(crate) async fn style() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css; charset=utf-8")], html::STYLE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use utoipa::openapi::ObjectBuilder;
    use utoipa::openapi::path::ParameterBuilder;

    #[test]
    fn parameters_that_may_be_left_out_are_never_null() {
        let types = SchemaType::Array(vec![Type::String, Type::Null]);
        let schema = ObjectBuilder::new().schema_type(types).build();
        let mut parameter = ParameterBuilder::new().schema(Some(schema)).build();
        without_null(&mut parameter);
        let value = serde_json::to_value(parameter).expect("plain data");
        assert_eq!(value["schema"]["type"], "string");
    }
}
