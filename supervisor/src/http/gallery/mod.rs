//! `/api/gallery`: examples that the operator publishes for pages that show some (`gallery_dir`).

mod examples;

use crate::http::blocking::blocking;
use crate::http::extract::PathParam;
use crate::http::jobs::files::{FileAnswers, FileRefusals, send};
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use axum::Json;
use axum::extract::{Request, State};
use axum::response::Response;
use bodyscript_protocol::artefact::Artefact;
use examples::{Example, FILES};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use utoipa::ToSchema;

/// All characters except the unreserved ones of a URL (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

refusals! {
    GalleryRefusals: ;
}

/// The published examples.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gallery {
    /// By category and title.
    videos: Vec<GalleryVideo>,
}

/// A published example.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GalleryVideo {
    /// Distinguishes the examples.
    id: String,
    /// Its name.
    title: String,
    /// Its category.
    category: String,
    /// URL of a picture.
    thumbnail: String,
    /// URL of the first seconds of the video, small.
    preview: String,
    /// URL of the video with skeletons.
    full: String,
    /// Percentage of the frames in which a person was found, if known.
    accuracy: Option<f64>,
    /// Minutes and seconds of the video, such as 0:07, if known.
    duration: Option<String>,
}

impl From<&Example> for GalleryVideo {
    fn from(example: &Example) -> Self {
        let [category, name] = [&example.category, &example.name]
            .map(|part| utf8_percent_encode(part, RESERVED).to_string());
        let [thumbnail, preview, full] =
            FILES.map(|file| format!("/api/gallery/{category}/{name}/{}", file.file_name()));
        let facts = example.facts();
        let rate = facts.as_ref().map(|facts| facts.statistics.detection_rate);
        Self {
            id: format!("{}/{}", example.category, example.name),
            title: example.name.clone(),
            category: example.category.clone(),
            thumbnail,
            preview,
            full,
            accuracy: rate.map(|rate| (rate * 1000.0).round() / 10.0),
            duration: facts.and_then(|facts| facts.video.duration_s).map(minutes),
        }
    }
}

fn minutes(duration_s: f64) -> String {
    let seconds = duration_s.round() as u64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

/// List published examples
///
/// Those in the operator's `gallery_dir`; none without it.
#[utoipa::path(get, path = "/api/gallery", tag = "service", operation_id = "get_gallery",
    responses((status = 200, description = "The examples", body = Gallery), GalleryRefusals))]
pub(crate) async fn list(State(service): State<Service>) -> Result<Json<Gallery>, ApiError> {
    let videos =
        from_examples(&service, |examples| examples.iter().map(GalleryVideo::from).collect());
    Ok(Json(Gallery { videos: videos.await? }))
}

/// Get a file of a published example
///
/// Supports a single byte range (RFC 9110, 14) and conditional requests.
#[utoipa::path(method(get, head), path = "/api/gallery/{category}/{example}/{name}", tag = "service",
    operation_id = "get_gallery_file",
    params(("category" = String, Path, description = "Category"),
        ("example" = String, Path, description = "Title"),
        ("name" = String, Path, description = "File name, as in the URLs of the list")),
    responses(FileAnswers, FileRefusals))]
pub(crate) async fn file(
    State(service): State<Service>,
    PathParam((category, example, name)): PathParam<(String, String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    let file = Artefact::from_file_name(&name).filter(|file| FILES.contains(file));
    let file = file.ok_or(ApiError::FileNotFound)?;
    let path = from_examples(&service, move |examples| {
        let found = examples.iter().find(|one| one.category == category && one.name == example);
        found.map(|example| example.path(file))
    });
    let path = path.await?.ok_or(ApiError::FileNotFound)?;
    send(&path, file, request).await
}

/// Reads the examples, if there is a gallery, and what is wanted of them.
async fn from_examples<T: Default + Send + 'static>(
    service: &Service,
    wanted: impl FnOnce(&[Example]) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let Some(folder) = service.config.gallery_dir.clone() else { return Ok(T::default()) };
    let read = blocking(move || match examples::read(&folder) {
        Ok(examples) => Ok(wanted(&examples)),
        Err(error) => {
            tracing::error!(folder = %folder.display(), %error, "cannot read the gallery");
            Err(ApiError::Internal)
        }
    });
    read.await?
}
