//! The boxes of MP4 and QuickTime files that are read or changed without GStreamer, where its
//! demuxer and muxer of 1.22 lack a feature.

mod boxes;
pub(super) mod durations;
pub(super) mod edit_lists;
mod entry_type;
mod fields;
mod framing;
pub(super) mod index;
pub(super) mod opus;
mod parameter_sets;
pub(super) mod structure;
mod tables;
mod time_header;
pub(super) mod timestamps;
mod tracks;

pub(super) use boxes::contents_of;
pub(super) use framing::Framing;
pub(super) use parameter_sets::parameter_sets;
pub(super) use tracks::{Track, Tracks};
