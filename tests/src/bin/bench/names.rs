//! Names of cases and contenders in figures, goals and the documents.

use bodyscript_tests::truth::Condition;

pub(crate) const OURS: &str = "BodyScript";
pub(crate) const OURS_CSV: &str = "BodyScript, csv";
pub(crate) const OURS_ALL: &str = "BodyScript, all artefacts";
pub(crate) const LOOP: &str = "MediaPipe loop";
pub(crate) const DRAWN: &str = "MediaPipe, drawn to MP4";
pub(crate) const STRATEGY: &str = "OpenCV and MediaPipe";
pub(crate) const ONNXRUNTIME: &str = "onnxruntime";
pub(crate) const TFLITE: &str = "TFLite with XNNPACK";
pub(crate) const PGMQ: &str = "pgmq";
pub(crate) const RUN: &str = "bodyscript run";
pub(crate) const STANDBY: &str = "HTTP, worker that stood by";
pub(crate) const NEW: &str = "HTTP, new worker";
pub(crate) const WORKER: &str = "worker";

pub(crate) const LANDMARK: &str = "landmark network";
pub(crate) const DETECTOR: &str = "detector network";
pub(crate) const REGISTERS: &str = "multiply-adds in registers";
pub(crate) const PERSON: &str = "720p H.264";
pub(crate) const ONE_FRAME: &str = "one frame";

pub(crate) const READY: &str = "ready with 10,000 jobs in the journal";
pub(crate) const KILL_TO_CHANGE: &str = "kernel kill to state change, 300 OOM kills";
pub(crate) const KILL_TO_NEXT: &str = "kernel kill to next worker at work, 300 OOM kills";
pub(crate) const CANCEL: &str = "cancel of a working worker, memory free";
pub(crate) const CANCEL_DEAF: &str = "cancel of a worker that does not listen, memory free";
pub(crate) const ALONE: &str = "a client's answer";
pub(crate) const BESIDE_IDLE: &str = "the same beside 1,000 idle connections of one client";
pub(crate) const BESIDE_HEADERS: &str = "the same beside 1,000 slow headers";
pub(crate) const BESIDE_BODIES: &str = "the same beside 1,000 slow bodies";
pub(crate) const BESIDE_UNREAD: &str = "the same beside 1,000 unread answers";
pub(crate) const BESIDE_STREAMS: &str = "the same beside 1,000 streams of events";

pub(crate) const CLAIMS_1: &str = "claims and ends of jobs, 1 at a time";
pub(crate) const CLAIMS_8: &str = "claims and ends of jobs, 8 at a time";
pub(crate) const CLAIMS_24: &str = "claims and ends of jobs, 24 at a time";
pub(crate) const CLAIM_HERE: &str = "claim after acceptance, same host";
pub(crate) const CLAIM_ELSEWHERE: &str =
    "claim after acceptance, another host that looks every 100 ms";

pub(crate) const MODES: [&str; 6] = ["track", "static", "ultra_fast", "fast", "smart", "quality"];
pub(crate) const MODELS: [&str; 3] = ["lite", "full", "heavy"];
pub(crate) const FILTERS: [&str; 3] = ["none", "live", "offline"];
pub(crate) const HD_FIGURE: &str = "model, 720p";

pub(crate) const POSES: &str = "720p, poses during the work";
pub(crate) const FOLLOWED: &str = "followed by a client";
pub(crate) const NOT_FOLLOWED: &str = "not followed";
pub(crate) const CLEAN: &str = "720p, clean copy";
pub(crate) const WITH_CLEAN: &str = "default formats and clean";
pub(crate) const WITHOUT_CLEAN: &str = "default formats";
pub(crate) const FIRST_POSE: &str = "720p, from the beginning of the upload to the first pose";

/// How the figures of some clips move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Motion {
    Standing,
    Walking,
    WalkingFast,
}

impl Motion {
    pub(crate) const ALL: [Self; 3] = [Self::Standing, Self::Walking, Self::WalkingFast];
}

/// The case of all modes in one condition.
pub(crate) fn mode_case(condition: Condition) -> String {
    format!("mode, {}", condition.name())
}

/// The case of all values of an option with one motion.
pub(crate) fn motion_case(option: &str, motion: Motion) -> String {
    let motion = match motion {
        Motion::Standing => "standing",
        Motion::Walking => "walking",
        Motion::WalkingFast => "walking fast",
    };
    format!("{option}, {motion}")
}
