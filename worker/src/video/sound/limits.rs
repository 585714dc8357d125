//! The limits on sound, checked before the decoder receives the data. Called by the probes of
//! `track`. Sound that exceeds one is dropped; the video is not rejected.

use gstreamer as gst;

/// Most channels.
const CHANNELS_MAX: i32 = 8;
/// Most samples a second.
const RATE_HZ_MAX: i32 = 192_000;
/// Most bytes of one packet: three seconds of eight channels at 48 kHz and 32 bits.
const PACKET_BYTES_MAX: usize = 4 << 20;
/// Most samples of an ALAC packet; Apple's encoder makes 4,096.
const ALAC_SAMPLES_MAX: u32 = 65_536;

/// Which limit the data at a pad exceeds.
pub(super) fn exceeded(info: &gst::PadProbeInfo<'_>) -> Option<String> {
    if let Some(buffer) = info.buffer() {
        let bytes = buffer.size();
        return (bytes > PACKET_BYTES_MAX)
            .then(|| format!("a packet of {bytes} bytes, limit {PACKET_BYTES_MAX}"));
    }
    match info.event()?.view() {
        gst::EventView::Caps(event) => exceeded_by(event.caps()),
        _ => None,
    }
}

/// Which limit a track with these caps exceeds.
pub(super) fn exceeded_by(caps: &gst::CapsRef) -> Option<String> {
    let track = caps.structure(0)?;
    let over = |name, max, what| {
        let value = track.get::<i32>(name).ok()?;
        (!(1..=max).contains(&value)).then(|| format!("{value} {what}, limit {max}"))
    };
    let alac = || {
        // Magic cookie: after the header of its box (12 bytes), big-endian.
        let cookie = track.get::<gst::Buffer>("codec_data").ok()?;
        let mut samples = [0; 4];
        cookie.copy_to_slice(12, &mut samples).ok()?;
        let samples = u32::from_be_bytes(samples);
        (samples > ALAC_SAMPLES_MAX)
            .then(|| format!("{samples} samples in a packet, limit {ALAC_SAMPLES_MAX}"))
    };
    over("channels", CHANNELS_MAX, "channels")
        .or_else(|| over("rate", RATE_HZ_MAX, "samples a second"))
        .or_else(|| if track.name() == "audio/x-alac" { alac() } else { None })
}
