//! Messages of the media libraries inside the closed sandbox: they are written to the worker's log
//! only, on one line each, and up to a limit.

use crate::attempts::Attempt;
use crate::child::{ChildSpec, Outcome, User};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_worker::{log, video};
use gstreamer as gst;
use gstreamer::glib;
use nix::errno::Errno;
use std::ffi::{CStr, CString};

/// More messages than are logged.
const MANY: usize = 10_000;

/// Prepares the task of this name, if there is one.
pub(crate) fn prepare(name: &str) -> Option<Attempt> {
    let task: fn() = match name {
        "glib_warns" => || glib::g_warning!("probe", "a hostile\n\u{1b}[2J {}", "x".repeat(10_000)),
        "glib_is_critical" => || glib::g_critical!("probe", "an assertion"),
        "glib_prints" => || print("to standard output\n"),
        "gstreamer_errs" => || gst::error!(gst::CAT_DEFAULT, "a broken stream"),
        "glib_warns_without_end" => || {
            (0..MANY).for_each(|n| glib::g_warning!("probe", "number {}", n));
            video::log_suppressed_messages();
        },
        "glib_asserts" => fail_an_assertion,
        "glib_fails_fatally" => || glib::g_error!("probe", "out of everything"),
        _ => return None,
    };
    log::init();
    video::init().expect("the media framework starts");
    Some(Box::new(move || {
        task();
        Ok::<(), Errno>(())
    }))
}

#[allow(unsafe_code)]
fn print(text: &str) {
    let text = CString::new(text).expect("no NUL");
    // SAFETY: a format with one string, and a string.
    unsafe { glib::ffi::g_print(c"%s".as_ptr(), text.as_ptr()) };
}

#[allow(unsafe_code)]
fn fail_an_assertion() {
    let [domain, file, function] = [c"probe", c"demuxer.c", c"parse"].map(CStr::as_ptr);
    // SAFETY: four texts that live through the call; it ends the process.
    unsafe { glib::ffi::g_assertion_message_expr(domain, file, 7, function, c"size > 0".as_ptr()) };
}

/// Runs the task in the whole sandbox; returns its outcome and the lines of the log.
fn run(task: &str, user: User) -> (Outcome, Vec<String>) {
    let end = ChildSpec::new(task, user).all_layers().run();
    let others = ["active", "unavailable", "outcome: "];
    let stray: Vec<_> =
        end.stdout.lines().filter(|line| !others.iter().any(|o| line.contains(o))).collect();
    assert!(stray.is_empty(), "{task} as {user}: unexpected output {stray:?}");
    (end.outcome, end.stderr.lines().map(str::to_owned).collect())
}

#[test]
fn each_message_becomes_one_line_of_the_log() {
    for (task, line) in [
        ("glib_warns", r" WARN probe warning: a hostile\n\u{1b}[2J xxx"),
        ("glib_is_critical", " WARN probe critical: an assertion"),
        ("glib_prints", " WARN GLib print: to standard output"),
        ("gstreamer_errs", " WARN default error: a broken stream"),
    ] {
        for user in User::available() {
            let (outcome, log) = run(task, user);
            assert_eq!(outcome, Outcome::Succeeded, "{task} as {user}: {log:#?}");
            assert_eq!(log.len(), 1, "{task} as {user}: {log:#?}");
            assert!(log[0].starts_with(line) && log[0].len() < 300, "{task}: {log:#?}");
        }
    }
}

#[test]
fn excess_messages_are_counted_and_reported_once() {
    let (outcome, log) = run("glib_warns_without_end", User::own());
    assert_eq!(outcome, Outcome::Succeeded, "{log:#?}");
    let lines = log.iter().filter(|line| line.contains("probe warning: number ")).count();
    assert!((16..100).contains(&lines), "{lines} lines: {log:#?}");
    assert_eq!(log.len(), lines + 1, "{log:#?}");
    let rest = format!("{} further messages of the media libraries", MANY - lines);
    assert!(log[lines].contains(&rest), "{log:#?}");
}

#[test]
fn a_failed_assertion_ends_the_worker_as_a_damaged_video_does() {
    for user in User::available() {
        let (outcome, log) = run("glib_asserts", user);
        assert_eq!(outcome, Outcome::Exited(WorkerExit::BadInput), "as {user}: {log:#?}");
        assert!(log[0].contains("demuxer.c:7"), "as {user}: {log:#?}");
    }
}

#[test]
fn a_fatal_message_ends_the_worker_with_sigabrt() {
    for user in User::available() {
        let (outcome, log) = run("glib_fails_fatally", user);
        assert_eq!(outcome, Outcome::Killed(libc::SIGABRT), "as {user}: {log:#?}");
        assert!(log[0].contains("probe fatal: out of everything"), "as {user}: {log:#?}");
    }
}
