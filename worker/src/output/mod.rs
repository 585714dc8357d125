//! Everything a run writes: the data artefacts, the metadata, and the videos and pictures with the
//! poses drawn over them.
//!
//! A new data format is one file beside the others and one row in the table of `formats`.

mod angles;
mod artefact_files;
mod csv;
mod error;
mod formats;
mod json;
mod metadata;
mod openpose;
mod overlay;
mod parquet;
mod statistics;
mod trc;
mod video_report;
mod visuals;
mod writer;

pub use artefact_files::ArtefactFiles;
pub use error::OutputError;
pub(crate) use formats::DataWriters;
pub(crate) use metadata::write as write_metadata;
pub(crate) use overlay::draw as draw_pose;
pub(crate) use statistics::Statistics;
pub(crate) use video_report::VideoReport;
pub(crate) use visuals::Visuals;
pub(crate) use writer::WriterContext;
