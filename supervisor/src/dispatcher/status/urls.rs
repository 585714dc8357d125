//! URLs of the results of a completed job. Pure.
//!
//! Called by [`crate::dispatcher::status::Status::of`]; `http::jobs::files` serves them.

use crate::policy::job::Job;
use bodyscript_protocol::artefact::Artefact;
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The URL of each requested artefact, by its name.
#[derive(Debug, Clone)]
pub(crate) struct Urls(Vec<(&'static str, String)>);

impl Urls {
    pub(crate) fn of(job: &Job) -> Self {
        let url = |artefact: Artefact| {
            (artefact.name(), format!("/api/serve/{}/{}", job.id, artefact.file_name()))
        };
        Self(job.upload.options.formats.iter().map(url).collect())
    }
}

impl Serialize for Urls {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, url)| (name, url)))
    }
}

impl ToSchema for Urls {}

impl PartialSchema for Urls {
    fn schema() -> RefOr<Schema> {
        let urls = ObjectBuilder::new().schema_type(Type::Object).description(Some(
            "URLs of the results of a completed job, for the requested formats.",
        ));
        let add = |urls: ObjectBuilder, artefact: Artefact| {
            let url = SchemaType::from_iter([Type::String, Type::Null]);
            urls.property(artefact.name(), ObjectBuilder::new().schema_type(url))
        };
        Artefact::ALL.into_iter().fold(urls, add).into()
    }
}
