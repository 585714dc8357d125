//! One job from the first frame to the last artefact, and the warm-up that runs a small one.

mod area;
mod background;
mod error;
mod memory_need;
mod part;
mod run;
mod sampling;
mod skip_report;
mod warmup;

pub use error::WorkerError;
pub use run::{Job, probed, run};
pub use warmup::{Warmup, WarmupError};
