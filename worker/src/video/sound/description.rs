//! The description of packets of sound for the muxer. Built from checked values alone: other values
//! of the file could make the muxer fail, and with it the video. Pure; called by `packet_reader`.

use gstreamer as gst;

/// Bytes of AAC's configuration: at least two, usually five.
const CONFIG_BYTES: std::ops::RangeInclusive<usize> = 2..=64;
/// Highest sample rate that AAC has tables for.
const AAC_RATE_HZ_MAX: i32 = 96_000;
/// Sample rate of Opus, independent of its source.
const OPUS_RATE_HZ: i32 = 48_000;

/// A description of packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    /// Caps for the muxer.
    pub(super) caps: gst::Caps,
    /// Sample rate.
    pub(super) rate: u32,
}

impl Description {
    /// The description of packets with these caps, if MP4 supports them.
    pub(super) fn of(caps: &gst::CapsRef) -> Option<Self> {
        let track = caps.structure(0)?;
        let number = |name| track.get::<i32>(name).ok().filter(|number| *number > 0);
        let (channels, mut rate) = (number("channels")?, number("rate")?);
        let fresh = gst::Caps::builder(track.name());
        let fresh = match (track.name().as_str(), number("mpegversion")) {
            ("audio/mpeg", Some(4)) if channels <= 8 && rate <= AAC_RATE_HZ_MAX => {
                let config = bytes(&track.get::<gst::Buffer>("codec_data").ok()?)?;
                if !CONFIG_BYTES.contains(&config.len()) {
                    return None;
                }
                fresh
                    .field("mpegversion", 4)
                    .field("stream-format", "raw")
                    .field("codec_data", gst::Buffer::from_slice(config))
            }
            ("audio/mpeg", Some(1)) if channels <= 2 => {
                fresh.field("mpegversion", 1).field("layer", number("layer")?)
            }
            ("audio/x-opus", None) if channels <= 2 => {
                rate = OPUS_RATE_HZ;
                let head = gst::Buffer::from_slice(opus_head(channels as u8));
                fresh
                    .field("channel-mapping-family", 0)
                    .field("streamheader", gst::Array::new([head]))
            }
            _ => return None,
        };
        let caps = fresh.field("channels", channels).field("rate", rate).build();
        Some(Self { caps, rate: rate.unsigned_abs() })
    }
}

/// A header without pre-skip, which `mp4::opus` sets later.
fn opus_head(channels: u8) -> Vec<u8> {
    // RFC 7845, 5.1: version, channels, pre-skip, rate, gain, family.
    let rate = OPUS_RATE_HZ.to_le_bytes();
    [b"OpusHead".as_slice(), &[1, channels, 0, 0], &rate, &[0, 0, 0]].concat()
}

fn bytes(buffer: &gst::Buffer) -> Option<Vec<u8>> {
    buffer.map_readable().ok().map(|map| map.to_vec())
}
