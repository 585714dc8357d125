//! What the first blocks of a DV frame state (SMPTE 314M, IEC 61834): size, rate, shape of pixels.
//! Read by `frame_files` and `picture_header`. Pure.

/// The bytes of a frame that are looked at.
pub(super) const HEAD_BYTES: usize = 480;
/// Where the first pack of a frame's video data says what kind it is.
const SOURCE_AT: usize = 80 * 5 + 48;

/// One kind of frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DvFormat {
    /// Bytes of a frame.
    pub(super) frame_bytes: usize,
    /// Width and height.
    pub(super) size: (u32, u32),
    /// Frames per second.
    pub(super) rate: (u32, u32),
    /// The shape of pixels.
    pub(super) pixel_aspect: (u32, u32),
}

impl DvFormat {
    /// The kind of the frame that begins like this.
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        let [0x1f, 0x07, 0x00, system, ..] = *head else { return None };
        let is_625 = match system {
            0x3f => false,
            0xbf => true,
            _ => return None,
        };
        let head = head.get(..HEAD_BYTES)?;
        let rate = if is_625 { (25, 1) } else { (30_000, 1001) };
        let by = |of_525: usize, of_625| if is_625 { of_625 } else { of_525 };
        let sized = |of_525: (u32, u32), of_625| if is_625 { of_625 } else { of_525 };
        let format =
            |frame_bytes, size, pixel_aspect| Some(Self { frame_bytes, size, rate, pixel_aspect });
        match head[SOURCE_AT + 3] & 0x1f {
            0x14 => format(
                by(480_000, 576_000),
                sized((1280, 1080), (1440, 1080)),
                sized((3, 2), (4, 3)),
            ),
            // Frames of 720 rows, two at a time.
            0x18 => None,
            kind => {
                let shape = match (is_wide(head), is_625) {
                    (false, false) => (8, 9),
                    (true, false) => (32, 27),
                    (false, true) => (16, 15),
                    (true, true) => (64, 45),
                };
                let doubled = if kind == 4 { 2 } else { 1 };
                format(doubled * by(120_000, 144_000), sized((720, 480), (720, 576)), shape)
            }
        }
    }
}

fn is_wide(head: &[u8]) -> bool {
    let control = &head[SOURCE_AT + 5..];
    let shape = control[2] & 7;
    control[0] == 0x61 && (shape == 2 || (head[4] & 7 == 0 && shape == 7))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(system: u8, kind: u8, shape: u8) -> [u8; HEAD_BYTES] {
        let mut head = [0xff; HEAD_BYTES];
        head[..5].copy_from_slice(&[0x1f, 0x07, 0x00, system, 0]);
        head[SOURCE_AT + 3] = kind;
        (head[SOURCE_AT + 5], head[SOURCE_AT + 7]) = (0x61, shape);
        head
    }

    #[test]
    fn a_frame_states_its_kind() {
        let of = |system, kind, shape| {
            let format = DvFormat::of(&head(system, kind, shape)).expect("DV");
            (format.frame_bytes, format.size, format.pixel_aspect)
        };
        assert_eq!(of(0x3f, 0, 0), (120_000, (720, 480), (8, 9)));
        assert_eq!(of(0xbf, 0, 2), (144_000, (720, 576), (64, 45)));
        assert_eq!(of(0xbf, 4, 0), (288_000, (720, 576), (16, 15)));
        assert_eq!(of(0x3f, 0x14, 0), (480_000, (1280, 1080), (3, 2)));
    }

    #[test]
    fn other_bytes_are_not_dv() {
        for bytes in [&[][..], &[0x1f, 0x07, 0, 0x3f], &[0; HEAD_BYTES]] {
            assert_eq!(DvFormat::of(bytes), None);
        }
        assert_eq!(DvFormat::of(&head(0x3e, 0, 0)), None);
    }
}
