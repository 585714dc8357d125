//! Every layer of the sandbox is tried by doing what it forbids.
//!
//! Each probe runs in processes of its own: with the whole sandbox, where it must be denied; with
//! only the layer that claims to deny it, where it must be denied in that layer's way; and with
//! none, where it must succeed, or at least reach the kernel's own answer. The last is what makes
//! the others mean something. One line a probe goes to stderr.
//!
//! As root all of this is done twice, the second time as an unprivileged user.

#![allow(unsafe_code)]

mod attempts;
mod child;
mod claims;
mod coverage;
mod libraries;
mod work;

use bodyscript_protocol::sandbox_report::Layer;
use bodyscript_worker::sandbox::REFUSAL_PREFIX;
use child::{Host, Order, Outcome, Stage, User};
use std::process::Command;

/// Runs the order in this process's environment, if there is one, before `main`.
///
/// The test harness runs tests in threads, but a user namespace can be entered only while there
/// is one thread, so the child must be done before the harness begins.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = {
    extern "C" fn before_main() {
        child::obey();
    }
    before_main
};

/// The whole sandbox around one piece of ordinary work.
fn at_work(task: &str, user: User) -> child::End {
    Order::new(task, user).layers(&Layer::ALL).required(&Layer::ALL).run()
}

macro_rules! ordinary_work {
    ($($task:ident)*) => {$(
        #[test]
        fn $task() {
            for user in User::available() {
                let end = at_work(stringify!($task), user);
                assert_eq!(end.outcome, Outcome::Succeeded, "as {user}: {}", end.stderr);
            }
        }
    )*};
}

ordinary_work! {
    threads_start_and_join
    memory_is_allocated_and_returned
    inherited_files_are_read_and_written
    the_clock_runs
    a_panic_is_reported_and_caught
    harmless_probes_of_libraries_fail_without_a_signal
    every_soft_refusal_gives_its_error
}

#[test]
fn abort_ends_with_its_own_signal() {
    for user in User::available() {
        let end = at_work("abort", user);
        assert_eq!(end.outcome, Outcome::Killed(libc::SIGABRT), "as {user}: {}", end.stderr);
    }
}

#[test]
fn a_refused_call_is_named_on_stderr() {
    for user in User::available() {
        let end = at_work("socket_inet", user);
        assert_eq!(end.outcome, Outcome::Killed(libc::SIGSYS));
        let line = format!("{REFUSAL_PREFIX}{} (socket)\n", libc::SYS_socket);
        assert!(end.stderr.ends_with(&line), "{:?}", end.stderr);
    }
}

#[test]
fn a_refused_call_kills_where_the_signal_is_blocked() {
    let end = at_work("socket_with_sigsys_blocked", User::own());
    assert_eq!(end.outcome, Outcome::Killed(libc::SIGSYS));
}

#[test]
fn libraries_can_be_loaded_until_the_sandbox_is_closed() {
    let load = |stage| Order::new("load_a_library", User::own()).layers(&Layer::ALL).until(stage);
    let early = load(Stage::Early).run();
    assert_eq!(early.outcome, Outcome::Succeeded, "{}", early.stderr);
    assert_ne!(load(Stage::Closed).run().outcome, Outcome::Succeeded);
}

#[test]
fn only_libraries_can_be_read_before_the_sandbox_is_closed() {
    // With Landlock alone: the small file tree would have the files missing instead.
    for probe in ["open_passwd", "open_through_proc_root", "open_through_dots", "write_file"] {
        for user in User::available() {
            let order = Order::new(probe, user).until(Stage::Early);
            let free = order.clone().run();
            assert_eq!(free.outcome, Outcome::Succeeded, "{probe} as {user}: {}", free.stderr);
            let confined = order.layers(&[Layer::Landlock]).run();
            assert_eq!(confined.outcome, Outcome::Failed(libc::EACCES), "{probe} as {user}");
        }
    }
}

#[test]
fn the_death_of_the_parent_is_bound_to_it_and_no_one_can_attach() {
    // After the last change of credentials, which would clear both.
    let layers: Vec<_> = Layer::ALL.into_iter().filter(|l| *l != Layer::Seccomp).collect();
    for user in User::available() {
        let end = Order::new("parent_death_and_dumps", user).layers(&layers).run();
        assert_eq!(end.outcome, Outcome::Succeeded, "as {user}: {}", end.stderr);
    }
}

#[test]
fn a_layer_the_host_does_not_give_is_reported_and_the_others_hold() {
    let order = Order::new("idle", User::own()).layers(&Layer::ALL).on(Host::Poor);
    let end = order.run();
    assert_eq!(end.outcome, Outcome::Succeeded, "{}", end.stderr);
    for missing in ["descriptors", "namespaces", "landlock"] {
        assert!(end.stdout.contains(&format!("{missing}: unavailable")), "{}", end.stdout);
    }
    for held in ["rlimits", "no_new_privs", "capabilities", "seccomp"] {
        assert!(end.stdout.contains(&format!("{held}: active")), "{}", end.stdout);
    }
}

#[test]
fn a_required_layer_the_host_does_not_give_stops_the_worker() {
    for layer in [Layer::Descriptors, Layer::Namespaces, Layer::Landlock] {
        let order = Order::new("idle", User::own()).layers(&Layer::ALL).on(Host::Poor);
        let end = order.required(&[layer]).run();
        assert_eq!(end.outcome, Outcome::NotConfined, "{}", end.stdout);
        assert!(end.stderr.contains(layer.name()), "{}", end.stderr);
    }
}

#[test]
fn a_layer_both_required_and_switched_off_stops_the_worker() {
    for layer in Layer::ALL {
        let others: Vec<_> = Layer::ALL.into_iter().filter(|other| *other != layer).collect();
        let end = Order::new("idle", User::own()).layers(&others).required(&[layer]).run();
        assert_eq!(end.outcome, Outcome::NotConfined, "{}", end.stdout);
        assert!(end.stderr.contains("switched off"), "{}", end.stderr);
    }
}

#[test]
fn landlock_refuses_to_bind_only_some_of_the_threads() {
    let order = Order::new("idle", User::own()).layers(&[Layer::Landlock]);
    let end = order.on(Host::Threaded).run();
    assert!(end.stdout.contains("landlock: unavailable: other threads"), "{}", end.stdout);
}

#[test]
fn the_program_reports_its_posture_as_json_lines() {
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
