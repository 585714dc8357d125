//! URLs of the results of a completed job. Pure.
//!
//! Called by [`crate::dispatcher::status::Status::of`]; `http::jobs::files` serves them.

use crate::policy::job::Job;
use bodyscript_protocol::artefact::Artefact;
use serde::Serialize;
use utoipa::ToSchema;

/// URLs of the results of a completed job, for the requested formats.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Urls {
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thumbnail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preview: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parquet: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    angles: Option<String>,
}

impl Urls {
    pub(crate) fn of(job: &Job) -> Self {
        let (id, formats) = (job.id, job.upload.options.formats);
        let url = |artefact: Artefact| {
            let is_requested = formats.contains(artefact);
            is_requested.then(|| format!("/api/serve/{id}/{}", artefact.file_name()))
        };
        Self {
            video: url(Artefact::Video),
            csv: url(Artefact::Csv),
            json: url(Artefact::Json),
            thumbnail: url(Artefact::Thumbnail),
            preview: url(Artefact::Preview),
            metadata: url(Artefact::Metadata),
            openpose: url(Artefact::OpenPose),
            trc: url(Artefact::Trc),
            parquet: url(Artefact::Parquet),
            angles: url(Artefact::Angles),
        }
    }
}
