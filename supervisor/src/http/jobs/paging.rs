//! Paging of lists, which bounds the size of a response.

use crate::dispatcher::Page;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Serialize;
use utoipa::IntoParams;

/// Maximum and default number of entries in a response.
const LIMIT_MAX: usize = 1000;

refusals! {
    ListRefusals: MalformedQuery InvalidField OperatorsOnly TokenRequired Stopping;
}

/// Query parameters of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `Paged` reads")]
pub(crate) struct Paging {
    /// Maximum number of jobs to return.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    limit: Option<u64>,
    /// Number of newest jobs to skip.
    #[param(minimum = 0, maximum = 4294967295_i64, default = 0)]
    offset: Option<u64>,
}

/// Extractor of the requested page.
pub(crate) struct Paged(pub(crate) Page);

impl<S: Send + Sync> FromRequestParts<S> for Paged {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::MalformedQuery)?;
        let mut page = Page { offset: 0, limit: LIMIT_MAX };
        for (name, value) in &pairs {
            match name.as_str() {
                "limit" => page.limit = number("limit", value, 1, LIMIT_MAX)?,
                "offset" => page.offset = number("offset", value, 0, u32::MAX as usize)?,
                _ => {}
            }
        }
        Ok(Self(page))
    }
}

fn number(field: &'static str, value: &str, min: usize, max: usize) -> Result<usize, ApiError> {
    let number = value.parse().ok().filter(|number| (min..=max).contains(number));
    let accepted = || format!("a whole number from {min} to {max}");
    number.ok_or_else(|| ApiError::InvalidField { field, accepted: accepted() })
}

/// The URL of the next page, if any.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(transparent)]
#[schema(value_type = Option<String>, as = NextPage)]
pub(crate) struct Next(Option<String>);

impl Next {
    /// There is no next page.
    pub(crate) const fn none() -> Self {
        Self(None)
    }

    /// The page after `page` of the list at `path`, which has `total` entries.
    pub(crate) fn after(page: Page, path: &str, total: usize) -> Self {
        let offset = page.offset.saturating_add(page.limit);
        let limit = page.limit;
        Self((offset < total).then(|| format!("{path}?limit={limit}&offset={offset}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;

    async fn page(query: &str) -> Result<Page, String> {
        let request = Request::get(format!("/api/jobs?{query}")).body(()).expect("an address");
        let (mut parts, ()) = request.into_parts();
        let paged = Paged::from_request_parts(&mut parts, &()).await;
        paged.map(|Paged(page)| page).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_page_is_bounded_and_invalid_parameters_are_refused() {
        assert_eq!(page("").await, Ok(Page { offset: 0, limit: LIMIT_MAX }));
        assert_eq!(page("limit=7&offset=9&x=y").await, Ok(Page { offset: 9, limit: 7 }));
        assert_eq!(page("limit=1000").await, Ok(Page { offset: 0, limit: 1000 }));
        for wrong in ["limit=0", "limit=1001", "limit=", "offset=-1", "offset=many"] {
            let refusal = page(wrong).await.expect_err(wrong);
            assert!(refusal.contains("a whole number from"), "{refusal}");
        }
    }

    #[test]
    fn the_last_page_has_no_next_page() {
        let next = |offset, total| Next::after(Page { offset, limit: 10 }, "/api/jobs", total).0;
        assert_eq!(next(0, 11).as_deref(), Some("/api/jobs?limit=10&offset=10"));
        assert_eq!(next(10, 20), None);
        assert_eq!(next(500, 20), None);
    }
}
