//! Attempts on the host and on the sandbox itself. Where success would have effects outside, an
//! argument is invalid in a way that the kernel checks only after the permission.

use super::{Attempt, address, by_name, call, just, one_call};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs;
use std::os::fd::AsRawFd;

by_name! {
    mount_a_file_system detach_a_mount pivot_the_root change_root open_a_file_system
    unshare_the_user_namespace join_a_namespace set_the_host_name restart_the_machine load_a_module
    load_a_kernel swap quota accounting kernel_log set_the_clock use_ports
    become_root clear_groups take_capabilities
    push_terminal_input
}

/// Mounts of its own, where the host gives them, so that a success stays within this process.
fn apart() {
    if unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        let (no_name, flags) = (None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
        mount(no_name, "/", no_name, flags, no_name).expect("the mounts are ours");
    }
}

fn mount_a_file_system() -> Attempt {
    apart();
    just(|| {
        let name = c"tmpfs".as_ptr() as i64;
        call(libc::SYS_mount, [name, c"/".as_ptr() as i64, name, 0, 0]).map(drop)
    })
}

fn detach_a_mount() -> Attempt {
    apart();
    one_call(libc::SYS_umount2, [c"/proc".as_ptr() as i64, libc::MNT_DETACH.into()])
}

fn pivot_the_root() -> Attempt {
    apart();
    one_call(libc::SYS_pivot_root, [c"/".as_ptr() as i64, c"/".as_ptr() as i64])
}

fn change_root() -> Attempt {
    one_call(libc::SYS_chroot, [c"/".as_ptr() as i64])
}

fn open_a_file_system() -> Attempt {
    one_call(libc::SYS_fsopen, [c"tmpfs".as_ptr() as i64, 0])
}

fn unshare_the_user_namespace() -> Attempt {
    one_call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into()])
}

fn join_a_namespace() -> Attempt {
    let namespace = fs::File::open("/proc/self/ns/uts").expect("one's own is open to oneself");
    just(move || call(libc::SYS_setns, [namespace.as_raw_fd().into(), 0]).map(drop))
}

fn set_the_host_name() -> Attempt {
    let same = fs::read_to_string("/proc/sys/kernel/hostname").expect("every host has a name");
    just(move || {
        let same = same.trim_end();
        call(libc::SYS_sethostname, [same.as_ptr() as i64, same.len() as i64]).map(drop)
    })
}

fn restart_the_machine() -> Attempt {
    one_call(libc::SYS_reboot, [0, 0, 0, 0])
}

fn load_a_module() -> Attempt {
    one_call(libc::SYS_init_module, [0, 0, c"".as_ptr() as i64])
}

fn load_a_kernel() -> Attempt {
    const TOO_MANY: i64 = 1 << 20;
    one_call(libc::SYS_kexec_load, [0, TOO_MANY, 0, 0])
}

fn swap() -> Attempt {
    one_call(libc::SYS_swapon, [c"/nonexistent".as_ptr() as i64, 0])
}

fn quota() -> Attempt {
    // Q_GETFMT for users (quotactl(2)).
    const GET_FORMAT: i64 = 0x80_0004 << 8;
    let mut format = 0_u32;
    just(move || {
        let device = c"/nonexistent".as_ptr() as i64;
        call(libc::SYS_quotactl, [GET_FORMAT, device, 0, (&raw mut format) as i64]).map(drop)
    })
}

fn accounting() -> Attempt {
    one_call(libc::SYS_acct, [c"/nonexistent".as_ptr() as i64])
}

fn kernel_log() -> Attempt {
    const SIZE_UNREAD: i64 = 9;
    one_call(libc::SYS_syslog, [SIZE_UNREAD, 0, 0])
}

fn set_the_clock() -> Attempt {
    // No clock has this number; the kernel rejects it before or after the permission check.
    one_call(libc::SYS_clock_settime, [99, 0])
}

fn use_ports() -> Attempt {
    #[cfg(target_arch = "x86_64")]
    return one_call(libc::SYS_ioperm, [0x80, 1, 1]);
    #[cfg(not(target_arch = "x86_64"))]
    return one_call(libc::SYS_clock_adjtime, [99, 0]);
}

fn become_root() -> Attempt {
    one_call(libc::SYS_setresuid, [0, 0, 0])
}

fn clear_groups() -> Attempt {
    one_call(libc::SYS_setgroups, [0, 0])
}

/// Requests the capabilities that the process had before the confinement.
fn take_capabilities() -> Attempt {
    const VERSION_3: u32 = 0x2008_0522;
    let header = [VERSION_3, 0];
    let mut sets = [0_u32; 6];
    let place = sets.as_mut_ptr() as i64;
    call(libc::SYS_capget, [address(&header), place]).expect("reading is allowed");
    // Without any there is still the question for one.
    sets[1] |= 1;
    just(move || call(libc::SYS_capset, [address(&header), address(&sets)]).map(drop))
}

/// Types into a terminal as if a person had.
fn push_terminal_input() -> Attempt {
    let terminal = fs::File::options().read(true).write(true).open("/dev/ptmx");
    let terminal = terminal.expect("terminals are free");
    let control = |request: u64, argument| {
        let request = i64::try_from(request).expect("a small number");
        call(libc::SYS_ioctl, [terminal.as_raw_fd().into(), request, argument])
    };
    control(libc::TIOCSPTLCK, address(&0_i32)).expect("it is ours");
    let flags = libc::O_RDWR | libc::O_NOCTTY;
    let other_end = control(libc::TIOCGPTPEER, flags.into()).expect("it is unlocked");
    just(move || {
        let _open = terminal;
        let request = i64::try_from(libc::TIOCSTI).expect("a small number");
        call(libc::SYS_ioctl, [other_end, request, address(&b'x')]).map(drop)
    })
}
