//! Attempts to access files.

use super::{Attempt, address, by_name, call, just, scratch};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open, openat};
use nix::sys::stat::Mode;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

by_name! {
    open_passwd open_through_proc_root open_through_dots open_through_a_directory
    open_through_a_symlink open_by_handle list_a_directory write_file make_a_directory make_a_symlink
    remove_a_file truncate_a_file change_a_mode read_a_stray_descriptor
}

const PASSWD: &str = "/etc/passwd";

fn read(path: PathBuf) -> Attempt {
    just(move || open(&path, OFlag::O_RDONLY, Mode::empty()).map(drop))
}

fn open_passwd() -> Attempt {
    read(PASSWD.into())
}

fn open_through_proc_root() -> Attempt {
    read("/proc/self/root/etc/passwd".into())
}

fn open_through_dots() -> Attempt {
    read("/usr/lib/../../etc/passwd".into())
}

fn open_through_a_directory() -> Attempt {
    let root = fs::File::open("/").expect("the root is a directory");
    just(move || openat(root, "etc/passwd", OFlag::O_RDONLY, Mode::empty()).map(drop))
}

fn open_through_a_symlink() -> Attempt {
    let link = scratch().join("link");
    std::os::unix::fs::symlink(PASSWD, &link).expect("the folder is ours");
    read(link)
}

/// A file's handle names it without a path, on the whole file system.
fn open_by_handle() -> Attempt {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        handle: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, handle: [0; 128] };
    let (path, mut mount) = (c"/etc/passwd", 0_i32);
    let arguments = [
        AT_FDCWD.as_raw_fd().into(),
        path.as_ptr() as i64,
        (&raw mut handle) as i64,
        (&raw mut mount) as i64,
        0,
    ];
    call(libc::SYS_name_to_handle_at, arguments).expect("the file system gives handles");
    let root = fs::File::open("/").expect("the root is a directory");
    just(move || {
        let arguments = [root.as_raw_fd().into(), address(&handle), libc::O_RDONLY.into()];
        call(libc::SYS_open_by_handle_at, arguments).map(drop)
    })
}

fn list_a_directory() -> Attempt {
    just(|| open("/etc", OFlag::O_DIRECTORY, Mode::empty()).map(drop))
}

fn write_file() -> Attempt {
    let path = scratch().join("file");
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    just(move || open(&path, flags, Mode::S_IRUSR).map(drop))
}

fn make_a_directory() -> Attempt {
    let path = c_string(scratch().join("folder"));
    just(move || on_path(libc::SYS_mkdirat, &path, 0o700))
}

fn make_a_symlink() -> Attempt {
    let path = c_string(scratch().join("link"));
    just(move || {
        let arguments = [address(c"/etc"), AT_FDCWD.as_raw_fd().into(), path.as_ptr() as i64];
        call(libc::SYS_symlinkat, arguments).map(drop)
    })
}

fn remove_a_file() -> Attempt {
    let path = c_string(file());
    just(move || on_path(libc::SYS_unlinkat, &path, 0))
}

fn truncate_a_file() -> Attempt {
    let path = c_string(file());
    just(move || call(libc::SYS_truncate, [path.as_ptr() as i64, 0]).map(drop))
}

fn change_a_mode() -> Attempt {
    let path = c_string(file());
    just(move || on_path(libc::SYS_fchmodat, &path, 0o600))
}

fn read_a_stray_descriptor() -> Attempt {
    let leaked = fs::File::open(PASSWD).expect("everyone may read it");
    let number = nix::fcntl::fcntl(&leaked, nix::fcntl::FcntlArg::F_DUPFD(40)).expect("it is open");
    let mut byte = [0_u8; 1];
    just(move || call(libc::SYS_read, [number.into(), byte.as_mut_ptr() as i64, 1]).map(drop))
}

fn file() -> PathBuf {
    let path = scratch().join("file");
    fs::write(&path, "contents").expect("the folder is ours");
    path
}

fn c_string(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().to_path_buf().into_os_string().into_vec()).expect("no NUL in a path")
}

/// A call whose first arguments are a directory and a path in it.
fn on_path(number: i64, path: &CString, last: i64) -> Result<(), Errno> {
    call(number, [AT_FDCWD.as_raw_fd().into(), path.as_ptr() as i64, last]).map(drop)
}
