//! Optional queries of libraries, each as a valid call, which succeeds without the sandbox. Named
//! after the call of the policy's rule.

use super::{Attempt, by_name, call, just, one_call};
use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use std::fs::File;
use std::os::fd::AsRawFd;

by_name! {
    getpeername getsockname getsockopt ioctl_tcgets2 ioctl_tiocgwinsz ioctl_fionread fstatfs statfs
    getuid geteuid getgid getegid getpriority sched_getparam sched_getscheduler prctl_get_name
    getrusage
}

/// Larger than any answer.
const RESULT_WORDS: usize = 32;

/// Makes a call with these arguments, followed by the address of its result.
fn query<const N: usize>(number: i64, arguments: [i64; N]) -> Result<(), Errno> {
    let mut answer = [0_u64; RESULT_WORDS];
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    all[N] = answer.as_mut_ptr() as i64;
    call(number, all).map(drop)
}

/// As [`query`], with one end of a socket pair; the length of the result is the last argument.
fn of_a_socket<const N: usize>(number: i64, arguments: [i64; N]) -> Attempt {
    let pair = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty());
    let (socket, other) = pair.expect("sockets are free");
    just(move || {
        let mut answer = [0_u64; RESULT_WORDS];
        let mut length = size_of_val(&answer) as u32;
        let mut all = [0; 6];
        all[0] = socket.as_raw_fd().into();
        all[1..=N].copy_from_slice(&arguments);
        all[N + 1] = answer.as_mut_ptr() as i64;
        all[N + 2] = (&raw mut length) as i64;
        let _open = &other;
        call(number, all).map(drop)
    })
}

fn getpeername() -> Attempt {
    of_a_socket(libc::SYS_getpeername, [])
}

fn getsockname() -> Attempt {
    of_a_socket(libc::SYS_getsockname, [])
}

fn getsockopt() -> Attempt {
    of_a_socket(libc::SYS_getsockopt, [libc::SOL_SOCKET.into(), libc::SO_TYPE.into()])
}

/// Queries a terminal.
fn of_a_terminal(request: u64) -> Attempt {
    let terminal = File::options().read(true).write(true).open("/dev/ptmx");
    let terminal = terminal.expect("terminals are free");
    let request = i64::try_from(request).expect("a small number");
    just(move || query(libc::SYS_ioctl, [terminal.as_raw_fd().into(), request]))
}

fn ioctl_tcgets2() -> Attempt {
    of_a_terminal(libc::TCGETS2)
}

fn ioctl_tiocgwinsz() -> Attempt {
    of_a_terminal(libc::TIOCGWINSZ)
}

fn ioctl_fionread() -> Attempt {
    of_a_terminal(libc::FIONREAD)
}

fn fstatfs() -> Attempt {
    let folder = File::open("/").expect("everyone may look");
    just(move || query(libc::SYS_fstatfs, [folder.as_raw_fd().into()]))
}

fn statfs() -> Attempt {
    just(|| query(libc::SYS_statfs, [c"/".as_ptr() as i64]))
}

fn getuid() -> Attempt {
    one_call::<0>(libc::SYS_getuid, [])
}

fn geteuid() -> Attempt {
    one_call::<0>(libc::SYS_geteuid, [])
}

fn getgid() -> Attempt {
    one_call::<0>(libc::SYS_getgid, [])
}

fn getegid() -> Attempt {
    one_call::<0>(libc::SYS_getegid, [])
}

fn getpriority() -> Attempt {
    one_call(libc::SYS_getpriority, [libc::PRIO_PROCESS.into(), 0])
}

fn sched_getparam() -> Attempt {
    just(|| query(libc::SYS_sched_getparam, [0]))
}

fn sched_getscheduler() -> Attempt {
    one_call(libc::SYS_sched_getscheduler, [0])
}

fn prctl_get_name() -> Attempt {
    just(|| query(libc::SYS_prctl, [libc::PR_GET_NAME.into()]))
}

fn getrusage() -> Attempt {
    just(|| query(libc::SYS_getrusage, [libc::RUSAGE_SELF.into()]))
}
