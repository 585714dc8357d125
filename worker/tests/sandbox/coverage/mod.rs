//! The allowlist of system calls against the calls of real workers: no rule is missing, none is
//! unused.
//!
//! Workers run inside the whole sandbox with every format and mode, and every kind of failure, while
//! their system calls are recorded; so do the tasks of `work`, for calls that only bugs cause.

mod clips;
mod recorder;
mod runs;

use crate::child::{ChildSpec, User};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::message::ToSupervisor;
use bodyscript_protocol::options::Mode;
use bodyscript_worker::sandbox::policy;
use recorder::Recording;
use runs::{Run, RunResult};
use std::collections::BTreeSet;

/// Calls whose use depends on sizes and on versions of libraries: an allocator that moves a large
/// block, a poll with a pipe instead of an eventfd, a check of a file's existence. They stay allowed
/// for other builds of the same libraries, although these runs may not use them.
const SITUATIONAL: [&str; 5] =
    ["SYS_fcntl", "SYS_getppid", "SYS_getrandom", "SYS_mremap", "SYS_newfstatat"];

/// Most files that are created until one causes a critical message.
const CRITICAL_FILES_MAX: usize = 10;

#[test]
fn no_rule_of_the_policy_is_missing_or_unused() {
    let mut used = BTreeSet::new();
    for (format, clip) in clips::of_every_format() {
        used.extend(done(&format!("{format:?}"), Run::new(clip.path())));
    }
    for (format, clip) in clips::of_every_animation() {
        used.extend(done(format, Run::new(clip.path())));
    }
    let clip = clips::plain();
    for mode in Mode::ALL {
        used.extend(done(mode.name(), Run { mode, ..Run::new(clip.path()) }));
    }
    let warmed_up = recorded("warm-up", Run { warms_up: true, ..Run::new(clip.path()) });
    assert_eq!(warmed_up.exit(), WorkerExit::Done, "{warmed_up:?}");
    assert_eq!(warmed_up.log, "", "a successful warm-up logs nothing");
    used.extend(warmed_up.recording.used);
    for (what, video) in clips::of_every_fault() {
        let ended = recorded(what, Run::new(video.path()));
        assert_eq!(ended.exit(), WorkerExit::BadInput, "{what}: {ended:?}");
        used.extend(ended.recording.used);
    }
    let orphan = Run { supervisor: runs::Supervisor::Gone, ..Run::new(clip.path()) };
    let orphan = recorded("an orphan", orphan);
    assert_eq!(orphan.exit(), WorkerExit::Orphaned, "{orphan:?}");
    used.extend(orphan.recording.used);
    for task in ["a_panic_is_reported_and_caught", "abort", "the_clock_runs"] {
        used.extend(run_task(task).used);
    }
    for task in [
        "inherited_files_are_read_and_written",
        "harmless_probes_of_libraries_fail_without_a_signal",
    ] {
        used.extend(run_task(task).used);
    }
    // Only to check the refusals: these calls do not count as used.
    run_task("every_refusal_with_an_error_returns_it");
    let unused: Vec<_> = policy::ROUTINE
        .iter()
        .enumerate()
        .filter(|(place, rule)| !used.contains(place) && !SITUATIONAL.contains(&rule.name))
        .map(|(_, rule)| format!("{}: {}", rule.name, rule.reason))
        .collect();
    assert!(unused.is_empty(), "never used: {unused:#?}");
}

/// Messages of libraries about damaged videos need no further calls.
#[test]
fn no_rule_is_missing_for_errors_and_warnings_of_libraries() {
    let (mut errors, mut runs) = (0, 0);
    for (what, video) in clips::of_every_damage() {
        let ended = recorded(&what, Run::new(video.path()));
        let known = [WorkerExit::Done, WorkerExit::BadInput, WorkerExit::Output];
        assert!(known.contains(&ended.exit()), "{what}: {ended:?}");
        errors += usize::from(ended.log.contains(" error: "));
        runs += 1;
    }
    // Some decoders, as that of Theora, conceal damage without a word.
    assert!(errors * 3 > runs, "libraries report errors in only {errors} of {runs} runs");
    // The order of the tracks differs between these files, and with it whether the demuxer fails.
    let has_critical = (0..CRITICAL_FILES_MAX).any(|_| {
        let clip = clips::that_may_raise_a_critical_message();
        let ended = recorded("a critical message", Run::new(clip.path()));
        assert!([WorkerExit::Done, WorkerExit::BadInput].contains(&ended.exit()), "{ended:?}");
        ended.log.contains(" critical: ")
    });
    assert!(has_critical, "none of {CRITICAL_FILES_MAX} files causes a critical message");
}

/// Records one run, and checks that every refused call failed.
fn recorded(what: &str, run: Run<'_>) -> RunResult {
    let ended = run.record();
    let executed = &ended.recording.executed;
    assert!(executed.is_empty(), "{what}: executed although refused: {executed:?}");
    ended
}

/// Records one run that must succeed.
fn done(what: &str, run: Run<'_>) -> BTreeSet<usize> {
    let ended = recorded(what, run);
    let last = ended.messages.last();
    assert!(matches!(last, Some(ToSupervisor::Done(_))), "{what}: {ended:?}");
    assert_eq!(ended.exit(), WorkerExit::Done, "{what}: {ended:?}");
    ended.recording.used
}

fn run_task(task: &str) -> Recording {
    let spec = ChildSpec::new(task, User::own()).all_layers();
    let folder = tempfile::tempdir().expect("the folder for temporary files is writable");
    let recording = recorder::record(spec.command(&folder));
    assert!(recording.executed.is_empty(), "{task}: {recording:?}");
    recording
}
