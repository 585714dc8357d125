//! One job from the first frame to the last artefact, and the warm-up that runs a small one.

mod background;
mod error;
mod run;
mod sampling;
mod warmup;

pub use error::WorkerError;
pub use run::{Job, run};
pub use warmup::{Warmup, WarmupError};
