//! Elements of Matroska and WebM files that are read without GStreamer, whose demuxer of 1.22 ignores
//! them.

mod elements;
mod pose;

pub(super) use pose::{Pose, poses};
