//! Logs the system call that seccomp refused, then dies by SIGSYS. Installed by `seccomp`; runs
//! inside a signal handler, so it must not allocate, lock or format.
//!
//! The wait status of a killed process contains SIGSYS alone, not the call. So the filter traps
//! instead; this handler writes one line to stderr and repeats a refused call while SIGSYS is
//! blocked, for which the kernel kills the process with SIGSYS (force_sig). The filter forbids
//! replacing the handler, and the trapped call is never executed.

#![allow(unsafe_code)]

use super::error::SandboxError;
use super::policy;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::io;
use std::ptr::null;

/// Start of the line; the number of the system call and, if known, its name in brackets follow.
pub const REFUSAL_PREFIX: &str = "sandbox refused system call ";

/// Installs the handler.
pub(super) fn install() -> Result<(), SandboxError> {
    let handler = SigHandler::SigAction(on_refusal);
    let action =
        SigAction::new(handler, SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK, SigSet::empty());
    // SAFETY: the handler uses nothing but its own stack, constants and stderr.
    unsafe { sigaction(Signal::SIGSYS, &action) }.map_err(SandboxError::SigsysHandler)?;
    Ok(())
}

/// What the kernel passes with a SIGSYS of seccomp (`siginfo_t` in asm-generic/siginfo.h, 64-bit).
#[repr(C)]
struct SigsysInfo {
    signal: libc::c_int,
    errno: libc::c_int,
    code: libc::c_int,
    padding: libc::c_int,
    instruction: *const libc::c_void,
    call: libc::c_int,
    architecture: libc::c_uint,
}

extern "C" fn on_refusal(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: with SA_SIGINFO the kernel passes a valid siginfo_t, of which SigsysInfo is a prefix of
    // plain integers: any content is a value.
    let call = unsafe { (*info.cast::<SigsysInfo>()).call };
    let mut line = Line::default();
    line.push(REFUSAL_PREFIX.as_bytes());
    line.push_number(call.unsigned_abs());
    if let Some((_, name)) = policy::HOSTILE.iter().find(|(number, _)| *number == i64::from(call)) {
        line.push(b" (");
        line.push(name.strip_prefix("SYS_").unwrap_or(name).as_bytes());
        line.push(b")");
    }
    line.push(b"\n");
    // A failing write must not keep the process alive.
    let _ = nix::unistd::write(io::stderr(), line.bytes());
    // SAFETY: the filter refuses the call before the kernel reads a pointer; it kills the process.
    unsafe { libc::syscall(libc::SYS_execve, null::<u8>(), null::<u8>(), null::<u8>()) };
}

/// One line on the stack; what does not fit is cut.
struct Line {
    bytes: [u8; 96],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 96], length: 0 }
    }
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        for (place, byte) in self.bytes.iter_mut().skip(self.length).zip(text) {
            *place = *byte;
            self.length += 1;
        }
    }

    fn push_number(&mut self, number: u32) {
        let mut digits = [0; 10];
        let mut first = digits.len();
        let mut rest = number;
        loop {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 41, 999, u32::MAX] {
            let mut line = Line::default();
            line.push_number(number);
            assert_eq!(line.bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_truncated() {
        let mut line = Line::default();
        line.push(&[b'a'; 90]);
        line.push(b"0123456789");
        line.push(b"x");
        assert_eq!(line.bytes().len(), 96);
        assert!(line.bytes().ends_with(b"a012345"));
    }
}
