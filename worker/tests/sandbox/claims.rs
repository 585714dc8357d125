//! Which layer claims to deny what, and the check of each claim. The tests are made from the
//! table at the end: one for each probe.

use crate::attempts::questions;
use crate::child::{Order, Outcome, User};
use bodyscript_protocol::sandbox_report::Layer;
use bodyscript_worker::sandbox::policy;
use std::fmt::Write as _;
use std::io::Write as _;

/// What a probe comes to without a sandbox.
#[derive(Clone, Copy)]
enum Free {
    /// It succeeds, for everyone.
    Succeeds,
    /// It succeeds for root; others are denied it by the system anyway.
    SucceedsForRoot,
    /// It fails for a reason of its own, which only the kernel's real handler can tell.
    IsAnswered,
}
use Free::{IsAnswered, Succeeds, SucceedsForRoot};

/// One layer's (or several layers' joint) way of denying.
struct Claim {
    layers: &'static [Layer],
    denial: Outcome,
    /// Whether only root has something to lose.
    of_root: Root,
    /// The version of Landlock it takes.
    landlock: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Root {
    Only,
    AndOthers,
}

const fn claim(layers: &'static [Layer], denial: Outcome) -> Claim {
    Claim { layers, denial, of_root: Root::AndOthers, landlock: 0 }
}

const SIGSYS: Claim = claim(&[Layer::Seccomp], Outcome::Killed(libc::SIGSYS));

const fn seccomp(errno: i32) -> Claim {
    claim(&[Layer::Seccomp], Outcome::Failed(errno))
}

const fn namespaces(errno: i32) -> Claim {
    claim(&[Layer::Namespaces], Outcome::Failed(errno))
}

const fn landlock(version: u32, errno: i32) -> Claim {
    let claim = claim(&[Layer::Landlock], Outcome::Failed(errno));
    Claim { landlock: version, ..claim }
}

/// An unprivileged process has none to give up, so there is nothing to see.
const fn capabilities(errno: i32) -> Claim {
    let claim = claim(&[Layer::Capabilities], Outcome::Failed(errno));
    Claim { of_root: Root::Only, ..claim }
}

const CAPABILITIES: Claim = capabilities(libc::EPERM);

impl Claim {
    fn is_for(&self, user: User) -> bool {
        self.of_root == Root::AndOthers || user == User::Root
    }

    fn names(&self) -> String {
        self.layers.iter().map(|layer| layer.name()).collect::<Vec<_>>().join("+")
    }
}

/// Holds one probe's claims against the kernel.
fn check(probe: &str, free: Free, claims: &[Claim]) {
    for user in User::available() {
        let mut line = format!("{probe:32} {user:4} ");
        let alone = Order::new(probe, user).run();
        write!(line, "| free: {:9} ", alone.outcome.to_string()).unwrap();
        let claims: Vec<_> = claims.iter().filter(|claim| claim.is_for(user)).collect();
        let denials: Vec<_> = claims.iter().map(|claim| claim.denial).collect();
        let as_expected = match (free, user) {
            (Succeeds, _) | (SucceedsForRoot, User::Root) => alone.outcome == Outcome::Succeeded,
            _ => matches!(alone.outcome, Outcome::Succeeded | Outcome::Failed(_)),
        };
        let mut faults = Vec::new();
        if !as_expected || denials.contains(&alone.outcome) && free_is_telling(free, user) {
            faults.push(format!("free: {}: {}", alone.outcome, alone.stderr));
        }
        let whole = Order::new(probe, user).layers(&Layer::ALL).required(&Layer::ALL).run();
        write!(line, "| all: {:7} ", whole.outcome.to_string()).unwrap();
        if !denials.contains(&whole.outcome) {
            faults.push(format!("with all layers: {}: {}", whole.outcome, whole.stderr));
        }
        for claim in claims {
            let end = Order::new(probe, user).layers(claim.layers).required(claim.layers).run();
            if landlock_version(&end.stdout).is_some_and(|version| version < claim.landlock) {
                write!(line, "| landlock: not before ABI {} ", claim.landlock).unwrap();
                continue;
            }
            write!(line, "| {}: {} ", claim.names(), end.outcome).unwrap();
            if end.outcome != claim.denial {
                let names = claim.names();
                faults.push(format!("with {names} alone: {}: {}", end.outcome, end.stderr));
            }
        }
        line.truncate(line.trim_end().len());
        line.push('\n');
        // Past the harness, which would swallow what a passing test prints.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(faults.is_empty(), "{probe} as {user}: {faults:#?}");
    }
}

/// An unprivileged user may meet the layer's very error without it; then the claim is proved for
/// root only.
fn free_is_telling(free: Free, user: User) -> bool {
    !matches!((free, user), (SucceedsForRoot, User::Unprivileged))
}

fn landlock_version(stdout: &str) -> Option<u32> {
    let achieved = stdout.lines().find_map(|line| line.strip_prefix("landlock: active: ABI "));
    achieved.and_then(|version| version.parse().ok())
}

macro_rules! probes {
    ($($probe:ident $free:ident [$($claim:expr),*])*) => {$(
        #[test]
        fn $probe() {
            check(stringify!($probe), $free, &[$($claim),*]);
        }
    )*};
}

use libc::{
    EACCES, EAGAIN, EBADF, ECONNREFUSED, EMFILE, ENETUNREACH, ENOENT, ENOMEM, ENOSYS, ENOTSOCK,
    ENOTTY, EPERM,
};

/// More threads than a worker may have, by the limit that counts in its user namespace alone, and
/// from which only root is exempt.
const THREADS: Claim =
    claim(&[Layer::Rlimits, Layer::Namespaces, Layer::Capabilities], Outcome::Failed(EAGAIN));
const DESCRIPTORS: Claim = claim(&[Layer::Rlimits], Outcome::Failed(EMFILE));
const FILE_SIZE: Claim = claim(&[Layer::Rlimits], Outcome::Killed(libc::SIGXFSZ));
const STRAYS: Claim = claim(&[Layer::Descriptors], Outcome::Failed(EBADF));
/// Root may exceed and raise limits, so these hold only with the capabilities gone.
const LIMITS: Claim = claim(&[Layer::Rlimits, Layer::Capabilities], Outcome::Failed(EPERM));
const LOCKED_MEMORY: Claim = claim(&[Layer::Rlimits, Layer::Capabilities], Outcome::Failed(ENOMEM));

probes! {
    // Files.
    open_passwd Succeeds [landlock(1, EACCES), namespaces(ENOENT), seccomp(EACCES)]
    open_through_proc_root Succeeds [landlock(1, EACCES), namespaces(ENOENT), seccomp(EACCES)]
    open_through_dots Succeeds [landlock(1, EACCES), namespaces(ENOENT), seccomp(EACCES)]
    open_through_a_directory Succeeds [landlock(1, EACCES), seccomp(EACCES)]
    open_through_a_symlink Succeeds [landlock(1, EACCES), namespaces(ENOENT), seccomp(EACCES)]
    open_by_handle SucceedsForRoot [CAPABILITIES, SIGSYS]
    list_a_directory Succeeds [landlock(1, EACCES), seccomp(EACCES)]
    write_file Succeeds [landlock(1, EACCES), namespaces(ENOENT), SIGSYS]
    make_a_directory Succeeds [landlock(1, EACCES), namespaces(ENOENT), SIGSYS]
    make_a_symlink Succeeds [landlock(1, EACCES), namespaces(ENOENT), SIGSYS]
    remove_a_file Succeeds [landlock(1, EACCES), namespaces(ENOENT), SIGSYS]
    truncate_a_file Succeeds [landlock(3, EACCES), namespaces(ENOENT), SIGSYS]
    change_a_mode Succeeds [namespaces(ENOENT), SIGSYS]
    read_a_stray_descriptor Succeeds [STRAYS]

    // The network.
    socket_inet Succeeds [SIGSYS]
    socket_unix Succeeds [SIGSYS]
    socket_netlink Succeeds [SIGSYS]
    socket_packet SucceedsForRoot [CAPABILITIES, SIGSYS]
    socketpair_of_datagrams Succeeds [SIGSYS]
    connect_to_a_port Succeeds [landlock(4, EACCES), namespaces(ENETUNREACH), SIGSYS]
    connect_an_old_socket Succeeds [landlock(4, EACCES), SIGSYS]
    bind_a_port Succeeds [landlock(4, EACCES), SIGSYS]
    accept_on_an_old_socket Succeeds [SIGSYS]
    send_a_datagram Succeeds [namespaces(ENETUNREACH), SIGSYS]
    reach_an_abstract_socket Succeeds [landlock(6, EPERM), namespaces(ECONNREFUSED), SIGSYS]
    receive_a_file Succeeds [SIGSYS]

    // Programs and processes.
    run_a_program Succeeds [landlock(1, EACCES), namespaces(ENOENT), SIGSYS]
    run_from_memory Succeeds [SIGSYS]
    fork_a_process Succeeds [SIGSYS]
    vfork_a_process Succeeds [SIGSYS]
    clone3_a_process Succeeds [seccomp(ENOSYS)]
    attach_to_a_process Succeeds [landlock(1, EPERM), SIGSYS]
    read_memory_of_a_process Succeeds [landlock(1, EPERM), SIGSYS]
    write_memory_of_a_process Succeeds [landlock(1, EPERM), SIGSYS]
    signal_a_process Succeeds [landlock(6, EPERM), SIGSYS]
    signal_a_thread_elsewhere Succeeds [landlock(6, EPERM), SIGSYS]
    queue_a_signal Succeeds [landlock(6, EPERM), SIGSYS]
    open_a_process Succeeds [SIGSYS]
    take_a_descriptor_of_a_process Succeeds [landlock(1, EPERM), SIGSYS]
    raise_priority SucceedsForRoot [capabilities(EACCES), SIGSYS]
    become_real_time SucceedsForRoot [CAPABILITIES, SIGSYS]

    // The kernel's larger surfaces.
    load_a_bpf_map IsAnswered [SIGSYS]
    set_up_io_uring IsAnswered [SIGSYS]
    count_with_perf IsAnswered [SIGSYS]
    handle_page_faults IsAnswered [SIGSYS]
    use_a_keyring IsAnswered [SIGSYS]
    add_a_key IsAnswered [SIGSYS]
    watch_with_inotify Succeeds [SIGSYS]
    watch_with_fanotify IsAnswered [SIGSYS]
    memory_file Succeeds [SIGSYS]
    shared_memory Succeeds [SIGSYS]
    message_queue Succeeds [SIGSYS]
    executable_memory Succeeds [SIGSYS]
    memory_made_executable Succeeds [SIGSYS]
    executable_memory_with_a_key Succeeds [SIGSYS]
    replace_the_refusal_handler Succeeds [SIGSYS]
    install_a_filter Succeeds [SIGSYS]
    read_with_an_unlisted_prctl Succeeds [SIGSYS]
    call_of_32_bits IsAnswered [SIGSYS]
    call_of_x32 IsAnswered [SIGSYS]
    personality Succeeds [SIGSYS]

    // The machine.
    mount_a_file_system SucceedsForRoot [CAPABILITIES, landlock(1, EPERM), SIGSYS]
    detach_a_mount SucceedsForRoot [CAPABILITIES, landlock(1, EPERM), SIGSYS]
    pivot_the_root IsAnswered [CAPABILITIES, SIGSYS]
    change_root SucceedsForRoot [CAPABILITIES, SIGSYS]
    open_a_file_system SucceedsForRoot [CAPABILITIES, SIGSYS]
    leave_the_user_namespace IsAnswered [SIGSYS]
    join_a_namespace SucceedsForRoot [CAPABILITIES, SIGSYS]
    set_the_host_name SucceedsForRoot [CAPABILITIES, SIGSYS]
    restart_the_machine IsAnswered [CAPABILITIES, SIGSYS]
    load_a_module IsAnswered [SIGSYS]
    load_a_kernel IsAnswered [SIGSYS]
    swap IsAnswered [CAPABILITIES, SIGSYS]
    quota IsAnswered [SIGSYS]
    accounting IsAnswered [CAPABILITIES, SIGSYS]
    kernel_log SucceedsForRoot [SIGSYS]
    set_the_clock IsAnswered [SIGSYS]
    use_ports IsAnswered [SIGSYS]
    become_root SucceedsForRoot [CAPABILITIES, SIGSYS]
    leave_groups SucceedsForRoot [CAPABILITIES, SIGSYS]
    take_capabilities SucceedsForRoot [CAPABILITIES, SIGSYS]
    push_terminal_input IsAnswered [SIGSYS]

    // What libraries ask in passing: refused with an error, and nobody is killed for it.
    getpeername Succeeds [seccomp(ENOTSOCK)]
    getsockname Succeeds [seccomp(ENOTSOCK)]
    getsockopt Succeeds [seccomp(ENOTSOCK)]
    ioctl_tcgets2 Succeeds [seccomp(ENOTTY)]
    ioctl_tiocgwinsz Succeeds [seccomp(ENOTTY)]
    ioctl_fionread Succeeds [seccomp(ENOTTY)]
    fstatfs Succeeds [seccomp(EACCES)]
    statfs Succeeds [seccomp(EACCES)]
    getuid Succeeds [seccomp(EPERM)]
    geteuid Succeeds [seccomp(EPERM)]
    getgid Succeeds [seccomp(EPERM)]
    getegid Succeeds [seccomp(EPERM)]
    getpriority Succeeds [seccomp(EPERM)]
    sched_getparam Succeeds [seccomp(EPERM)]
    sched_getscheduler Succeeds [seccomp(EPERM)]
    prctl_get_name Succeeds [seccomp(EPERM)]
    getrusage Succeeds [seccomp(EPERM)]

    // More than a fair share.
    threads_without_end Succeeds [THREADS]
    descriptors_without_end Succeeds [DESCRIPTORS]
    file_without_end Succeeds [FILE_SIZE]
    lock_memory Succeeds [LOCKED_MEMORY, SIGSYS]
    raise_the_limits Succeeds [LIMITS, SIGSYS]
}

#[test]
fn each_question_of_the_policy_has_a_probe() {
    let probes: Vec<_> = questions::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(probes.len(), policy::QUESTIONS.len(), "{probes:?}");
    for (probe, entry) in probes.iter().zip(policy::QUESTIONS) {
        let call = entry.name.strip_prefix("SYS_").expect("names of system calls");
        assert!(probe.starts_with(call), "{probe} for {entry:?}");
    }
}
