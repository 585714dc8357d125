//! Tests every layer of the sandbox with operations that it denies.
//!
//! Each probe runs in separate processes: with the whole sandbox, where it must be denied; with only
//! the layer that claims to deny it, where it must fail with that layer's error; and without any
//! layer (the control), where it must succeed, or at least reach the kernel's own handler. One line
//! for each probe is written to stderr.
//!
//! As root all of this is done twice, the second time as an unprivileged user.

#![allow(unsafe_code)]

mod attempts;
mod child;
mod claims;
mod coverage;
mod kernel;
mod libraries;
#[path = "../../../tests/src/report.rs"]
pub mod report;
mod work;

use bodyscript_protocol::sandbox_report::Layer;
use bodyscript_worker::sandbox::REFUSAL_PREFIX;
use child::{ChildSpec, Host, Outcome, Stage, User};
use std::process::Command;

/// Runs the child's task, if this process is a child, before `main`.
///
/// The test harness runs tests in threads, but a user namespace can be entered only by a process
/// with one thread, so the child must complete before the harness starts.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        child::run_if_child();
    }
    before_main
};

/// Runs a task inside the whole sandbox.
fn run_confined(task: &str, user: User) -> child::ChildExit {
    ChildSpec::new(task, user).all_layers().run()
}

macro_rules! ordinary_tasks {
    ($($task:ident)*) => {$(
        #[test]
        fn $task() {
            for user in User::available() {
                let end = run_confined(stringify!($task), user);
                assert_eq!(end.outcome, Outcome::Succeeded, "as {user}: {}", end.stderr);
            }
        }
    )*};
}

ordinary_tasks! {
    threads_start_and_join
    memory_is_allocated_and_returned
    inherited_files_are_read_and_written
    the_clock_runs
    a_panic_is_reported_and_caught
    harmless_probes_of_libraries_fail_without_a_signal
    every_refusal_with_an_error_returns_it
}

#[test]
fn abort_ends_with_sigabrt() {
    for user in User::available() {
        let end = run_confined("abort", user);
        assert_eq!(end.outcome, Outcome::Killed(libc::SIGABRT), "as {user}: {}", end.stderr);
    }
}

#[test]
fn a_refused_call_is_logged_by_name() {
    for user in User::available() {
        let end = run_confined("socket_inet", user);
        assert_eq!(end.outcome, Outcome::Killed(libc::SIGSYS));
        let line = format!("{REFUSAL_PREFIX}{} (socket)\n", libc::SYS_socket);
        assert!(end.stderr.ends_with(&line), "{:?}", end.stderr);
    }
}

#[test]
fn a_refused_call_kills_the_process_if_sigsys_is_blocked() {
    let end = run_confined("socket_with_sigsys_blocked", User::own());
    assert_eq!(end.outcome, Outcome::Killed(libc::SIGSYS));
}

#[test]
fn libraries_can_be_loaded_until_the_sandbox_is_closed() {
    let load =
        |stage| ChildSpec::new("load_a_library", User::own()).layers(&Layer::ALL).until(stage);
    let early = load(Stage::Early).run();
    assert_eq!(early.outcome, Outcome::Succeeded, "{}", early.stderr);
    assert_ne!(load(Stage::Closed).run().outcome, Outcome::Succeeded);
}

#[test]
fn only_libraries_can_be_read_before_the_sandbox_is_closed() {
    // With Landlock alone: in the new file tree the files would be missing.
    for probe in ["open_passwd", "open_through_proc_root", "open_through_dots", "write_file"] {
        for user in User::available() {
            let spec = ChildSpec::new(probe, user).until(Stage::Early);
            let free = spec.clone().run();
            assert_eq!(free.outcome, Outcome::Succeeded, "{probe} as {user}: {}", free.stderr);
            let confined = spec.layers(&[Layer::Landlock]).run();
            assert_eq!(confined.outcome, Outcome::Failed(libc::EACCES), "{probe} as {user}");
        }
    }
}

#[test]
fn the_parent_death_signal_is_set_and_the_process_is_not_dumpable() {
    // After the last change of credentials, which clears both.
    let layers: Vec<_> = Layer::ALL.into_iter().filter(|l| *l != Layer::Seccomp).collect();
    for user in User::available() {
        let end = ChildSpec::new("parent_death_and_dumps", user).layers(&layers).run();
        assert_eq!(end.outcome, Outcome::Succeeded, "as {user}: {}", end.stderr);
    }
}

#[test]
fn an_unavailable_layer_is_reported_and_the_others_are_active() {
    let spec = ChildSpec::new("idle", User::own()).layers(&Layer::ALL).on(Host::Limited);
    let end = spec.run();
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.stderr);
    for missing in ["descriptors", "namespaces", "mseal", "landlock"] {
        assert!(end.stdout.contains(&format!("{missing}: unavailable")), "{}", end.stdout);
    }
    for active in ["rlimits", "no_new_privs", "capabilities", "seccomp"] {
        assert!(end.stdout.contains(&format!("{active}: active")), "{}", end.stdout);
    }
}

#[test]
fn an_unavailable_required_layer_stops_the_worker() {
    for layer in [Layer::Descriptors, Layer::Namespaces, Layer::Mseal, Layer::Landlock] {
        let spec = ChildSpec::new("idle", User::own()).layers(&Layer::ALL).on(Host::Limited);
        let end = spec.required(&[layer]).run();
        assert_eq!(end.outcome, Outcome::NotConfined, "{}", end.stdout);
        assert!(end.stderr.contains(layer.name()), "{}", end.stderr);
    }
}

#[test]
fn a_layer_both_required_and_switched_off_stops_the_worker() {
    for layer in Layer::ALL {
        let others: Vec<_> = Layer::ALL.into_iter().filter(|other| *other != layer).collect();
        let end = ChildSpec::new("idle", User::own()).layers(&others).required(&[layer]).run();
        assert_eq!(end.outcome, Outcome::NotConfined, "{}", end.stdout);
        assert!(end.stderr.contains("switched off"), "{}", end.stderr);
    }
}

#[test]
fn a_core_is_shared_with_own_threads_only_or_the_layer_is_unavailable() {
    let layer = Layer::CoreScheduling;
    for user in User::available() {
        let spec = ChildSpec::new("core_is_not_shared", user).until(Stage::Early);
        let (without, with) = (spec.clone().run(), spec.layers(&[layer]).required(&[layer]).run());
        if kernel::provides(layer) {
            assert_eq!(without.outcome, Outcome::Failed(libc::ENODATA), "as {user}");
            assert_eq!(with.outcome, Outcome::Succeeded, "as {user}: {}", with.stderr);
        } else {
            assert_eq!(with.outcome, Outcome::NotConfined, "as {user}: {}", with.stdout);
            assert!(with.stderr.contains("core_scheduling"), "{}", with.stderr);
            kernel::skip("the tag of a worker", layer.name());
        }
    }
}

#[test]
fn landlock_is_not_applied_in_a_process_with_several_threads() {
    let spec = ChildSpec::new("idle", User::own()).layers(&[Layer::Landlock]);
    let end = spec.on(Host::Threaded).run();
    assert!(end.stdout.contains("landlock: unavailable: other threads"), "{}", end.stdout);
}

#[test]
fn the_program_reports_its_layers_as_json_lines() {
    let output = Command::new(env!("CARGO_BIN_EXE_bodyscript-worker"))
        .arg("--sandbox-report")
        .output()
        .expect("the worker program runs");
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let layers: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("a JSON object"))
        .inspect(|line| assert!(line["detail"].is_string(), "{line}"))
        .inspect(|line| {
            assert!(["active", "unavailable"].contains(&line["state"].as_str().unwrap()))
        })
        .map(|line| line["layer"].as_str().expect("a name").to_owned())
        .collect();
    assert_eq!(layers, Layer::ALL.map(Layer::name));
}
