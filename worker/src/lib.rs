//! The worker: turns one video into pose data inside its sandbox, and exits.
//!
//! A library so that its parts can be tested one by one; the process itself is `main.rs`. Modules
//! depend on each other in one direction only:
//!
//! ```text
//! main -> job -> output -> pose  -> inference -> simd
//!      |     |          -> video -> picture ---> simd
//!      |     |-> motion, heads
//!      |     '-> ipc
//!      '-> sandbox
//! ```

pub mod fuzzing;
mod heads;
pub mod inference;
pub mod ipc;
pub mod job;
pub mod log;
pub mod motion;
pub mod output;
pub mod picture;
pub mod pose;
pub mod sandbox;
pub mod simd;
pub mod video;
