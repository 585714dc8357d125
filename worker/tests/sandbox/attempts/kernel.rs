//! Attempts on the parts of the kernel with the most vulnerabilities.

use super::{Attempt, address, by_name, call, just, one_call};
use std::ptr::null_mut;

by_name! {
    load_a_bpf_map set_up_io_uring count_with_perf handle_page_faults use_a_keyring add_a_key
    watch_with_inotify watch_with_fanotify memory_file shared_memory message_queue
    executable_memory memory_made_executable executable_memory_with_a_key
    replace_the_refusal_handler install_a_filter read_with_an_unlisted_prctl
    call_of_32_bits call_of_x32 personality
}

fn load_a_bpf_map() -> Attempt {
    just(|| {
        // BPF_MAP_CREATE of an array with one element: type, key, value, entries.
        let attributes: [u32; 18] =
            std::array::from_fn(|i| [2, 4, 4, 1].get(i).copied().unwrap_or(0));
        call(libc::SYS_bpf, [0, address(&attributes), size_of_val(&attributes) as i64]).map(drop)
    })
}

fn set_up_io_uring() -> Attempt {
    just(|| {
        let mut parameters = [0_u32; 30];
        call(libc::SYS_io_uring_setup, [1, parameters.as_mut_ptr() as i64]).map(drop)
    })
}

fn count_with_perf() -> Attempt {
    just(|| {
        // struct perf_event_attr: type 1 (software), its size, event 1 (task clock), user only.
        let mut attributes = [0_u64; 16];
        attributes[0] = 1 | (size_of_val(&attributes) as u64) << 32;
        attributes[1] = 1;
        attributes[5] = 1 << 5 | 1 << 6;
        call(libc::SYS_perf_event_open, [address(&attributes), 0, -1, -1, 0]).map(drop)
    })
}

fn handle_page_faults() -> Attempt {
    const USER_MODE_ONLY: i64 = 1;
    one_call(libc::SYS_userfaultfd, [USER_MODE_ONLY])
}

fn use_a_keyring() -> Attempt {
    const GET_KEYRING_ID: i64 = 0;
    const PROCESS_KEYRING: i64 = -2;
    one_call(libc::SYS_keyctl, [GET_KEYRING_ID, PROCESS_KEYRING, 1])
}

fn add_a_key() -> Attempt {
    const PROCESS_KEYRING: i64 = -2;
    just(|| {
        let (kind, name) = (c"user".as_ptr() as i64, c"bodyscript".as_ptr() as i64);
        let secret = c"x".as_ptr() as i64;
        call(libc::SYS_add_key, [kind, name, secret, 1, PROCESS_KEYRING]).map(drop)
    })
}

fn watch_with_inotify() -> Attempt {
    one_call(libc::SYS_inotify_init1, [0])
}

fn watch_with_fanotify() -> Attempt {
    one_call(libc::SYS_fanotify_init, [0, 0])
}

fn memory_file() -> Attempt {
    one_call(libc::SYS_memfd_create, [c"file".as_ptr() as i64, 0])
}

fn shared_memory() -> Attempt {
    just(|| {
        let segment = call(libc::SYS_shmget, [libc::IPC_PRIVATE.into(), 4096, 0o600])?;
        call(libc::SYS_shmctl, [segment, libc::IPC_RMID.into(), 0]).map(drop)
    })
}

fn message_queue() -> Attempt {
    just(|| {
        let queue = call(libc::SYS_msgget, [libc::IPC_PRIVATE.into(), 0o600])?;
        call(libc::SYS_msgctl, [queue, libc::IPC_RMID.into(), 0]).map(drop)
    })
}

const ANONYMOUS: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;
const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const READ_EXEC: i64 = (libc::PROT_READ | libc::PROT_EXEC) as i64;

fn executable_memory() -> Attempt {
    let protection = READ_WRITE | i64::from(libc::PROT_EXEC);
    one_call(libc::SYS_mmap, [0, 4096, protection, ANONYMOUS, -1, 0])
}

fn memory_made_executable() -> Attempt {
    just(|| {
        let page = call(libc::SYS_mmap, [0, 4096, READ_WRITE, ANONYMOUS, -1, 0])?;
        call(libc::SYS_mprotect, [page, 4096, READ_EXEC]).map(drop)
    })
}

fn executable_memory_with_a_key() -> Attempt {
    just(|| {
        let page = call(libc::SYS_mmap, [0, 4096, READ_WRITE, ANONYMOUS, -1, 0])?;
        call(libc::SYS_pkey_mprotect, [page, 4096, READ_EXEC, -1]).map(drop)
    })
}

fn replace_the_refusal_handler() -> Attempt {
    just(|| {
        // SAFETY: zeroes are a valid sigaction, the default one.
        let action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: the structure lives through the call and the old one is not requested.
        nix::errno::Errno::result(unsafe { libc::sigaction(libc::SIGSYS, &action, null_mut()) })
            .map(drop)
    })
}

/// A further filter cannot allow more, but can change the errors that the supervisor observes.
fn install_a_filter() -> Attempt {
    const GET_ACTION_AVAIL: i64 = 2;
    just(|| {
        let action = libc::SECCOMP_RET_ALLOW;
        call(libc::SYS_seccomp, [GET_ACTION_AVAIL, 0, address(&action)]).map(drop)
    })
}

fn read_with_an_unlisted_prctl() -> Attempt {
    one_call(libc::SYS_prctl, [libc::PR_GET_SECUREBITS.into()])
}

/// The entry of 32-bit programs, where the numbers mean other calls: 20 is getpid.
fn call_of_32_bits() -> Attempt {
    just(|| {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: getpid reads no memory; the entry leaves all registers but rax alone, save
        // r8 to r11, which are declared lost.
        unsafe {
            std::arch::asm!(
                "int 0x80",
                inlateout("rax") 20_i64 => _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        Ok(())
    })
}

/// The numbers of the x32 interface, which share the architecture's audit number: this one is getpid.
fn call_of_x32() -> Attempt {
    one_call::<0>(0x4000_0000 + libc::SYS_getpid, [])
}

fn personality() -> Attempt {
    const QUERY: i64 = 0xffff_ffff;
    one_call(libc::SYS_personality, [QUERY])
}
