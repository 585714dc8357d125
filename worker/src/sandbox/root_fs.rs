//! A small, read-only file tree in place of the host's. Called by `namespaces` alone, inside the
//! new mount namespace and with the capabilities that came with it.
//!
//! ```text
//! tmpfs over a folder of the host  ->  binds of what policy::READABLE lists  ->  all read-only
//!   ->  pivot_root(2)  ->  the old tree is detached
//! ```
//!
//! Nothing changes for this process before the pivot, so a failure on the way leaves the host's
//! tree, in a mount namespace of this process alone.

#![allow(unsafe_code)]

use super::error::SandboxError;
use super::policy;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::unistd::{chdir, pivot_root};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the new tree is assembled; a folder that every host has and that no entry lies in.
const NEW_ROOT: &str = "/tmp";

/// Replaces the file tree.
pub(super) fn enter() -> Result<(), SandboxError> {
    let no_source = None::<&str>;
    mount(no_source, "/", no_source, MsFlags::MS_REC | MsFlags::MS_PRIVATE, no_source)
        .map_err(failed("make private the mounts under", "/"))?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("tmpfs"), NEW_ROOT, Some("tmpfs"), flags, Some("mode=0755,size=64k"))
        .map_err(failed("mount a tmpfs on", NEW_ROOT))?;
    for (path, _reason) in policy::READABLE {
        bind(Path::new(path))?;
    }
    chdir(NEW_ROOT).map_err(failed("enter", NEW_ROOT))?;
    make_read_only()?;
    // With both names the same, the old root lands on top of the new one (pivot_root(2)).
    pivot_root(".", ".").map_err(failed("pivot to", NEW_ROOT))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(failed("detach", "/"))?;
    chdir("/").map_err(failed("enter", "/"))
}

/// Binds one path of the host into the new tree, if the host has it.
fn bind(path: &Path) -> Result<(), SandboxError> {
    let Ok(metadata) = fs::metadata(path) else { return Ok(()) };
    let name = path.strip_prefix("/").expect("the policy lists absolute paths");
    let target = Path::new(NEW_ROOT).join(name);
    let create_target = || {
        let folder = if metadata.is_dir() { Some(target.as_path()) } else { target.parent() };
        folder.map_or(Ok(()), fs::create_dir_all)?;
        if metadata.is_dir() { Ok(()) } else { File::create(&target).map(drop) }
    };
    create_target().map_err(failed("create", &target))?;
    // Recursive, because the kernel does not allow uncovering what a mount hides here.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
    mount(Some(path), &target, None::<&str>, flags, None::<&str>).map_err(failed("bind", path))
}

/// Makes the tree under the working directory read-only, the binds too.
fn make_read_only() -> Result<(), SandboxError> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    // SAFETY: the path ends with a NUL and the structure lives through the call; its size is given.
    let changed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            c".".as_ptr(),
            libc::AT_RECURSIVE,
            &raw const attributes,
            size_of_val(&attributes),
        )
    };
    Errno::result(changed).map(drop).map_err(failed("make read-only", NEW_ROOT))
}

fn failed<E: Into<io::Error>>(
    step: &'static str,
    path: impl Into<PathBuf>,
) -> impl FnOnce(E) -> SandboxError {
    let path = path.into();
    move |source| SandboxError::Tree { step, path, source: source.into() }
}
