//! Attempts on the mappings of code, with calls that the system call policy allows because the
//! allocator needs them.

use super::{Attempt, by_name, call, just};
use std::fs::File;
use std::os::fd::AsRawFd;

by_name! { unmap_code replace_code move_code make_code_writable make_constants_writable }

const PAGE: i64 = 4096;
const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;

/// A page of this program's file mapped as code and, after it, one mapped as constants. Nothing
/// runs there, so that it may go.
fn code_and_constants() -> [i64; 2] {
    let program = std::env::current_exe().and_then(File::open).expect("a running program");
    let protection = (libc::PROT_READ | libc::PROT_EXEC).into();
    let (private, file) = (libc::MAP_PRIVATE.into(), program.as_raw_fd().into());
    let code = call(libc::SYS_mmap, [0, 2 * PAGE, protection, private, file, 0]);
    let code = code.expect("a file is mapped");
    let constants = code + PAGE;
    call(libc::SYS_mprotect, [constants, PAGE, libc::PROT_READ.into()]).expect("it is mapped");
    [code, constants]
}

fn unmap_code() -> Attempt {
    let [code, _] = code_and_constants();
    just(move || call(libc::SYS_munmap, [code, PAGE]).map(drop))
}

fn replace_code() -> Attempt {
    let [code, _] = code_and_constants();
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
    just(move || call(libc::SYS_mmap, [code, PAGE, READ_WRITE, flags.into(), -1, 0]).map(drop))
}

fn move_code() -> Attempt {
    let [code, _] = code_and_constants();
    let flags = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS).into();
    let target = call(libc::SYS_mmap, [0, PAGE, READ_WRITE, flags, -1, 0]).expect("memory");
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED).into();
    just(move || call(libc::SYS_mremap, [code, PAGE, PAGE, flags, target]).map(drop))
}

fn make_code_writable() -> Attempt {
    let [code, _] = code_and_constants();
    just(move || call(libc::SYS_mprotect, [code, PAGE, READ_WRITE]).map(drop))
}

fn make_constants_writable() -> Attempt {
    let [_, constants] = code_and_constants();
    just(move || call(libc::SYS_mprotect, [constants, PAGE, READ_WRITE]).map(drop))
}
