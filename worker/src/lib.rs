//! The worker: turns one video into pose data, confined, and exits.
//!
//! A library so that its parts can be tested one by one; the process itself is `main.rs`.

pub mod channel;
pub mod error;
pub mod handover;
pub mod inference;
pub mod inherited;
pub mod log;
pub mod output;
pub mod picture;
pub mod pose;
pub mod rehearsal;
pub mod run;
pub mod sampling;
pub mod sandbox;
pub mod simd;
mod upcoming;
pub mod video;
pub mod visual;
