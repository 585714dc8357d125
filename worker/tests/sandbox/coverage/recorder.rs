//! Records which entries of the policy a process makes use of, once it has closed its sandbox
//! (ptrace(2)). Used by the runs of this folder.

use bodyscript_worker::sandbox::policy::{self, Entry, Test};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// What a process did after the sandbox was closed.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The entries its calls fell under, by their place in the policy.
    pub(crate) used: BTreeSet<usize>,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// Runs the command to its end.
pub(crate) fn record(mut command: Command) -> Recording {
    let trace_me = || trace(libc::PTRACE_TRACEME, 0, 0, 0).map(drop).map_err(Into::into);
    // SAFETY: between fork and exec there is one system call and no allocation.
    unsafe { command.pre_exec(trace_me) };
    #[expect(clippy::zombie_processes, reason = "it is waited for below, as its threads are")]
    let child = command.spawn().expect("the program runs");
    let main = i32::try_from(child.id()).expect("a process number");
    let mut tracer = Tracer { main, inside: BTreeMap::new(), used: BTreeSet::new() };
    loop {
        let (thread, status) = wait().expect("the traced process is not yet gone");
        match ExitStatus::from_raw(status) {
            status if libc::WIFSTOPPED(status.into_raw()) => tracer.on_stop(thread, status),
            status if thread == main => return Recording { used: tracer.used, status },
            _ => {}
        }
    }
}

/// Waits for a child of this thread alone, as other tests have children in theirs.
fn wait() -> Result<(i32, i32), Errno> {
    let mut status = 0;
    let options = libc::__WALL | libc::__WNOTHREAD;
    // SAFETY: the status is an integer that lives through the call.
    let thread = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, options) })?;
    Ok((thread, status))
}

fn trace(request: u32, thread: i32, address: usize, data: usize) -> Result<i64, Errno> {
    // SAFETY: requests here pass integers, or an address and size of a structure that is alive.
    Errno::result(unsafe { libc::ptrace(request, thread, address, data) })
}

struct Tracer {
    main: i32,
    /// The call each thread is in.
    inside: BTreeMap<i32, i64>,
    used: BTreeSet<usize>,
}

impl Tracer {
    fn on_stop(&mut self, thread: i32, status: ExitStatus) {
        const CALL: i32 = libc::SIGTRAP | 0x80;
        let signal = status.stopped_signal().expect("it is stopped");
        let is_event = status.into_raw() >> 16 != 0;
        let is_new = !self.inside.contains_key(&thread);
        let delivered = match signal {
            CALL => {
                self.on_call(thread);
                0
            }
            _ if is_event => 0,
            // The stop after exec, and the first of each thread.
            libc::SIGTRAP | libc::SIGSTOP if is_new => {
                let options = libc::PTRACE_O_TRACESYSGOOD
                    | libc::PTRACE_O_TRACECLONE
                    | libc::PTRACE_O_EXITKILL;
                trace(libc::PTRACE_SETOPTIONS, thread, 0, options as usize).expect("it is stopped");
                self.inside.insert(thread, -1);
                0
            }
            signal => signal,
        };
        // A thread that another one's exit has ended meanwhile is gone, which waiting will tell.
        let _ = trace(libc::PTRACE_SYSCALL, thread, 0, delivered.unsigned_abs() as usize);
    }

    fn on_call(&mut self, thread: i32) {
        // SAFETY: zeroes are a valid value of this structure of integers.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let (size, place) = (size_of_val(&info), (&raw mut info).addr());
        if trace(libc::PTRACE_GET_SYSCALL_INFO, thread, size, place).is_err() {
            return;
        }
        match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => {
                // SAFETY: this is the part of the union that `op` names.
                let entry = unsafe { info.u.entry };
                let call = i64::try_from(entry.nr).expect("a call's number is small");
                self.inside.insert(thread, call);
                self.note(call, &entry.args);
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: this is the part of the union that `op` names.
                let succeeded = unsafe { info.u.exit }.is_error == 0;
                if self.inside.get(&thread) == Some(&libc::SYS_seccomp) && succeeded {
                    // The last filter closes the sandbox; what came before does not count.
                    self.used.clear();
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, call: i64, arguments: &[u64; 6]) {
        let falls_under = |(_, entry): &(usize, &Entry)| {
            entry.call == call
                && entry.when.iter().all(|condition| {
                    // As wide as the filter looks.
                    let argument = arguments[usize::from(condition.argument)] as u32;
                    match condition.test {
                        Test::Is(value) => argument == value,
                        Test::IsNot(value) => argument != value,
                        Test::Bits { mask, value } => argument & mask == value,
                        Test::IsOwnPid => argument == self.main.unsigned_abs(),
                    }
                })
        };
        let entries = policy::entries().enumerate().filter(falls_under);
        self.used.extend(entries.map(|(place, _)| place));
    }
}
