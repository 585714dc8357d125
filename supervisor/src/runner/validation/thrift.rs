//! Reads Thrift's compact protocol, in which the footer of a Parquet file is written. Its work is bounded by the
//! bytes it is given: every value takes at least one.

use super::invalid::{Invalid, ensure};
use std::io::Read;

/// Deepest nesting of structures and lists; a footer has seven.
const DEPTH_MAX: u32 = 16;

/// Longest text that is returned, in bytes.
const TEXT_BYTES_MAX: u64 = 64;

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    pub(super) const I64: Self = Self(6);
    pub(super) const TEXT: Self = Self(8);
    pub(super) const LIST: Self = Self(9);
    pub(super) const STRUCT: Self = Self(12);
}

/// Reads values one after the other.
pub(super) struct Thrift<R>(pub(super) R);

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> Result<u8, Invalid> {
        let mut byte = [0];
        self.0.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, Invalid> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Invalid::Malformed("a number is too long"))
    }

    /// A number that is not negative, of 16 to 64 bits.
    pub(super) fn number(&mut self) -> Result<u64, Invalid> {
        let coded = self.varint()?;
        ensure(coded & 1 == 0, "a number is negative")?;
        Ok(coded >> 1)
    }

    /// The next field of a structure, after the field of this number; none at its end.
    pub(super) fn field(&mut self, last: &mut u64) -> Result<Option<(u64, Kind)>, Invalid> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *last = match byte >> 4 {
            0 => self.number()?,
            step => last.saturating_add(step.into()),
        };
        Ok(Some((*last, Kind(byte & 0x0f))))
    }

    /// The beginning of a list of values of this kind; returns their number.
    pub(super) fn list_of(&mut self, kind: Kind) -> Result<u64, Invalid> {
        let (entries, found) = self.list()?;
        ensure(entries == 0 || found == kind, "a list has other values")?;
        Ok(entries)
    }

    fn list(&mut self) -> Result<(u64, Kind), Invalid> {
        let byte = self.byte()?;
        let entries = match byte >> 4 {
            15 => self.varint()?,
            few => few.into(),
        };
        Ok((entries, Kind(byte & 0x0f)))
    }

    /// A short text.
    pub(super) fn text(&mut self) -> Result<Vec<u8>, Invalid> {
        let bytes = self.varint()?;
        ensure(bytes <= TEXT_BYTES_MAX, "a text is too long")?;
        let mut text = vec![0; bytes as usize];
        self.0.read_exact(&mut text)?;
        Ok(text)
    }

    /// Passes over a value.
    pub(super) fn skip(&mut self, kind: Kind) -> Result<(), Invalid> {
        self.skip_within(kind, DEPTH_MAX)
    }

    fn skip_within(&mut self, kind: Kind, depth: u32) -> Result<(), Invalid> {
        let depth = depth.checked_sub(1).ok_or(Invalid::Malformed("it is nested too deeply"))?;
        match kind.0 {
            // As a field a boolean is in its kind.
            1 | 2 => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.pass(8),
            8 => {
                let bytes = self.varint()?;
                self.pass(bytes)
            }
            9 | 10 => {
                let (entries, kind) = self.list()?;
                // In a list it is a byte.
                let kind = if matches!(kind.0, 1 | 2) { Kind(3) } else { kind };
                (0..entries).try_for_each(|_| self.skip_within(kind, depth))
            }
            12 => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip_within(kind, depth)?;
                }
                Ok(())
            }
            _ => Err(Invalid::Malformed("it has a value of an unknown kind")),
        }
    }

    fn pass(&mut self, bytes: u64) -> Result<(), Invalid> {
        let passed = std::io::copy(&mut self.0.by_ref().take(bytes), &mut std::io::sink())?;
        ensure(passed == bytes, "it ends too early")
    }
}
