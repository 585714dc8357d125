//! The list of system calls against what workers really do: none is missing, none is idle.
//!
//! Real workers run inside the whole sandbox over every format and mode, and every unhappy end,
//! while their system calls are recorded; so do the pieces of ordinary work of `work`, for what
//! only bugs bring about.

mod clips;
mod recorder;
mod runs;

use crate::child::{Order, User};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::ToSupervisor;
use bodyscript_protocol::options::Mode;
use bodyscript_protocol::sandbox_report::Layer;
use bodyscript_worker::sandbox::policy;
use recorder::Recording;
use runs::{Ended, Run};
use std::collections::BTreeSet;

/// Calls whose use hangs on sizes and on the versions of libraries: an allocator that moves a large
/// block, a poll that is woken by a pipe where there is no eventfd, a check of a file's presence.
/// Without them another build of the same libraries would be killed, so they stay although these
/// runs need not show them.
const SITUATIONAL: [&str; 5] =
    ["SYS_fcntl", "SYS_getppid", "SYS_getrandom", "SYS_mremap", "SYS_newfstatat"];

/// Files that are made until one raises a critical message.
const CONFUSING: usize = 10;

#[test]
fn no_entry_of_the_policy_is_missing_and_none_is_idle() {
    let mut used = BTreeSet::new();
    for (format, clip) in clips::of_every_format() {
        used.extend(done(&format!("{format:?}"), Run::new(clip.path())));
    }
    let clip = clips::plain();
    for mode in Mode::ALL {
        used.extend(done(mode.name(), Run { mode, ..Run::new(clip.path()) }));
    }
    let rehearsed = recorded("rehearsed", Run { warms_up: true, ..Run::new(clip.path()) });
    assert_eq!(rehearsed.exit(), WorkerExit::Done, "{rehearsed:?}");
    assert_eq!(rehearsed.log, "", "no word of a rehearsal that goes well");
    used.extend(rehearsed.recording.used);
    for (what, video) in clips::of_every_fault() {
        let ended = recorded(what, Run::new(video.path()));
        assert_eq!(ended.exit(), WorkerExit::BadInput, "{what}: {ended:?}");
        used.extend(ended.recording.used);
    }
    let orphan = Run { supervisor: runs::Supervisor::Dies, ..Run::new(clip.path()) };
    let orphan = recorded("an orphan", orphan);
    assert_eq!(orphan.exit(), WorkerExit::Orphaned, "{orphan:?}");
    used.extend(orphan.recording.used);
    for task in ["a_panic_is_reported_and_caught", "abort", "the_clock_runs"] {
        used.extend(at_ordinary_work(task).used);
    }
    for task in [
        "inherited_files_are_read_and_written",
        "harmless_probes_of_libraries_fail_without_a_signal",
    ] {
        used.extend(at_ordinary_work(task).used);
    }
    // For its refusals alone: that all of them were tried is no sign that a worker needs them.
    at_ordinary_work("every_soft_refusal_gives_its_error");
    let idle: Vec<_> = policy::ROUTINE
        .iter()
        .enumerate()
        .filter(|(place, entry)| !used.contains(place) && !SITUATIONAL.contains(&entry.name))
        .map(|(_, entry)| format!("{}: {}", entry.name, entry.reason))
        .collect();
    assert!(idle.is_empty(), "never used: {idle:#?}");
}

/// What libraries say of damaged videos takes no call that the policy misses.
#[test]
fn no_entry_of_the_policy_is_missing_on_the_way_to_an_error_or_a_warning() {
    let (mut errors, mut runs) = (0, 0);
    for (what, video) in clips::of_every_damage() {
        let ended = recorded(&what, Run::new(video.path()));
        let known = [WorkerExit::Done, WorkerExit::BadInput, WorkerExit::Output];
        assert!(known.contains(&ended.exit()), "{what}: {ended:?}");
        errors += usize::from(ended.log.contains(" error: "));
        runs += 1;
    }
    assert!(errors * 2 > runs, "libraries complain in {errors} of {runs} runs alone");
    // In what order the tracks of such a file lie differs from one to the next, and with it whether
    // its demuxer is confused.
    let has_critical = (0..CONFUSING).any(|_| {
        let clip = clips::that_may_raise_a_critical_message();
        let ended = recorded("a critical message", Run::new(clip.path()));
        assert!([WorkerExit::Done, WorkerExit::BadInput].contains(&ended.exit()), "{ended:?}");
        ended.log.contains(" critical: ")
    });
    assert!(has_critical, "none of {CONFUSING} files confuses its demuxer");
}

/// One run, of which every call that the policy refuses has failed.
fn recorded(what: &str, run: Run<'_>) -> Ended {
    let ended = run.record();
    let carried_out = &ended.recording.carried_out;
    assert!(carried_out.is_empty(), "{what}: carried out although refused: {carried_out:?}");
    ended
}

/// One run that must come to its end.
fn done(what: &str, run: Run<'_>) -> BTreeSet<usize> {
    let ended = recorded(what, run);
    let last = ended.messages.last();
    assert!(matches!(last, Some(ToSupervisor::Done(_))), "{what}: {ended:?}");
    assert_eq!(ended.exit(), WorkerExit::Done, "{what}: {ended:?}");
    ended.recording.used
}

fn at_ordinary_work(task: &str) -> Recording {
    let order = Order::new(task, User::own()).layers(&Layer::ALL).required(&Layer::ALL);
    let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
    let recording = recorder::record(order.command(&folder));
    assert!(recording.carried_out.is_empty(), "{task}: {recording:?}");
    recording
}
