//! The boxes of MP4 and QuickTime files that are read or changed without GStreamer, where its
//! demuxer and muxer of 1.22 lack a feature.

mod boxes;
pub(super) mod edit_lists;
pub(super) mod index;
pub(super) mod opus;
pub(super) mod timestamps;

pub(super) use boxes::contents_of;
