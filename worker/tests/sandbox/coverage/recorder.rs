//! Records which rules of the policy a process uses after it has closed its sandbox (ptrace(2)).

use bodyscript_worker::sandbox::policy::{self, Action, Comparison, Rule};
use nix::errno::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

/// What a process did after the sandbox was closed.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The matching rules of its calls, by their index in the policy.
    pub(crate) used: BTreeSet<usize>,
    /// Calls for which the policy returns an error and that returned something else.
    pub(crate) executed: Vec<String>,
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
    let mut tracer =
        Tracer { main, inside: BTreeMap::new(), used: BTreeSet::new(), executed: Vec::new() };
    loop {
        let (thread, status) = wait().expect("the traced process is not yet gone");
        match ExitStatus::from_raw(status) {
            status if libc::WIFSTOPPED(status.into_raw()) => tracer.on_stop(thread, status),
            status if thread == main => {
                let Tracer { used, executed, .. } = tracer;
                return Recording { used, executed, status };
            }
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
    /// The current call of each thread.
    inside: BTreeMap<i32, Call>,
    used: BTreeSet<usize>,
    executed: Vec<String>,
}

/// A call that has started.
#[derive(Clone, Copy)]
struct Call {
    number: i64,
    /// The rule by which it must fail, if there is one.
    refused: Option<&'static Rule>,
}

impl Call {
    const NONE: Self = Self { number: -1, refused: None };
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
                // The thread may be gone, as below. If the options of the main thread were missing,
                // no calls would be recorded, and the unused rules would fail the test.
                let _ = trace(libc::PTRACE_SETOPTIONS, thread, 0, options as usize);
                self.inside.insert(thread, Call::NONE);
                0
            }
            signal => signal,
        };
        // A thread may have been ended by another one's exit, which `wait` reports.
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
                let number = i64::try_from(entry.nr).expect("a call's number is small");
                let refused = self.record(number, &entry.args);
                self.inside.insert(thread, Call { number, refused });
            }
            libc::PTRACE_SYSCALL_INFO_EXIT => {
                // SAFETY: this is the part of the union that `op` names.
                let exit = unsafe { info.u.exit };
                let call = self.inside.get(&thread).copied().unwrap_or(Call::NONE);
                if call.number == libc::SYS_seccomp && exit.is_error == 0 {
                    // The last filter closes the sandbox; earlier calls do not count.
                    self.used.clear();
                    self.executed.clear();
                } else if let Some(rule) = call.refused
                    && rule.action != Action::Error(-(exit.sval as i32))
                {
                    self.executed.push(format!("{}: {}", rule.name, exit.sval));
                }
            }
            _ => {}
        }
    }

    /// Records the rules that match a call; returns the one by which it must fail, if there is one.
    fn record(&mut self, call: i64, arguments: &[u64; 6]) -> Option<&'static Rule> {
        let matches = |(_, rule): &(usize, &Rule)| {
            rule.call == call
                && rule.when.iter().all(|condition| {
                    // As wide as in the filter.
                    let argument = arguments[usize::from(condition.argument)] as u32;
                    match condition.comparison {
                        Comparison::Equals(value) => argument == value,
                        Comparison::NotEquals(value) => argument != value,
                        Comparison::MaskedEquals { mask, value } => argument & mask == value,
                        Comparison::EqualsOwnPid => argument == self.main.unsigned_abs(),
                    }
                })
        };
        let rules: Vec<_> = policy::rules().enumerate().filter(matches).collect();
        self.used.extend(rules.iter().map(|(place, _)| place));
        let refused = rules.iter().find(|(_, rule)| rule.action != Action::Allow);
        refused.map(|(_, rule)| *rule)
    }
}
