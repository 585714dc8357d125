//! What a hostile worker may try: each is prepared without confinement and attempted inside it.
//!
//! Selected by name in the child's specification. A successful attempt must do no harm, as it is
//! also made without any sandbox, and by root.

mod code;
mod files;
mod kernel;
mod machine;
mod network;
mod processes;
pub(crate) mod queries;
mod resources;

use nix::errno::Errno;
use std::path::PathBuf;

/// What is tried once the sandbox is closed.
pub(crate) type Attempt = Box<dyn FnOnce() -> Result<(), Errno>>;

/// Makes ready for the attempt of this name, if there is one.
pub(crate) fn prepare(name: &str) -> Option<Attempt> {
    let all = [
        code::ALL,
        files::ALL,
        kernel::ALL,
        machine::ALL,
        network::ALL,
        processes::ALL,
        queries::ALL,
        resources::ALL,
    ];
    let found = all.into_iter().flatten().find(|(known, _)| *known == name);
    found.map(|(_, prepare)| prepare())
}

/// A table from the names of functions to the functions.
macro_rules! by_name {
    ($($name:ident)*) => {
        /// Every attempt of this file.
        pub(crate) const ALL: &[(&str, fn() -> $crate::attempts::Attempt)] =
            &[$((stringify!($name), $name)),*];
    };
}
use by_name;

/// An attempt without a preparation.
fn just(attempt: impl FnOnce() -> Result<(), Errno> + 'static) -> Attempt {
    Box::new(attempt)
}

/// Makes one system call.
pub(crate) fn call<const N: usize>(number: i64, arguments: [i64; N]) -> Result<i64, Errno> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: a caller passes pointers only to values that live through the call and are as large
    // as the kernel takes them to be, or null.
    Errno::result(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// An attempt that is one system call and needs no preparation.
fn one_call<const N: usize>(number: i64, arguments: [i64; N]) -> Attempt {
    just(move || call(number, arguments).map(drop))
}

/// The address of a value, as an argument of [`call`].
fn address<T: ?Sized>(value: &T) -> i64 {
    std::ptr::from_ref(value).cast::<u8>() as i64
}

/// An empty directory that belongs to this child alone.
fn scratch() -> PathBuf {
    std::env::temp_dir()
}
