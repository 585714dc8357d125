//! Everything a run writes: the data artefacts, the metadata, and the videos and pictures with the
//! poses drawn over them.
//!
//! The data formats are in `formats`, one file each.

mod artefact_files;
mod error;
mod formats;
mod joint_angles;
mod json_list;
mod metadata;
mod overlay;
mod people;
mod seconds;
mod statistics;
mod video_report;
mod visuals;
mod writer;

pub use artefact_files::ArtefactFiles;
pub use error::OutputError;
pub(crate) use formats::DataWriters;
pub(crate) use metadata::write as write_metadata;
pub(crate) use overlay::{cover as cover_part, draw as draw_pose};
pub(crate) use people::FoundPeople;
pub(crate) use seconds::seconds;
pub(crate) use statistics::Statistics;
pub(crate) use video_report::VideoReport;
pub(crate) use visuals::Visuals;
pub(crate) use writer::WriterContext;
