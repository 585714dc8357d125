//! What the commands on several videos share: finding the videos, the places of their results, and what is printed.

pub(crate) mod arguments;
pub(crate) mod error;
mod existing;
mod pattern;
pub(crate) mod placement;
mod places;
pub(crate) mod progress;
pub(crate) mod report;
pub(crate) mod selection;
pub(crate) mod tasks;
pub(crate) mod videos;
pub(crate) mod working_folder;
