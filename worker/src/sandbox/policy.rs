//! The policy of the sandbox as data: the paths that may be read during the start, and the system
//! calls that are allowed afterwards. Read by `root_fs`, `landlock` and `seccomp`.
//!
//! The system calls are an allowlist: the worker runs one pipeline on descriptors that are all open
//! by then, so the list is short, and calls added by future kernels are refused. The price is that
//! a new version of a library may need another rule; a refused call is therefore logged by name
//! (see `sigsys_handler`).
//!
//! A call that is not listed, or listed with other arguments, raises SIGSYS. Errors are for calls
//! that libraries try optionally and can do without: such a call is never executed.

use bodyscript_protocol::inherited;

/// Paths that may be read until the sandbox is closed, with the reason for each. Paths that the
/// host does not have are skipped.
pub const READABLE: &[(&str, &str)] = &[
    ("/usr/lib", "shared libraries and media plugins"),
    ("/usr/lib64", "the same on hosts that keep them apart"),
    ("/usr/local/lib", "the same when built on the host"),
    ("/lib", "the dynamic loader's own name for its libraries"),
    ("/lib64", "the dynamic loader"),
    ("/etc/alternatives", "links from a library's name to the one chosen, as Debian has them"),
    ("/etc/ld.so.cache", "where the dynamic loader finds libraries"),
    ("/proc/self", "what the C library and the media framework read about their own process"),
    ("/proc/cpuinfo", "processor features, for the choice of numeric kernels"),
    ("/proc/meminfo", "memory size, for the choice of buffers"),
    ("/sys/devices/system/cpu", "the number of processors and their caches"),
    ("/sys/devices/system/node", "the same for memory nodes"),
    ("/dev/null", "where libraries discard output"),
    ("/dev/urandom", "seeds, for libraries that do not use getrandom(2)"),
];

/// What happens to one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is executed.
    Allow,
    /// It is not executed and fails with this error.
    Error(i32),
}

/// A rule for one system call, if its arguments meet all conditions.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its number on this architecture.
    pub call: i64,
    /// Its name.
    pub name: &'static str,
    /// Conditions on its arguments; none matches all.
    pub when: &'static [Condition],
    /// What happens.
    pub action: Action,
    /// Why.
    pub reason: &'static str,
}

/// A condition on the lower 32 bits of one argument.
#[derive(Debug, Clone, Copy)]
pub struct Condition {
    /// Its position, from 0.
    pub argument: u8,
    /// The comparison it must satisfy.
    pub comparison: Comparison,
}

/// A comparison of an argument.
#[derive(Debug, Clone, Copy)]
pub enum Comparison {
    /// With this value.
    Equals(u32),
    /// With any other value.
    NotEquals(u32),
    /// Of the bits under the mask with this value.
    MaskedEquals {
        /// The compared bits.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// With the worker's own process id.
    EqualsOwnPid,
}

const fn is(argument: u8, value: i32) -> Condition {
    Condition { argument, comparison: Comparison::Equals(value.cast_unsigned()) }
}

const fn has(argument: u8, bits: i32) -> Condition {
    let bits = bits.cast_unsigned();
    Condition { argument, comparison: Comparison::MaskedEquals { mask: bits, value: bits } }
}

const fn lacks(argument: u8, bits: i32) -> Condition {
    Condition {
        argument,
        comparison: Comparison::MaskedEquals { mask: bits.cast_unsigned(), value: 0 },
    }
}

macro_rules! allow {
    ($name:ident, $reason:literal) => {
        allow!($name, [], $reason)
    };
    ($name:ident, [$($when:expr),*], $reason:literal) => {
        rule!($name, [$($when),*], Action::Allow, $reason)
    };
}

macro_rules! fail {
    ($name:ident, $errno:ident, $reason:literal) => {
        fail!($name, [], $errno, $reason)
    };
    ($name:ident, [$($when:expr),*], $errno:ident, $reason:literal) => {
        rule!($name, [$($when),*], Action::Error(libc::$errno), $reason)
    };
}

macro_rules! rule {
    ($name:ident, [$($when:expr),*], $action:expr, $reason:literal) => {
        Rule {
            call: libc::$name,
            name: stringify!($name),
            when: &[$($when),*],
            action: $action,
            reason: $reason,
        }
    };
}

/// Flags that make a clone(2) a thread of this process, all of them set.
const THREAD: i32 = libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM;

/// Flags that no thread needs, none of them set.
const NO_THREAD: i32 = libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_PTRACE
    | libc::CLONE_VFORK
    | libc::CLONE_PARENT
    | libc::CLONE_IO
    | libc::CLONE_PIDFD;

/// Every rule for this architecture, those of [`ROUTINE`] first.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    ROUTINE.iter().chain(QUERIES).chain(OTHER_HOSTS).chain(LEGACY)
}

/// What a worker needs on this host. A test runs the whole matrix of formats and modes and checks
/// that each rule is used.
pub const ROUTINE: &[Rule] = &[
    // The inherited descriptors and the job's files.
    allow!(SYS_recvmsg, [is(0, inherited::FILES_IN)], "the files of the job"),
    allow!(SYS_read, "frames from the supervisor, the video, wake-ups of waiting threads"),
    allow!(SYS_write, "frames to the supervisor, log lines, artefacts, wake-ups"),
    allow!(SYS_writev, "artefacts and log lines, from several buffers"),
    allow!(SYS_lseek, "an index at the end of the video; the header of an artefact"),
    allow!(SYS_ftruncate, "an artefact that replaces a longer draft"),
    allow!(SYS_close, "unused descriptors"),
    allow!(SYS_newfstatat, [has(3, libc::AT_EMPTY_PATH)], "the C library's form of fstat"),
    allow!(SYS_statx, [has(2, libc::AT_EMPTY_PATH)], "the standard library's form of fstat"),
    allow!(SYS_fcntl, [is(1, libc::F_GETFD)], "a check that a descriptor is open"),
    allow!(SYS_fcntl, [is(1, libc::F_GETFL)], "how a descriptor was opened"),
    allow!(SYS_fcntl, [is(1, libc::F_SETFL)], "wake-ups that must not block"),
    allow!(SYS_fcntl, [is(1, libc::F_SETFD)], "wake-ups that no program inherits"),
    allow!(SYS_fcntl, [is(1, libc::F_DUPFD_CLOEXEC)], "a second handle on an open file"),
    allow!(SYS_ppoll, "waits for descriptors, as GStreamer makes them"),
    allow!(SYS_socketpair, [is(0, libc::AF_UNIX), is(1, libc::SOCK_STREAM)], "their wake-ups"),
    // Memory, never to be executed.
    allow!(SYS_mmap, [lacks(2, libc::PROT_EXEC)], "memory for pictures, stacks, allocators"),
    allow!(SYS_mprotect, [lacks(2, libc::PROT_EXEC)], "guard pages, arenas that grow"),
    allow!(SYS_munmap, "freeing memory"),
    allow!(SYS_mremap, "growing large buffers in place"),
    allow!(SYS_madvise, "freeing pages"),
    allow!(SYS_brk, "the allocator's first arena"),
    // Threads.
    allow!(SYS_clone, [has(0, THREAD), lacks(0, NO_THREAD)], "a thread, never a process"),
    fail!(SYS_clone3, ENOSYS, "its flags cannot be filtered; the C library falls back to clone"),
    allow!(SYS_futex, "locks and conditions"),
    allow!(SYS_set_robust_list, "start of a thread"),
    allow!(SYS_rseq, "start of a thread"),
    allow!(SYS_prctl, [is(0, libc::PR_SET_NAME)], "names of threads"),
    allow!(SYS_sched_getaffinity, "how many threads are useful"),
    fail!(SYS_sched_getattr, EPERM, "GLib, before it copies a priority from thread to thread"),
    allow!(SYS_gettid, "identity of a thread"),
    allow!(SYS_getpid, "identity of the process, for abort and for seeds"),
    allow!(SYS_getppid, "a seed of GLib"),
    allow!(SYS_exit, "end of a thread"),
    allow!(SYS_exit_group, "end of the process"),
    // Signals, only to this process.
    allow!(SYS_rt_sigaction, [NOT_SIGSYS], "handlers, except the sandbox's own"),
    allow!(SYS_rt_sigprocmask, "start of a thread, abort"),
    allow!(SYS_sigaltstack, "start and end of a thread: its stack for overflows"),
    allow!(SYS_tgkill, [OWN_PROCESS], "abort"),
    // Time and randomness.
    allow!(SYS_clock_nanosleep, "pauses"),
    allow!(SYS_getrandom, "seeds of hash tables"),
    // What libraries try optionally.
    fail!(SYS_openat, [READ_ONLY_AT], EACCES, "optional settings and devices"),
    fail!(SYS_newfstatat, [lacks(3, libc::AT_EMPTY_PATH)], EACCES, "whether a file is there"),
    fail!(SYS_statx, [lacks(2, libc::AT_EMPTY_PATH)], EACCES, "whether a file is there"),
    fail!(SYS_getcwd, ENOENT, "the working directory, for the report of a panic"),
    fail!(SYS_ioctl, [is(1, TCGETS)], ENOTTY, "whether stderr is a terminal"),
    fail!(SYS_copy_file_range, ENOSYS, "a faster copy; the standard library has another"),
    fail!(SYS_sendfile, ENOSYS, "a faster copy; the standard library has another"),
];

/// Optional queries of libraries about a descriptor, the process or its user, mostly before a
/// warning. Tests check that each fails with exactly its error.
pub const QUERIES: &[Rule] = &[
    fail!(SYS_getpeername, ENOTSOCK, "whether stderr is a socket of the journal"),
    fail!(SYS_getsockname, ENOTSOCK, "whether a descriptor is a socket"),
    fail!(SYS_getsockopt, ENOTSOCK, "the kind of a socket"),
    fail!(SYS_ioctl, [is(1, TCGETS2)], ENOTTY, "whether stderr is a terminal, in later libraries"),
    fail!(SYS_ioctl, [is(1, TIOCGWINSZ)], ENOTTY, "how wide a line of the terminal is"),
    fail!(SYS_ioctl, [is(1, FIONREAD)], ENOTTY, "how much there is to read"),
    fail!(SYS_fstatfs, EACCES, "what kind of file system a descriptor is on"),
    fail!(SYS_statfs, EACCES, "what kind of file system there is"),
    fail!(SYS_getuid, EPERM, "whose settings and folders to look for"),
    fail!(SYS_geteuid, EPERM, "the same"),
    fail!(SYS_getgid, EPERM, "the same"),
    fail!(SYS_getegid, EPERM, "the same"),
    fail!(SYS_getpriority, EPERM, "a priority to use or report"),
    fail!(SYS_sched_getparam, EPERM, "the same, of a thread"),
    fail!(SYS_sched_getscheduler, EPERM, "the same, of a thread"),
    fail!(SYS_prctl, [is(0, libc::PR_GET_NAME)], EPERM, "the thread of a message"),
    fail!(SYS_getrusage, EPERM, "resource usage, for a message"),
];

/// What a worker needs on another host, with another version of a library, or in a situation that
/// no test can produce.
const OTHER_HOSTS: &[Rule] = &[
    allow!(SYS_readv, "a read into several buffers, as the standard library may choose"),
    allow!(SYS_pread64, "a read at an offset, in other versions of demuxers"),
    allow!(SYS_pwrite64, "a write at an offset, in other versions of muxers"),
    allow!(SYS_fstat, "fstat, in C libraries from 2.39 on"),
    allow!(SYS_eventfd2, "wake-ups of GLib's main loop and of later versions of GStreamer"),
    allow!(SYS_sched_yield, "busy locks, under load"),
    allow!(SYS_membarrier, "barriers of allocators and decoders on many processors"),
    allow!(SYS_rt_sigreturn, "return from a handler, as the runtime's for stack overflows"),
    allow!(SYS_restart_syscall, "a wait interrupted by stop and continue"),
    allow!(SYS_clock_gettime, "time, where the vDSO cannot read the host's clock"),
    allow!(SYS_clock_getres, "the same, its resolution"),
    allow!(SYS_gettimeofday, "the same, in older libraries"),
    allow!(SYS_nanosleep, "pauses, in older libraries"),
    allow!(SYS_sysinfo, "memory size, when the C library sorts much"),
    allow!(SYS_uname, "kernel version, when a library chooses a feature"),
    fail!(SYS_readlinkat, EACCES, "the name of a file, for a message"),
    fail!(SYS_faccessat, EACCES, "whether a file is there"),
    fail!(SYS_faccessat2, EACCES, "whether a file is there"),
    fail!(SYS_splice, ENOSYS, "a faster copy; the standard library has another"),
];

/// The same calls under the names of older architectures.
#[cfg(target_arch = "x86_64")]
const LEGACY: &[Rule] = &[
    allow!(SYS_poll, "waits for descriptors"),
    allow!(SYS_time, "time, in older libraries"),
    fail!(SYS_open, [lacks(1, WRITING)], EACCES, "optional settings and devices"),
    fail!(SYS_readlink, EACCES, "the name of a file, for a message"),
    fail!(SYS_access, EACCES, "whether a file is there"),
    fail!(SYS_stat, EACCES, "whether a file is there"),
    fail!(SYS_lstat, EACCES, "whether a file is there"),
];

/// This architecture has no legacy names.
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[Rule] = &[];

const NOT_SIGSYS: Condition =
    Condition { argument: 0, comparison: Comparison::NotEquals(libc::SIGSYS.cast_unsigned()) };
const OWN_PROCESS: Condition = Condition { argument: 0, comparison: Comparison::EqualsOwnPid };
const WRITING: i32 = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
const READ_ONLY_AT: Condition = lacks(2, WRITING);
const TCGETS: i32 = libc::TCGETS as i32;
const TCGETS2: i32 = libc::TCGETS2 as i32;
const TIOCGWINSZ: i32 = libc::TIOCGWINSZ as i32;
const FIONREAD: i32 = libc::FIONREAD as i32;

macro_rules! hostile {
    ($($name:ident)*) => {
        &[$((libc::$name, stringify!($name))),*]
    };
}

/// Calls that a worker never makes by itself, with their numbers: a test checks that the policy
/// allows none, and a refused call is logged by name.
pub const HOSTILE: &[(i64, &str)] = hostile![
    // Other programs and processes.
    SYS_execve SYS_execveat SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp
    SYS_kill SYS_tkill SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo SYS_pidfd_open
    SYS_pidfd_getfd SYS_pidfd_send_signal SYS_process_madvise SYS_process_mrelease
    SYS_prlimit64 SYS_setpriority SYS_sched_setattr SYS_sched_setscheduler SYS_personality
    // The network and other communication.
    SYS_socket SYS_connect SYS_bind SYS_listen SYS_accept SYS_accept4
    SYS_sendto SYS_sendmsg SYS_sendmmsg SYS_recvfrom SYS_recvmmsg
    SYS_shmget SYS_shmat SYS_msgget SYS_semget SYS_mq_open SYS_memfd_create SYS_memfd_secret
    // Files.
    SYS_openat2 SYS_mkdirat SYS_mknodat SYS_unlinkat SYS_renameat2 SYS_linkat SYS_symlinkat
    SYS_truncate SYS_fchmod SYS_fchmodat SYS_fchown SYS_fchownat SYS_utimensat SYS_setxattr
    SYS_getdents64 SYS_name_to_handle_at SYS_open_by_handle_at SYS_fanotify_init
    SYS_inotify_init1 SYS_chdir SYS_fchdir SYS_quotactl SYS_fallocate
    // The host.
    SYS_mount SYS_umount2 SYS_pivot_root SYS_chroot SYS_fsopen SYS_open_tree SYS_move_mount
    SYS_mount_setattr SYS_swapon SYS_swapoff SYS_reboot SYS_sethostname SYS_setdomainname
    SYS_acct SYS_syslog SYS_init_module SYS_finit_module SYS_delete_module SYS_kexec_load
    SYS_kexec_file_load SYS_clock_settime SYS_settimeofday SYS_adjtimex
    // The kernel's larger surfaces.
    SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_io_uring_setup SYS_io_uring_enter
    SYS_io_uring_register SYS_io_setup SYS_keyctl SYS_add_key SYS_request_key
    SYS_pkey_mprotect SYS_remap_file_pages SYS_mbind SYS_move_pages SYS_vmsplice SYS_tee
    // The sandbox itself.
    SYS_unshare SYS_setns SYS_capset SYS_setuid SYS_setreuid SYS_setresuid SYS_setgid
    SYS_setregid SYS_setresgid SYS_setgroups SYS_setfsuid SYS_seccomp SYS_landlock_create_ruleset
    SYS_landlock_add_rule SYS_landlock_restrict_self
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn no_hostile_call_is_allowed() {
        for (number, name) in HOSTILE {
            let listed = rules().find(|rule| rule.call == *number);
            assert!(listed.is_none(), "{name} is hostile and listed: {listed:?}");
        }
    }

    #[test]
    fn no_query_is_executed() {
        let allowed: Vec<_> = QUERIES.iter().filter(|rule| rule.action == Action::Allow).collect();
        assert!(allowed.is_empty(), "{allowed:?}");
    }

    #[test]
    fn a_call_is_listed_once_without_conditions_or_always_with_conditions() {
        let mut forms: BTreeMap<i64, Vec<&Rule>> = BTreeMap::new();
        rules().for_each(|rule| forms.entry(rule.call).or_default().push(rule));
        for forms in forms.values().filter(|forms| forms.len() > 1) {
            let unconditional = forms.iter().find(|rule| rule.when.is_empty());
            assert!(
                unconditional.is_none(),
                "the conditions have no effect beside {unconditional:?}"
            );
        }
    }
}
