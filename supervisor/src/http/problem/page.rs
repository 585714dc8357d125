//! Errors as a page with a way back, for people who follow a link. Called by `api` for every response.

use super::Problem;
use crate::http::accept::MediaType;
use crate::http::markup::escaped;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;

const PAGE: &str = include_str!("../../../assets/error.html");

/// The form in which a request wants errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorForm {
    /// A problem document, for programs.
    Document,
    /// A page, for people.
    Page,
}

impl ErrorForm {
    /// A page for requests that prefer HTML to JSON, as those of browsers for an address do.
    pub(crate) fn of(request: &Request) -> Self {
        let is_read = [Method::GET, Method::HEAD].contains(request.method());
        if is_read && prefers_html(request.headers()) { Self::Page } else { Self::Document }
    }

    /// The response to the request, with its error in this form.
    pub(crate) fn apply(self, mut response: Response) -> Response {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
        response.headers_mut().append(VARY, HeaderValue::from(ACCEPT));
        if self == Self::Document {
            return response;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.remove(CONTENT_LENGTH);
        response.map(|_| Body::from(page(&problem)))
    }
}

fn prefers_html(headers: &HeaderMap) -> bool {
    let of = |kind, subtype| MediaType { kind, subtype, version: None }.quality(headers);
    let json = of("application", "problem+json").max(of("application", "json"));
    of("text", "html") > json
}

fn page(problem: &Problem) -> String {
    let (title, sentence) = match problem.code {
        "unknown_address" => ("Page not found", "Nothing is at this address. Check the link."),
        "job_not_found" | "file_not_found" => ("Result not found", problem.detail.as_str()),
        _ => (problem.title, problem.detail.as_str()),
    };
    let code = problem.code;
    PAGE.replace("<!-- title -->", &escaped(title))
        .replace("<!-- sentence -->", &escaped(sentence))
        .replace("<!-- code -->", &escaped(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::problem::ApiError;
    use axum::response::IntoResponse;

    fn form(method: Method, accept: &'static str) -> ErrorForm {
        let request = Request::builder().method(method).header(ACCEPT, accept);
        ErrorForm::of(&request.body(Body::empty()).expect("a request"))
    }

    #[test]
    fn programs_and_changes_get_documents() {
        let browser = "text/html,application/xhtml+xml,*/*;q=0.8";
        assert_eq!(form(Method::GET, browser), ErrorForm::Page);
        assert_eq!(form(Method::GET, "text/html"), ErrorForm::Page);
        assert_eq!(form(Method::POST, browser), ErrorForm::Document);
        for accept in ["*/*", "application/json", "application/json, text/html;q=0.5", "image/png"]
        {
            assert_eq!(form(Method::GET, accept), ErrorForm::Document, "{accept}");
        }
    }

    #[test]
    fn a_page_keeps_the_status_and_the_headers_of_its_error() {
        let response = ErrorForm::Page.apply(ApiError::TokenRequired.into_response());
        assert_eq!(response.status(), 401);
        assert_eq!(response.headers().get_all("www-authenticate").iter().count(), 2);
        assert_eq!(response.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        assert_eq!(response.headers()[VARY], "accept");
        let document = ErrorForm::Document.apply(ApiError::TokenRequired.into_response());
        assert_eq!(document.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn every_place_of_the_page_is_filled_and_texts_are_escaped() {
        let (r#type, title, status) = (String::new(), "Bad Request", 400);
        let detail = "a <b> & \"c\"".to_owned();
        let html = page(&Problem { r#type, title, status, detail, code: "invalid_field" });
        assert!(html.contains("a &lt;b&gt; &amp; &quot;c&quot;") && !html.contains("<!-- "));
    }
}
