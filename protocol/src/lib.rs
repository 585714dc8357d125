//! The contract between the supervisor and a worker: messages, framing, legality, exit codes.
//!
//! Both processes link this crate, so neither can disagree about a byte. It does no I/O and
//! starts no thread: bytes go in, values come out. A worker reads hostile video, so everything
//! that comes from one is bounded here before it is believed.
//!
//! ```text
//! supervisor                         worker
//!     | -- Prepare ------------------>  |   version, sandbox layers
//!     | <---------------------- Ready --|   models loaded, sandbox closed
//!     | -- Start -------------------->  |   options, limits, artefacts; before Ready or long after
//!     | <--------------------- Probed --|   the picture's facts and the memory that decoding it needs
//!     | -- Proceed ------------------>  |   that memory is there; only now a decoder is created
//!     | <-------------------- Skipped --|   on the way to the chosen part, any number of times
//!     | <------------ Poses, Progress --|   once a processed frame, any number of times
//!     | <-------------------- Written --|   once a frame of the second pass, if the job is recorded
//!     | -- Cancel ------------------->  |   at any time after Prepare
//!     | <------------- Done or Failed --|   exactly one, then exit
//! ```

#![forbid(unsafe_code)]

pub mod artefact;
pub mod c3d;
pub mod codec;
pub mod codec_names;
pub mod exit;
pub mod fault;
pub mod formats;
pub mod inherited;
pub mod layout;
pub mod limits;
pub mod message;
pub mod options;
pub mod pose;
pub mod pose_frame;
mod report_limits;
pub mod sandbox_report;
pub mod session;
pub mod skeleton;
mod told_frames;
pub mod warning;

/// Version of everything in this crate that crosses the pipe. The first field of the first
/// message, so that a mismatch is detected before anything else is read.
pub const PROTOCOL_VERSION: u32 = 17;
