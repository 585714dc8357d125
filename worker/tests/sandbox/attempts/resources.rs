//! Attempts to use excessive resources.

use super::{Attempt, by_name, call, just, scratch};
use nix::errno::Errno;
use rlimit::Resource;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

by_name! {
    threads_without_end descriptors_without_end file_without_end lock_memory
    raise_the_limits
}

/// More than a worker may have; unconfined processes may have many more.
const TOO_MANY_THREADS: usize = 400;

fn threads_without_end() -> Attempt {
    just(|| {
        for _ in 0..TOO_MANY_THREADS {
            let builder = std::thread::Builder::new().stack_size(16 * 1024);
            builder
                .spawn(|| {
                    loop {
                        std::thread::park()
                    }
                })
                .map_err(errno)?;
        }
        Ok(())
    })
}

fn descriptors_without_end() -> Attempt {
    just(|| {
        let mut held = Vec::new();
        for _ in 0..200 {
            held.push(io::stdout().as_fd().try_clone_to_owned().map_err(errno)?);
        }
        Ok(())
    })
}

fn file_without_end() -> Attempt {
    let file = File::create(scratch().join("file")).expect("the folder is ours");
    just(move || file.write_at(b"x", 1 << 30).map(drop).map_err(errno))
}

fn lock_memory() -> Attempt {
    let pages = vec![1_u8; 128 << 10];
    just(move || call(libc::SYS_mlock, [pages.as_ptr() as i64, pages.len() as i64]).map(drop))
}

/// Back to what they were before the sandbox.
fn raise_the_limits() -> Attempt {
    let (soft, hard) = Resource::FSIZE.get().expect("every process has limits");
    let before = [soft, hard];
    just(move || {
        let limit = i64::from(libc::RLIMIT_FSIZE);
        call(libc::SYS_prlimit64, [0, limit, super::address(&before), 0]).map(drop)
    })
}

fn errno(error: io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().expect("the kernel's own"))
}
