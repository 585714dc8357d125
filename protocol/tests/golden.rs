//! The bytes on the pipe, held fixed: a change here is a new protocol version.

use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::codec::{self, Decoder};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::formats::Formats;
use bodyscript_protocol::message::{
    Failure, JobParameters, MediaLimits, OnLong, Prepare, Probed, Progress, Skipped, Start,
    Summary, ToSupervisor, ToWorker, VideoFacts,
};
use bodyscript_protocol::options::{
    Background, Blur, Filter, FrameRate, LandmarkModel, LowPass, Mode, Options, PersonChoice,
    Sampling, Thousandths,
};
use bodyscript_protocol::pose::Landmark;
use bodyscript_protocol::pose_frame::{PersonPose, PoseFrame};
use bodyscript_protocol::sandbox_report::{Layer, LayerState, SandboxReport};
use bodyscript_protocol::warning::Warning;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::num::NonZeroU32;

fn holds<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T, golden: &str) {
    let frame = codec::encode(message).expect("encodes");
    let hex: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, golden.replace([' ', '\n'], ""), "{message:?}");
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    assert_eq!(decoder.next::<T>().expect("decodes").as_ref(), Some(message));
    assert!(!decoder.has_partial_message());
}

#[test]
fn prepare() {
    let prepare = Prepare {
        version: 4,
        layers: vec![Layer::Seccomp],
        layers_required: vec![],
        user_id: 66_000,
        model: LandmarkModel::Heavy,
        warms_up: true,
    };
    holds(
        &ToWorker::Prepare(prepare),
        "25000000 00000000 04000000 0100000000000000 06000000 0000000000000000 d0010100 02000000 01",
    );
}

#[test]
fn start() {
    let start = Start {
        job: "job".into(),
        parameters: JobParameters {
            options: Options {
                mode: Mode::UltraFast,
                sampling: Sampling::every(2).expect("an interval"),
                people_max: 3,
                filter: Filter::None,
                formats: Formats::DEFAULT,
                background: Background::Skeleton,
                start: Some(Thousandths::new(1500)),
                end: None,
                slow_motion: Thousandths::new(8000),
                person: Some(PersonChoice::Number(2)),
                crop: Some("0.25,0,0.5,1".parse().expect("an area")),
                model: LandmarkModel::Lite,
                blur: Blur::Faces,
                height_m: Some(Thousandths::new(1750)),
                low_pass: LowPass::SavitzkyGolay,
            },
            limits: MediaLimits {
                duration_ms_max: 10_000,
                on_long: OnLong::Trim,
                side_px_max: 4096,
                area_px_max: 9_437_184,
                frame_rate_max: 240,
            },
            threads: NonZeroU32::new(2).expect("more than none"),
        },
        artefacts: vec![Artefact::Csv],
    };
    holds(
        &ToWorker::Start(start),
        "84000000 01000000 0300000000000000 6a6f62 01000000 00000000 02000000 03000000
         01000000 3f000000 01000000 01dc050000 00 01fa000000 00000000 f4010000 e8030000 401f0000
         01 03000000 02000000 00000000 01000000 01d6060000 01000000 10270000 00000000 00100000 00009000 f0000000 02000000 0100000000000000 01000000",
    );
}

#[test]
fn sampling_by_time() {
    let rate: FrameRate = "12.5".parse().expect("a rate");
    holds(&Sampling::Rate(rate), "08000000 01000000 d4300000");
}

#[test]
fn cancel() {
    holds(&ToWorker::Cancel, "04000000 02000000");
}

#[test]
fn proceed() {
    holds(&ToWorker::Proceed, "04000000 03000000");
}

#[test]
fn ready() {
    let mut report = SandboxReport::default();
    report.record(Layer::Landlock, LayerState::Active("ABI 7".into()));
    report.record(Layer::Namespaces, LayerState::Off);
    holds(
        &ToSupervisor::Ready(report),
        "29000000 00000000 0200000000000000 05000000 00000000 0500000000000000 4142492037
         03000000 02000000",
    );
}

#[test]
fn probed() {
    let facts = VideoFacts {
        width: 1280,
        height: 720,
        frame_rate: (30, 1),
        duration_ms: Some(7667),
        frames_expected: 230,
        trimmed: false,
        rotation_degrees: 90,
        mirrored: true,
        container: "m".into(),
        codec: "c".into(),
    };
    holds(
        &ToSupervisor::Probed(Probed { facts, memory_need_bytes: 384 << 20 }),
        "41000000 01000000 00050000 d0020000 1e000000 01000000 01 f31d000000000000 e6000000 00
         5a000000 01 0100000000000000 6d 0100000000000000 63
         0000001800000000",
    );
}

#[test]
fn skipped() {
    let skipped = Skipped { until_ms: 1_400 };
    holds(&ToSupervisor::Skipped(skipped), "08000000 05000000 78050000");
}

#[test]
fn progress_and_ends() {
    let progress = Progress { frames_done: 3, frames_detected: 2 };
    holds(&ToSupervisor::Progress(progress), "0c000000 02000000 03000000 02000000");
    let summary = Summary {
        first_frame: 7,
        frames_decoded: 4,
        frames_processed: 3,
        frames_detected: 2,
        mean_visibility: 0.5,
        track_losses: 1,
        jitter: 0.25,
        people: 2,
        warnings: [Warning::Trimmed, Warning::SoundDropped].into_iter().collect(),
    };
    holds(
        &ToSupervisor::Done(summary),
        "26000000 03000000 07000000 04000000 03000000 02000000 0000003f 01000000 0000803e 02000000 2100",
    );
    holds(&ToSupervisor::Written(2), "08000000 06000000 02000000");
    let failure = Failure { fault: Fault::NoVideoTrack, detail: "d".into() };
    holds(&ToSupervisor::Failed(failure), "11000000 04000000 02000000 0100000000000000 64");
}

#[test]
fn poses() {
    let landmark = Landmark { x: 0.5, world: [0.0, 0.0, 1.0], ..Landmark::default() };
    let person = PersonPose {
        person_id: 1,
        strategy: "track".into(),
        track_id: 2,
        landmarks: vec![landmark; 1],
    };
    let frame = PoseFrame {
        frame_id: 7,
        time_s: 0.25,
        detected: false,
        strategy: None,
        source_time_s: 0.5,
        people: vec![person],
    };
    holds(
        &ToSupervisor::Poses(frame),
        "5f000000 07000000 07000000 000000000000d03f 00 00 000000000000e03f 0100000000000000
         01000000 0500000000000000 747261636b 02000000 0100000000000000
         0000003f 00000000 00000000 00000000 00000000 00000000 00000000 0000803f",
    );
}
