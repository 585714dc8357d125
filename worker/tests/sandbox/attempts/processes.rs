//! Attempts on other programs and processes.

use super::{Attempt, address, by_name, call, just, one_call};
use nix::errno::Errno;
use nix::sched::{CloneFlags, clone};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pipe};
use std::ffi::CStr;
use std::fs;
use std::io::Write;
use std::os::fd::{AsRawFd, IntoRawFd};
use std::ptr::null;

by_name! {
    run_a_program run_from_memory fork_a_process vfork_a_process clone3_a_process
    attach_to_a_process read_memory_of_a_process write_memory_of_a_process
    signal_a_process signal_a_thread_elsewhere queue_a_signal
    open_a_process take_a_descriptor_of_a_process raise_priority become_real_time
}

/// What the executed program prints is what a child prints of an attempt that succeeded.
const OUTCOME: &CStr = c"outcome: succeeded";

fn run_a_program() -> Attempt {
    just(|| {
        let arguments = [c"echo".as_ptr(), OUTCOME.as_ptr(), null()];
        let program = c"/bin/echo".as_ptr() as i64;
        call(libc::SYS_execve, [program, address(&arguments), address(&[null::<i8>()])]).map(drop)
    })
}

fn run_from_memory() -> Attempt {
    let name = c"program".as_ptr() as i64;
    let descriptor = call(libc::SYS_memfd_create, [name, 0]).expect("memory files are free");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .open(format!("/proc/self/fd/{descriptor}"))
        .expect("it was just made");
    file.write_all(&fs::read("/bin/echo").expect("everyone may read it")).expect("it fits");
    drop(file);
    just(move || {
        let arguments = [c"echo".as_ptr(), OUTCOME.as_ptr(), null()];
        let environment = [null::<i8>()];
        let flags = libc::AT_EMPTY_PATH.into();
        let empty = c"".as_ptr() as i64;
        let all = [descriptor, empty, address(&arguments), address(&environment), flags];
        call(libc::SYS_execveat, all).map(drop)
    })
}

fn fork_a_process() -> Attempt {
    just(|| {
        let flags = libc::SIGCHLD.into();
        match call(libc::SYS_clone, [flags])? {
            0 => exit(),
            child => wait_for(child),
        }
    })
}

fn vfork_a_process() -> Attempt {
    just(|| {
        let mut stack = vec![0_u8; 64 * 1024];
        let flags = CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK;
        // SAFETY: the child returns at once, on a stack of its own, while this thread waits.
        let child = unsafe { clone(Box::new(|| 0), &mut stack, flags, Some(libc::SIGCHLD)) }?;
        waitpid(child, None).map(drop)
    })
}

fn clone3_a_process() -> Attempt {
    just(|| {
        // struct clone_args of clone(2): flags, pidfd, child_tid, parent_tid, exit_signal, ...
        let arguments: [u64; 8] = [0, 0, 0, 0, libc::SIGCHLD as u64, 0, 0, 0];
        match call(libc::SYS_clone3, [address(&arguments), size_of_val(&arguments) as i64])? {
            0 => exit(),
            child => wait_for(child),
        }
    })
}

/// Ends a child that must not run this process's exit handlers.
fn exit() -> ! {
    // SAFETY: _exit takes an integer and does not return.
    unsafe { libc::_exit(0) }
}

fn wait_for(child: i64) -> Result<(), Errno> {
    waitpid(Pid::from_raw(i32::try_from(child).expect("a process number")), None).map(drop)
}

/// A process of the same user that is not confined.
///
/// It ends when this process does, by the end of a pipe: a parent-death signal would need the
/// dying parent's right to signal it, which is what some sandboxes take.
fn victim() -> i64 {
    let (read_end, write_end) = pipe().expect("pipes are free");
    // SAFETY: at this point the process has one thread, so the child may do anything.
    match unsafe { fork() }.expect("processes are free") {
        ForkResult::Parent { child } => {
            // Open for as long as this process lives.
            let _ = write_end.into_raw_fd();
            child.as_raw().into()
        }
        ForkResult::Child => {
            drop(write_end);
            while nix::unistd::read(&read_end, &mut [0]) == Err(Errno::EINTR) {}
            exit()
        }
    }
}

fn attach_to_a_process() -> Attempt {
    one_call(libc::SYS_ptrace, [libc::PTRACE_SEIZE.into(), victim()])
}

/// The victim has this process's memory layout, so an address here is one there.
fn transfer(number: i64) -> Attempt {
    static SOURCE: [u64; 1] = [7];
    let victim = victim();
    just(move || {
        let mut buffer = SOURCE;
        let local = [buffer.as_mut_ptr() as usize, size_of_val(&buffer)];
        let remote = [local[0], size_of_val(&SOURCE)];
        call(number, [victim, address(&local), 1, address(&remote), 1, 0]).map(drop)
    })
}

fn read_memory_of_a_process() -> Attempt {
    transfer(libc::SYS_process_vm_readv)
}

fn write_memory_of_a_process() -> Attempt {
    transfer(libc::SYS_process_vm_writev)
}

fn signal_a_process() -> Attempt {
    one_call(libc::SYS_kill, [victim(), libc::SIGCONT.into()])
}

fn signal_a_thread_elsewhere() -> Attempt {
    let victim = victim();
    one_call(libc::SYS_tgkill, [victim, victim, libc::SIGCONT.into()])
}

fn queue_a_signal() -> Attempt {
    let victim = victim();
    // siginfo_t: 128 bytes, of which si_code (the third integer) states that a process queued it.
    let mut info = [0_i32; 32];
    info[2] = libc::SI_QUEUE;
    just(move || {
        let signal = libc::SIGCONT.into();
        call(libc::SYS_rt_sigqueueinfo, [victim, signal, address(&info)]).map(drop)
    })
}

fn open_a_process() -> Attempt {
    one_call(libc::SYS_pidfd_open, [victim(), 0])
}

fn take_a_descriptor_of_a_process() -> Attempt {
    let process = call(libc::SYS_pidfd_open, [victim(), 0]).expect("Linux 5.3");
    one_call(libc::SYS_pidfd_getfd, [process, std::io::stdout().as_raw_fd().into(), 0])
}

fn raise_priority() -> Attempt {
    one_call(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 0, -5])
}

fn become_real_time() -> Attempt {
    just(|| {
        let priority = 1_i32;
        let policy = libc::SCHED_FIFO.into();
        call(libc::SYS_sched_setscheduler, [0, policy, address(&priority)]).map(drop)
    })
}
