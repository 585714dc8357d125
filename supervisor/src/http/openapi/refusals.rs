//! Error responses in the OpenAPI document: each handler declares those of its own as codes of the catalogue.

use crate::http::problem::catalogue::{Code, Entry, Remedy};
use std::collections::BTreeMap;
use std::fmt::Write;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// Declares sets of error responses by their codes; every one includes the internal error.
macro_rules! refusals {
    ($($name:ident: $($code:ident)*;)*) => {$(
        /// A set of error responses.
        pub(crate) struct $name;

        impl utoipa::IntoResponses for $name {
            fn responses() -> std::collections::BTreeMap<
                String,
                utoipa::openapi::RefOr<utoipa::openapi::Response>,
            > {
                use $crate::http::problem::catalogue::Code;
                $crate::http::openapi::refusals::by_status(&[$(Code::$code,)* Code::Internal])
            }
        }
    )*};
}
pub(crate) use refusals;

/// Groups the codes by status, one response each.
pub(crate) fn by_status(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
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
