//! Error responses in the OpenAPI document: each handler declares those of its own as codes of the catalogue.

use crate::http::openapi::headers;
use crate::http::problem::catalogue::{Code, Entry};
use std::collections::BTreeMap;
use std::fmt::Write;
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
    let mut by_status = BTreeMap::<String, Vec<Code>>::new();
    for code in codes {
        let status = code.entry().status;
        let status = status.map_or(String::new(), |status| status.as_u16().to_string());
        by_status.entry(status).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status, response(&codes).into())).collect()
}

fn response(codes: &[Code]) -> Response {
    let mut description = String::new();
    for Entry { code, cause, .. } in codes.iter().map(|code| code.entry()) {
        let gap = if description.is_empty() { "" } else { " " };
        write!(description, "{gap}`{code}`: {cause}").expect("writing to a string succeeds");
    }
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content);
    let headers = headers::of_refusal(codes).into_iter();
    headers.fold(response, |response, (name, header)| response.header(name, header)).build()
}
