//! Reads and makes packets of transport streams (ISO/IEC 13818-1, 2.4.3.2 to 2.4.3.7). Pure; called by
//! `transport_stream`.

/// Bytes of a packet proper.
const BYTES: usize = 188;
/// Bytes of the longest form of a packet: with check bytes.
pub(super) const BYTES_MAX: usize = 204;
/// The first byte of each packet.
const SYNC: u8 = 0x47;
/// Packets in a row that must begin with that byte.
const SYNCS_MIN: usize = 5;
/// The flag of a clock value in an adaptation field.
const CLOCK: u8 = 0x10;

/// The form of a file's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    /// Bytes of a packet with all that is around it.
    pub(super) bytes: usize,
    /// Bytes before the packet proper, such as the time of its arrival.
    pub(super) header: usize,
}

/// Plain packets, those of camcorders, and those with check bytes.
const FRAMINGS: [Framing; 3] = [
    Framing { bytes: BYTES, header: 0 },
    Framing { bytes: 192, header: 4 },
    Framing { bytes: BYTES_MAX, header: 0 },
];

impl Framing {
    /// The form of the packets at the start of a file; none if it does not begin with packets.
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        FRAMINGS.into_iter().find(|framing| {
            let packets = start.chunks_exact(framing.bytes).take(SYNCS_MIN);
            packets.len() == SYNCS_MIN
                && packets.into_iter().all(|packet| packet[framing.header] == SYNC)
        })
    }
}

/// A packet.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    /// The stream it belongs to.
    pub(super) id: u16,
    /// Whether a unit, such as a picture or a table, begins in it.
    pub(super) is_start: bool,
    /// Whether it carries a clock value.
    pub(super) has_clock: bool,
    /// Its payload.
    pub(super) payload: &'a [u8],
    /// Offset of the payload in the packet.
    pub(super) payload_at: usize,
}

impl<'a> Packet<'a> {
    /// Reads a packet; none if it is damaged.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let bytes = bytes.get(..BYTES)?;
        if bytes[0] != SYNC || bytes[1] & 0x80 != 0 {
            return None;
        }
        let has_adaptation = bytes[3] & 0x20 != 0;
        let length = if has_adaptation { usize::from(bytes[4]) + 1 } else { 0 };
        let payload_at = if bytes[3] & 0x10 != 0 { 4 + length } else { BYTES };
        Some(Self {
            id: u16::from_be_bytes([bytes[1] & 0x1f, bytes[2]]),
            is_start: bytes[1] & 0x40 != 0,
            // A field that holds a clock value has at least its flags and six bytes.
            has_clock: length >= 8 && bytes[5] & CLOCK != 0,
            payload: bytes.get(payload_at..)?,
            payload_at,
        })
    }

    /// The decoding time stamp of a unit that begins in this packet, or its presentation time stamp
    /// if it has no other.
    pub(super) fn stamp(&self) -> Option<u64> {
        let payload = self.payload.get(..19).filter(|_| self.is_start)?;
        let flags = payload[7] & 0xc0;
        if payload[..3] != [0, 0, 1] || payload[6] & 0xc0 != 0x80 || flags & 0x80 == 0 {
            return None;
        }
        let at = if flags == 0xc0 { 14 } else { 9 };
        let [a, b, c, d, e] = *payload[at..].first_chunk()?;
        let [a, b, c, d, e] = [a >> 1 & 7, b, c >> 1, d, e >> 1].map(u64::from);
        Some(a << 30 | b << 22 | c << 15 | d << 7 | e)
    }
}

/// A packet of this stream without a payload, with a clock value in ticks of 90 kHz.
pub(super) fn with_clock(id: u16, ticks: u64, framing: Framing) -> Vec<u8> {
    let mut bytes = vec![0; framing.header];
    let [high, low] = id.to_be_bytes();
    let field = [SYNC, high & 0x1f, low, 0x20, (BYTES - 5) as u8, CLOCK];
    bytes.extend(field);
    // 33 bits, six unused ones, and nine of a finer clock.
    bytes.extend(&(ticks << 15 | 0x3f << 9).to_be_bytes()[2..]);
    bytes.resize(framing.bytes, 0xff);
    bytes
}
