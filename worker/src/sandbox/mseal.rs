//! Seals the code and the constants of the program and its libraries (mseal(2)). Called by
//! `lock_down`, when everything is loaded and the list of mappings can still be read.
//!
//! A sealed mapping cannot be unmapped, replaced or made writable. seccomp refuses new executable
//! memory, but allows these calls, because the allocator needs them.

#![allow(unsafe_code)]

use super::error::SandboxError;
use nix::errno::Errno;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::ops::Range;

/// This process's mappings (proc_pid_maps(5)).
const MAPS: &str = "/proc/self/maps";
/// About the length of that list, whose size the kernel does not state.
const MAPS_BYTES: usize = 64 << 10;
/// A page that older interfaces of the kernel need: not in the address space of the process.
const VSYSCALL: &str = "[vsyscall]";

/// Seals all of it.
pub(super) fn seal_code() -> Result<String, SandboxError> {
    let mut maps = Vec::with_capacity(MAPS_BYTES);
    let read = File::open(MAPS).and_then(|mut file| file.read_to_end(&mut maps));
    read.map_err(SandboxError::Mappings)?;
    let ranges = sealable(&String::from_utf8_lossy(&maps));
    for range in &ranges {
        let length = range.end - range.start;
        // SAFETY: mseal takes integers. It changes no memory, and only mappings that stay as they are
        // until the process ends.
        let sealed = unsafe { libc::syscall(libc::SYS_mseal, range.start, length, 0) };
        Errno::result(sealed).map_err(SandboxError::Seal)?;
    }
    Ok(format!("{} areas of code and constants", ranges.len()))
}

/// One line of the list of mappings.
struct Mapping<'a> {
    range: Range<usize>,
    permissions: &'a str,
    /// Device and inode; none without a file.
    file: Option<(&'a str, &'a str)>,
}

impl<'a> Mapping<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let permissions = fields.next()?;
        let _offset = fields.next()?;
        let (device, inode) = (fields.next()?, fields.next()?);
        if fields.next() == Some(VSYSCALL) {
            return None;
        }
        let address = |text| usize::from_str_radix(text, 16).ok();
        let file = (inode != "0").then_some((device, inode));
        Some(Self { range: address(start)?..address(end)?, permissions, file })
    }

    fn is_executable(&self) -> bool {
        self.permissions.contains('x')
    }

    fn is_writable(&self) -> bool {
        self.permissions.contains('w')
    }
}

/// All that is executable, and what else is mapped of the same files and not writable: constants,
/// and the tables of addresses that the dynamic loader has made read-only. Adjacent mappings are
/// one range.
fn sealable(maps: &str) -> Vec<Range<usize>> {
    let mappings: Vec<_> = maps.lines().filter_map(Mapping::parse).collect();
    let executable = mappings.iter().filter(|mapping| mapping.is_executable());
    let programs: HashSet<_> = executable.filter_map(|mapping| mapping.file).collect();
    let is_of_program = |mapping: &Mapping<'_>| {
        mapping.is_executable() || mapping.file.is_some_and(|file| programs.contains(&file))
    };
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for mapping in mappings.iter().filter(|it| !it.is_writable() && is_of_program(it)) {
        match ranges.last_mut() {
            Some(last) if last.end == mapping.range.start => last.end = mapping.range.end,
            _ => ranges.push(mapping.range.clone()),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
1000-2000 r--p 00000000 08:01 7 /usr/bin/program
2000-3000 r-xp 00001000 08:01 7 /usr/bin/program
3000-4000 r--p 00002000 08:01 7 /usr/bin/program
4000-5000 rw-p 00003000 08:01 7 /usr/bin/program
5000-9000 rw-p 00000000 00:00 0 [heap]
a000-b000 r--s 00000000 08:01 9 /models/network of poses
b000-c000 r-xp 00000000 08:02 7 /usr/lib/a library
c000-d000 ---p 00001000 08:02 7 /usr/lib/a library
d000-e000 r--p 00000000 00:00 0 [vvar]
e000-f000 r-xp 00000000 00:00 0 [vdso]
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
";

    #[test]
    fn code_and_constants_are_sealed_and_data_and_models_are_not() {
        assert_eq!(sealable(MAPS), [0x1000..0x4000, 0xb000..0xd000, 0xe000..0xf000]);
    }

    #[test]
    fn lines_of_another_form_are_ignored() {
        assert!(sealable("\n1000-2000\nx-y r-xp 0 08:01 7\n1-2 r-xp 0 08:01\n").is_empty());
    }
}
