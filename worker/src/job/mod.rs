//! One job from the first frame to the last artefact, and the warm-up that runs a small one.

mod area;
mod background;
mod covered_frames;
mod error;
mod head_search;
mod memory_need;
mod part;
mod pass;
mod pose_message;
mod recording;
mod replay;
mod results;
mod run;
mod sampling;
mod selection;
mod skip_report;
mod survey;
mod two_passes;
mod video_facts;
mod warmup;

pub use error::WorkerError;
pub use pass::Job;
pub use run::run;
pub use two_passes::SecondPass;
pub use video_facts::probed;
pub use warmup::{Warmup, WarmupError};
