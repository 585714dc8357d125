//! Which layer claims to deny which operation, and the check of each claim. The table at the end
//! generates one test for each probe.

use crate::attempts::queries;
use crate::child::{ChildSpec, Outcome, User};
use crate::kernel;
use bodyscript_protocol::sandbox_report::Layer;
use bodyscript_worker::sandbox::policy;
use std::fmt::Write as _;
use std::io::Write as _;

/// The outcome of a probe without a sandbox.
#[derive(Clone, Copy)]
enum Control {
    /// It succeeds, for all users.
    Succeeds,
    /// It succeeds for root; the system denies it to other users anyway.
    SucceedsForRoot,
    /// It fails with an error of the kernel's own handler.
    ReachesHandler,
}
use Control::{ReachesHandler, Succeeds, SucceedsForRoot};

/// How one layer (or several layers together) denies an operation.
struct Claim {
    layers: &'static [Layer],
    denial: Outcome,
    /// The users for whom the layer has an effect.
    users: Users,
    /// The least version of Landlock.
    landlock: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    RootOnly,
    All,
}

const fn claim(layers: &'static [Layer], denial: Outcome) -> Claim {
    Claim { layers, denial, users: Users::All, landlock: 0 }
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

/// `PR_SET_MDWE` and mseal(2) answer with one error each.
const MDWE: Claim = claim(&[Layer::Mdwe], Outcome::Failed(libc::EACCES));
const MSEAL: Claim = claim(&[Layer::Mseal], Outcome::Failed(libc::EPERM));

/// An unprivileged process has no capabilities, so the layer has no effect.
const fn capabilities(errno: i32) -> Claim {
    let claim = claim(&[Layer::Capabilities], Outcome::Failed(errno));
    Claim { users: Users::RootOnly, ..claim }
}

const CAPABILITIES: Claim = capabilities(libc::EPERM);

impl Claim {
    fn applies_to(&self, user: User) -> bool {
        self.users == Users::All || user == User::Root
    }

    fn is_provided(&self) -> bool {
        self.layers.iter().all(|layer| kernel::provides(*layer))
    }

    fn names(&self) -> String {
        self.layers.iter().map(|layer| layer.name()).collect::<Vec<_>>().join("+")
    }
}

/// Checks the claims of one probe.
fn check(probe: &str, control: Control, claims: &[Claim]) {
    for user in User::available() {
        let mut line = format!("{probe:32} {user:4} ");
        let unconfined = ChildSpec::new(probe, user).run();
        write!(line, "| control: {:9} ", unconfined.outcome.to_string()).unwrap();
        let claims = claims.iter().filter(|claim| claim.applies_to(user));
        let (claims, beyond): (Vec<_>, Vec<_>) = claims.partition(|claim| claim.is_provided());
        beyond.iter().for_each(|claim| kernel::skip(probe, &claim.names()));
        let denials: Vec<_> = claims.iter().map(|claim| claim.denial).collect();
        let as_expected = match (control, user) {
            (Succeeds, _) | (SucceedsForRoot, User::Root) => {
                unconfined.outcome == Outcome::Succeeded
            }
            _ => matches!(unconfined.outcome, Outcome::Succeeded | Outcome::Failed(_)),
        };
        let mut faults = Vec::new();
        if !as_expected || denials.contains(&unconfined.outcome) && control_differs(control, user) {
            faults.push(format!("control: {}: {}", unconfined.outcome, unconfined.stderr));
        }
        let whole = ChildSpec::new(probe, user).all_layers().run();
        write!(line, "| all: {:7} ", whole.outcome.to_string()).unwrap();
        if !claims.is_empty() && !denials.contains(&whole.outcome) {
            faults.push(format!("with all layers: {}: {}", whole.outcome, whole.stderr));
        }
        for claim in &claims {
            let end = ChildSpec::new(probe, user).layers(claim.layers).required(claim.layers).run();
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
        // Not with `eprint!`, which the harness captures for passing tests.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(faults.is_empty(), "{probe} as {user}: {faults:#?}");
    }
}

/// An unprivileged user may get the layer's error without the layer as well; the claim is then
/// checked for root only.
fn control_differs(control: Control, user: User) -> bool {
    !matches!((control, user), (SucceedsForRoot, User::Unprivileged))
}

fn landlock_version(stdout: &str) -> Option<u32> {
    let achieved = stdout.lines().find_map(|line| line.strip_prefix("landlock: active: ABI "));
    achieved.and_then(|version| version.parse().ok())
}

macro_rules! probes {
    ($($probe:ident $control:ident [$($claim:expr),*])*) => {$(
        #[test]
        fn $probe() {
            check(stringify!($probe), $control, &[$($claim),*]);
        }
    )*};
}

use libc::{
    EACCES, EAGAIN, EBADF, ECONNREFUSED, EMFILE, ENETUNREACH, ENOENT, ENOMEM, ENOSYS, ENOTSOCK,
    ENOTTY, EPERM,
};

/// More threads than a worker may have: the limit applies to the user namespace, and only root is
/// exempt.
const THREADS: Claim =
    claim(&[Layer::Rlimits, Layer::Namespaces, Layer::Capabilities], Outcome::Failed(EAGAIN));
const DESCRIPTORS: Claim = claim(&[Layer::Rlimits], Outcome::Failed(EMFILE));
const FILE_SIZE: Claim = claim(&[Layer::Rlimits], Outcome::Killed(libc::SIGXFSZ));
const STRAYS: Claim = claim(&[Layer::Descriptors], Outcome::Failed(EBADF));
/// Root may exceed and raise limits, so these apply only without capabilities.
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
    connect_an_earlier_socket Succeeds [landlock(4, EACCES), SIGSYS]
    bind_a_port Succeeds [landlock(4, EACCES), SIGSYS]
    accept_on_an_earlier_socket Succeeds [SIGSYS]
    send_a_datagram Succeeds [landlock(10, EACCES), namespaces(ENETUNREACH), SIGSYS]
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
    load_a_bpf_map ReachesHandler [SIGSYS]
    set_up_io_uring ReachesHandler [SIGSYS]
    count_with_perf ReachesHandler [SIGSYS]
    handle_page_faults ReachesHandler [SIGSYS]
    use_a_keyring ReachesHandler [SIGSYS]
    add_a_key ReachesHandler [SIGSYS]
    watch_with_inotify Succeeds [SIGSYS]
    watch_with_fanotify ReachesHandler [SIGSYS]
    memory_file Succeeds [SIGSYS]
    shared_memory Succeeds [SIGSYS]
    message_queue Succeeds [SIGSYS]
    executable_memory Succeeds [MDWE, SIGSYS]
    memory_made_executable Succeeds [MDWE, SIGSYS]
    executable_memory_with_a_key Succeeds [MDWE, SIGSYS]
    unmap_code Succeeds [MSEAL]
    replace_code Succeeds [MSEAL]
    move_code Succeeds [MSEAL]
    make_code_writable Succeeds [MSEAL]
    make_constants_writable Succeeds [MSEAL]
    replace_the_refusal_handler Succeeds [SIGSYS]
    install_a_filter Succeeds [SIGSYS]
    read_with_an_unlisted_prctl Succeeds [SIGSYS]
    call_of_32_bits ReachesHandler [SIGSYS]
    call_of_x32 ReachesHandler [SIGSYS]
    personality Succeeds [SIGSYS]

    // The host.
    mount_a_file_system SucceedsForRoot [CAPABILITIES, landlock(1, EPERM), SIGSYS]
    detach_a_mount SucceedsForRoot [CAPABILITIES, landlock(1, EPERM), SIGSYS]
    pivot_the_root ReachesHandler [CAPABILITIES, SIGSYS]
    change_root SucceedsForRoot [CAPABILITIES, SIGSYS]
    open_a_file_system SucceedsForRoot [CAPABILITIES, SIGSYS]
    unshare_the_user_namespace ReachesHandler [SIGSYS]
    join_a_namespace SucceedsForRoot [CAPABILITIES, SIGSYS]
    set_the_host_name SucceedsForRoot [CAPABILITIES, SIGSYS]
    restart_the_machine ReachesHandler [CAPABILITIES, SIGSYS]
    load_a_module ReachesHandler [SIGSYS]
    load_a_kernel ReachesHandler [SIGSYS]
    swap ReachesHandler [CAPABILITIES, SIGSYS]
    quota ReachesHandler [SIGSYS]
    accounting ReachesHandler [CAPABILITIES, SIGSYS]
    kernel_log SucceedsForRoot [SIGSYS]
    set_the_clock ReachesHandler [SIGSYS]
    use_ports ReachesHandler [SIGSYS]
    become_root SucceedsForRoot [CAPABILITIES, SIGSYS]
    clear_groups SucceedsForRoot [CAPABILITIES, SIGSYS]
    take_capabilities SucceedsForRoot [CAPABILITIES, SIGSYS]
    push_terminal_input ReachesHandler [SIGSYS]

    // Optional queries of libraries: refused with an error, without killing the process.
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

    // Excessive use of resources.
    threads_without_end Succeeds [THREADS]
    descriptors_without_end Succeeds [DESCRIPTORS]
    file_without_end Succeeds [FILE_SIZE]
    lock_memory Succeeds [LOCKED_MEMORY, SIGSYS]
    raise_the_limits Succeeds [LIMITS, SIGSYS]
}

#[test]
fn each_query_of_the_policy_has_a_probe() {
    let probes: Vec<_> = queries::ALL.iter().map(|(name, _)| *name).collect();
    assert_eq!(probes.len(), policy::QUERIES.len(), "{probes:?}");
    for (probe, rule) in probes.iter().zip(policy::QUERIES) {
        let call = rule.name.strip_prefix("SYS_").expect("names of system calls");
        assert!(probe.starts_with(call), "{probe} for {rule:?}");
    }
}
