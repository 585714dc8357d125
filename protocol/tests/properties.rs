//! What must hold for any bytes and any order of messages.

use bodyscript_protocol::codec::{self, CodecError, Decoder};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::limits::{MESSAGE_BYTES_MAX, TEXT_BYTES_MAX};
use bodyscript_protocol::message::{
    Failure, Prepare, Probed, Progress, Skipped, Summary, ToSupervisor, ToWorker, VideoFacts,
};
use bodyscript_protocol::options::{Filter, LandmarkModel, Options, Thousandths};
use bodyscript_protocol::pose_frame::PoseFrame;
use bodyscript_protocol::sandbox_report::SandboxReport;
use bodyscript_protocol::session::{Phase, Session, Violation};
use proptest::prelude::*;

fn probed(text: String) -> ToSupervisor {
    let facts = VideoFacts {
        width: 2,
        height: 2,
        frame_rate: (0, 1),
        duration_ms: None,
        frames_expected: 0,
        trimmed: false,
        rotation_degrees: 0,
        mirrored: false,
        container: text,
        codec: String::new(),
    };
    ToSupervisor::Probed(Probed { facts, memory_need_bytes: u64::MAX })
}

fn any_message() -> impl Strategy<Value = ToSupervisor> {
    prop_oneof![
        Just(ToSupervisor::Ready(SandboxReport::default())),
        Just(probed(String::new())),
        (0..20_u32, 0..20_u32).prop_map(|(frames_done, frames_detected)| {
            ToSupervisor::Progress(Progress { frames_done, frames_detected })
        }),
        (0..20_u32, -0.5..1.5_f64).prop_map(|(frame_id, time_s)| {
            let (detected, strategy, people) = (false, None, Vec::new());
            let source_time_s = 0.0;
            ToSupervisor::Poses(PoseFrame {
                frame_id,
                time_s,
                detected,
                strategy,
                source_time_s,
                people,
            })
        }),
        (0..20_u32, 0..20_u32, 0..20_u32, -0.5..1.5_f32).prop_map(
            |(frames_decoded, frames_processed, frames_detected, mean_visibility)| {
                ToSupervisor::Done(Summary {
                    first_frame: 0,
                    frames_decoded,
                    frames_processed,
                    frames_detected,
                    mean_visibility,
                    track_losses: 0,
                    jitter: 0.0,
                    people: 1,
                    warnings: bodyscript_protocol::warning::Warnings::NONE,
                })
            }
        ),
        (0..20_u32).prop_map(|until_ms| ToSupervisor::Skipped(Skipped { until_ms })),
        (0..20_u32).prop_map(ToSupervisor::Written),
        Just(ToSupervisor::Failed(Failure { fault: Fault::Damaged, detail: String::new() })),
    ]
}

proptest! {
    #[test]
    fn messages_survive_any_cutting(
        messages in prop::collection::vec(any_message(), 1..8),
        cuts in prop::collection::vec(1..40_usize, 1..40),
    ) {
        let bytes: Vec<u8> =
            messages.iter().flat_map(|m| codec::encode(m).expect("encodes")).collect();
        let mut decoder = Decoder::default();
        let mut received = Vec::new();
        let mut rest = bytes.as_slice();
        for cut in cuts.iter().cycle() {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            decoder.push(piece);
            while let Some(message) = decoder.next::<ToSupervisor>().expect("decodes") {
                received.push(message);
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(received, messages);
        prop_assert!(!decoder.has_partial_message());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_never_pass_the_cap(
        bytes in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.next::<ToSupervisor>() {}
    }

    #[test]
    fn a_prefix_over_the_cap_is_refused_before_its_body(excess in 1..u32::MAX - MESSAGE_BYTES_MAX as u32) {
        let mut decoder = Decoder::default();
        decoder.push(&(MESSAGE_BYTES_MAX as u32 + excess).to_le_bytes());
        let refused = matches!(decoder.next::<ToSupervisor>(), Err(CodecError::FrameTooLong { .. }));
        prop_assert!(refused);
    }

    /// Whatever a worker says, the supervisor's view only ever moves forward, and what it
    /// believes of the counts is possible.
    #[test]
    fn a_session_never_goes_back(messages in prop::collection::vec(any_message(), 0..30)) {
        let mut session = Session::default();
        session.on_to_worker(&prepare()).expect("the first message");
        session.on_to_worker(&start()).expect("the job");
        let rank = |phase| match phase {
            Phase::Created => 0, Phase::Starting => 1, Phase::Ready => 2,
            Phase::Probed => 3, Phase::Running => 4, Phase::Ended => 5,
        };
        let (mut done, mut skipped, mut told) = (0, 0, 0);
        let mut last = None;
        for message in &messages {
            if session.phase() == Phase::Probed {
                session.on_to_worker(&ToWorker::Proceed).expect("the reply");
            }
            let before = session.phase();
            let verdict = session.on_to_supervisor(message);
            prop_assert!(rank(session.phase()) >= rank(before));
            if before == Phase::Ended {
                prop_assert!(verdict.is_err(), "nothing is legal after the last word");
            }
            if let (Ok(()), ToSupervisor::Progress(progress)) = (verdict, message) {
                prop_assert!(progress.frames_done > done);
                prop_assert!(progress.frames_detected <= progress.frames_done);
                done = progress.frames_done;
            }
            if let (Ok(()), ToSupervisor::Skipped(Skipped { until_ms })) = (verdict, message) {
                prop_assert!((skipped + 1..10).contains(until_ms) && done == 0);
                skipped = *until_ms;
            }
            if let (Ok(()), ToSupervisor::Poses(frame)) = (verdict, message) {
                prop_assert!(frame.time_s >= 0.0 && last < Some(frame.frame_id));
                last = Some(frame.frame_id);
                told += 1;
            }
            if let (Ok(()), ToSupervisor::Done(summary)) = (verdict, message) {
                prop_assert_eq!(summary.frames_processed, told, "every processed frame was told");
                prop_assert!(summary.frames_processed >= done);
                prop_assert!((0.0..=1.0).contains(&summary.mean_visibility));
            }
            if verdict.is_err() {
                prop_assert_eq!(session.phase(), before, "a refused message changes nothing");
            }
        }
    }
}

fn prepare() -> ToWorker {
    let version = bodyscript_protocol::PROTOCOL_VERSION;
    ToWorker::Prepare(Prepare {
        version,
        layers: vec![],
        layers_required: vec![],
        user_id: 1,
        model: LandmarkModel::default(),
        warms_up: false,
    })
}

#[test]
fn a_worker_gets_no_job_with_another_model_than_its_own() {
    let mut session = Session::default();
    session.on_to_worker(&prepare()).expect("the first message");
    let ToWorker::Start(mut other) = start() else { unreachable!("it is the job") };
    other.parameters.options.model = LandmarkModel::Lite;
    let refused = session.on_to_worker(&ToWorker::Start(other));
    assert!(matches!(refused, Err(Violation::OutOfTurn { .. })), "{refused:?}");
    session.on_to_worker(&start()).expect("the job with its own model");
}

fn start() -> ToWorker {
    start_with(Filter::Live)
}

fn start_with(filter: Filter) -> ToWorker {
    use bodyscript_protocol::message::{JobParameters, MediaLimits, OnLong, Start};
    ToWorker::Start(Start {
        job: "job".into(),
        parameters: JobParameters {
            options: Options { start: Some(Thousandths::new(10)), filter, ..Options::default() },
            limits: MediaLimits {
                duration_ms_max: 10_000,
                on_long: OnLong::Trim,
                side_px_max: 8192,
                area_px_max: 8192 * 4320,
                frame_rate_max: 240,
            },
            threads: std::num::NonZeroU32::MIN,
        },
        artefacts: vec![],
    })
}

#[test]
fn a_frame_at_the_cap_passes_and_one_byte_more_does_not() {
    // A string's own length takes eight bytes of the body.
    let at = "x".repeat(MESSAGE_BYTES_MAX - 8);
    let frame = codec::encode(&at).expect("at the cap");
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    assert_eq!(decoder.next::<String>().expect("decodes"), Some(at));
    assert!(codec::encode(&"x".repeat(MESSAGE_BYTES_MAX - 7)).is_err());
}

#[test]
fn bytes_after_the_message_are_an_error() {
    let mut frame = codec::encode(&ToWorker::Cancel).expect("encodes");
    frame[0] += 1;
    frame.push(0);
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    assert!(matches!(decoder.next::<ToWorker>(), Err(CodecError::TrailingBytes { bytes: 1 })));
}

#[test]
fn a_length_inside_a_message_cannot_make_the_decoder_allocate() {
    // Ready with a sandbox report of 2^60 layers in a frame of a few bytes.
    let mut frame = vec![12, 0, 0, 0, 0, 0, 0, 0];
    frame.extend_from_slice(&(1_u64 << 60).to_le_bytes());
    let mut decoder = Decoder::default();
    decoder.push(&frame);
    assert!(matches!(decoder.next::<ToSupervisor>(), Err(CodecError::Decode(_))));
}

#[test]
fn texts_at_the_cap_pass_and_longer_ones_do_not() {
    let mut session = Session::default();
    session.on_to_worker(&prepare()).expect("the first message");
    session.on_to_worker(&start()).expect("the job");
    session.on_to_supervisor(&ToSupervisor::Ready(SandboxReport::default())).expect("ready");
    let too_long = probed("x".repeat(TEXT_BYTES_MAX + 1));
    assert_eq!(session.on_to_supervisor(&too_long), Err(Violation::OverCap { message: "Probed" }));
    let fits = probed("x".repeat(TEXT_BYTES_MAX));
    session.on_to_supervisor(&fits).expect("at the cap");
}

#[test]
fn preparation_comes_first_and_once_and_so_does_the_job() {
    let mut session = Session::default();
    assert!(session.on_to_worker(&ToWorker::Cancel).is_err());
    assert!(session.on_to_worker(&start()).is_err());
    session.on_to_worker(&prepare()).expect("the first message");
    assert!(session.on_to_worker(&prepare()).is_err());
    session.on_to_worker(&start()).expect("the job");
    assert!(session.on_to_worker(&start()).is_err());
    session.on_to_worker(&ToWorker::Cancel).expect("at any time");
}

#[test]
fn a_job_may_come_long_after_ready_and_no_video_before_the_job() {
    let mut session = Session::default();
    session.on_to_worker(&prepare()).expect("the first message");
    session.on_to_supervisor(&ToSupervisor::Ready(SandboxReport::default())).expect("ready");
    let probed = probed(String::new());
    assert!(session.on_to_supervisor(&probed).is_err(), "of which video?");
    session.on_to_worker(&start()).expect("the job");
    session.on_to_supervisor(&probed).expect("its video");
    assert!(session.on_to_worker(&start()).is_err(), "one worker, one job");
}

#[test]
fn no_frame_is_processed_before_the_supervisor_has_replied_to_the_facts() {
    let progress = ToSupervisor::Progress(Progress { frames_done: 1, frames_detected: 0 });
    let mut session = Session::default();
    session.on_to_worker(&prepare()).expect("the first message");
    session.on_to_worker(&start()).expect("the job");
    session.on_to_supervisor(&ToSupervisor::Ready(SandboxReport::default())).expect("ready");
    assert!(session.on_to_worker(&ToWorker::Proceed).is_err(), "nothing is probed");
    session.on_to_supervisor(&probed(String::new())).expect("its video");
    assert!(session.on_to_supervisor(&progress).is_err(), "without a reply");
    assert!(session.on_to_supervisor(&probed(String::new())).is_err(), "probed twice");
    session.on_to_worker(&ToWorker::Proceed).expect("the reply");
    assert!(session.on_to_worker(&ToWorker::Proceed).is_err(), "replied twice");
    session.on_to_supervisor(&progress).expect("a frame");
    let mut refused = Session::default();
    refused.on_to_worker(&prepare()).expect("the first message");
    refused.on_to_worker(&start()).expect("the job");
    refused.on_to_supervisor(&ToSupervisor::Ready(SandboxReport::default())).expect("ready");
    refused.on_to_supervisor(&probed(String::new())).expect("its video");
    refused.on_to_worker(&ToWorker::Cancel).expect("in place of a reply");
    let fault = Failure { fault: Fault::Cancelled, detail: String::new() };
    refused.on_to_supervisor(&ToSupervisor::Failed(fault)).expect("the end");
}

#[test]
fn a_second_pass_writes_no_more_than_was_processed_and_only_if_the_job_is_recorded() {
    let running = |filter| {
        let mut session = Session::default();
        session.on_to_worker(&prepare()).expect("the first message");
        session.on_to_worker(&start_with(filter)).expect("the job");
        session.on_to_supervisor(&ToSupervisor::Ready(SandboxReport::default())).expect("ready");
        session.on_to_supervisor(&probed(String::new())).expect("its video");
        session.on_to_worker(&ToWorker::Proceed).expect("the reply");
        session
    };
    let progress = |frames_done| {
        ToSupervisor::Progress(Progress { frames_done, frames_detected: frames_done })
    };
    let mut once = running(Filter::Live);
    once.on_to_supervisor(&progress(2)).expect("two frames");
    assert!(once.on_to_supervisor(&ToSupervisor::Written(1)).is_err(), "in one pass");
    let mut twice = running(Filter::Offline);
    assert!(twice.on_to_supervisor(&ToSupervisor::Written(1)).is_err(), "nothing is processed");
    twice.on_to_supervisor(&progress(2)).expect("two frames");
    let skipped = ToSupervisor::Skipped(Skipped { until_ms: 5 });
    twice.on_to_supervisor(&skipped).expect("on the way to the part again");
    assert!(twice.on_to_supervisor(&progress(3)).is_err(), "the second pass has begun");
    twice.on_to_supervisor(&ToSupervisor::Written(1)).expect("a frame");
    assert!(twice.on_to_supervisor(&ToSupervisor::Written(1)).is_err(), "not further");
    assert!(twice.on_to_supervisor(&ToSupervisor::Written(3)).is_err(), "more than processed");
    assert!(twice.on_to_supervisor(&skipped).is_err(), "past the start of the part");
    twice.on_to_supervisor(&ToSupervisor::Written(2)).expect("the last frame");
}
