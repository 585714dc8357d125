//! Whether a stream has a high dynamic range, decided from its caps. Called by `decode` once, before
//! a decoder exists.
//!
//! PQ and HLG are defined for ten bits and more (ITU-R BT.2100). Eight bits that are tagged so are
//! taken for standard range: converters keep the tag of the original, and HLG is made to be shown as
//! it is.

use super::colour::stated;
use gstreamer as gst;
use gstreamer_video::{VideoColorMatrix, VideoColorPrimaries, VideoTransferFunction};

/// Peak where the stream states none, and that of HLG, in nits (candela per square metre).
pub(super) const PEAK_NIT: f64 = 1000.0;
/// Luminance of white paper in HDR (ITU-R BT.2408). No stated peak is lower.
const REFERENCE_WHITE_NIT: f64 = 203.0;
/// The highest luminance of PQ.
const PEAK_NIT_MAX: f64 = 10_000.0;
/// Unit of the luminances of a mastering display, in nits.
const MASTERING_UNIT_NIT: f64 = 0.0001;
/// Least depth of HDR.
const HDR_BITS_MIN: u32 = 10;

/// The dynamic range of a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum DynamicRange {
    /// Shown as it is.
    Standard,
    /// To be mapped to standard range.
    High(HdrCoding),
}

/// How a stream codes HDR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct HdrCoding {
    /// From samples to light.
    pub(super) transfer: HdrTransfer,
    /// From luma and chroma to red, green and blue; BT.2020 where it is another than BT.709 and BT.601.
    pub(super) matrix: VideoColorMatrix,
    /// The colours of red, green and blue; BT.2020 where they are others than BT.709.
    pub(super) primaries: VideoColorPrimaries,
}

/// The transfer function of HDR.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum HdrTransfer {
    /// Perceptual quantisation (SMPTE ST 2084).
    Pq {
        /// The highest luminance of the content, in nits.
        peak_nit: f64,
    },
    /// Hybrid log-gamma (ARIB STD-B67).
    Hlg,
}

impl DynamicRange {
    /// The range of a track with these caps: those of the stream first, then those of the container.
    pub(super) fn of(caps: [&gst::CapsRef; 2]) -> Self {
        let has_depth = caps.into_iter().any(|caps| bit_depth(caps) >= HDR_BITS_MIN);
        let Some(transfer) = has_depth.then(|| transfer(caps)).flatten() else {
            return Self::Standard;
        };
        let coding = caps.into_iter().find_map(stated);
        Self::High(HdrCoding {
            transfer,
            matrix: coding.as_ref().map_or(VideoColorMatrix::Bt2020, |coding| coding.matrix()),
            primaries: coding
                .as_ref()
                .map_or(VideoColorPrimaries::Bt2020, |coding| coding.primaries()),
        })
    }
}

/// The stated transfer function, if it is one of HDR. That of BT.2020 is standard range, but a
/// stream of HLG may state it for the sake of older displays; its container then states HLG.
fn transfer(caps: [&gst::CapsRef; 2]) -> Option<HdrTransfer> {
    let [pq, hlg, bt2020] = ["bt2100-pq", "bt2100-hlg", "bt2020-10"].map(named);
    let known = |transfer: &VideoTransferFunction| *transfer != VideoTransferFunction::Unknown;
    let mut all = caps.into_iter().filter_map(stated).map(|stated| stated.transfer());
    let stated = all.clone().filter(known).find(|transfer| Some(*transfer) != bt2020);
    let is_stated = all.any(|transfer| known(&transfer));
    let stated_peak = caps.into_iter().find_map(peak_nit);
    match (stated, stated_peak) {
        (Some(transfer), _) if Some(transfer) == hlg => Some(HdrTransfer::Hlg),
        (Some(transfer), peak) if Some(transfer) == pq => {
            Some(HdrTransfer::Pq { peak_nit: peak.unwrap_or(PEAK_NIT) })
        }
        // Only PQ has this metadata.
        (None, Some(peak_nit)) if !is_stated => Some(HdrTransfer::Pq { peak_nit }),
        _ => None,
    }
}

/// The transfer function of a colorimetry that GStreamer knows by name. The bindings have no names
/// for these functions.
fn named(colorimetry: &str) -> Option<VideoTransferFunction> {
    let known = colorimetry.parse::<gstreamer_video::VideoColorimetry>();
    known.ok().map(|colorimetry| colorimetry.transfer())
}

/// Bits of a sample; eight where the caps do not state it.
pub(super) fn bit_depth(caps: &gst::CapsRef) -> u32 {
    let Some(track) = caps.structure(0) else { return 8 };
    match track.name().as_str() {
        // Has never less.
        "video/x-prores" => HDR_BITS_MIN,
        _ => track.get::<u32>("bit-depth-luma").unwrap_or(8),
    }
}

/// The highest luminance by the metadata of these caps: that of the content or that of the display
/// it was mastered on, whichever is lower.
fn peak_nit(caps: &gst::CapsRef) -> Option<f64> {
    let track = caps.structure(0)?;
    let number = |name: &str, n: usize| {
        let text = track.get::<&str>(name).ok()?;
        text.split(':').nth(n)?.parse::<u32>().ok().filter(|value| *value > 0).map(f64::from)
    };
    let content = number("content-light-level", 0);
    let display = number("mastering-display-info", 8).map(|units| units * MASTERING_UNIT_NIT);
    let peak = content.into_iter().chain(display).reduce(f64::min)?;
    Some(peak.clamp(REFERENCE_WHITE_NIT, PEAK_NIT_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISPLAY: &str =
        "mastering-display-info=(string)34000:16000:13250:34500:7500:3000:15635:16450:40000000:1";

    /// The transfer function for the caps of a stream and of its container, each without a name.
    fn of(stream: &str, container: &str) -> Option<HdrTransfer> {
        crate::video::init().expect("GStreamer initialises");
        let [stream, container] = [stream, container]
            .map(|fields| format!("video/x-h265,{fields}").parse::<gst::Caps>().expect("caps"));
        match DynamicRange::of([&stream, &container]) {
            DynamicRange::Standard => None,
            DynamicRange::High(coding) => {
                assert_eq!(coding.matrix, VideoColorMatrix::Bt2020);
                assert_eq!(coding.primaries, VideoColorPrimaries::Bt2020);
                Some(coding.transfer)
            }
        }
    }

    const PQ: HdrTransfer = HdrTransfer::Pq { peak_nit: PEAK_NIT };

    #[test]
    fn ten_bits_with_a_tag_of_hdr_are_hdr_and_eight_are_not() {
        for (tag, transfer) in [("bt2100-pq", PQ), ("bt2100-hlg", HdrTransfer::Hlg)] {
            let tagged = format!("colorimetry={tag},bit-depth-luma=(uint)");
            assert_eq!(of(&format!("{tagged}10"), "a=1"), Some(transfer), "{tag}");
            assert_eq!(of(&format!("{tagged}12"), "a=1"), Some(transfer), "{tag}");
            assert_eq!(of(&format!("{tagged}8"), "a=1"), None, "{tag}");
            let container = format!("colorimetry={tag}");
            assert_eq!(of("bit-depth-luma=(uint)10", &container), Some(transfer), "{tag}");
            assert_eq!(of("a=1", &container), None, "{tag} without a depth");
        }
    }

    #[test]
    fn ten_bits_of_standard_range_are_not_hdr() {
        for stream in ["a=1", "colorimetry=bt709", "colorimetry=bt2020", "colorimetry=bt2020-10"] {
            assert_eq!(of(&format!("{stream},bit-depth-luma=(uint)10"), "a=1"), None, "{stream}");
        }
        let stream = "colorimetry=bt709,bit-depth-luma=(uint)10";
        assert_eq!(of(stream, "colorimetry=bt2100-hlg"), None, "the stream takes precedence");
    }

    #[test]
    fn a_container_can_state_hlg_for_a_stream_that_states_bt2020() {
        let stream = "colorimetry=bt2020-10,bit-depth-luma=(uint)10";
        assert_eq!(of(stream, "colorimetry=bt2100-hlg"), Some(HdrTransfer::Hlg));
    }

    #[test]
    fn metadata_of_a_mastering_display_means_pq_where_nothing_else_is_stated() {
        let depth = "bit-depth-luma=(uint)10";
        let peak = |peak_nit| Some(HdrTransfer::Pq { peak_nit });
        assert_eq!(of(&format!("{depth},{DISPLAY}"), "a=1"), peak(4000.0));
        assert_eq!(of(depth, DISPLAY), peak(4000.0));
        assert_eq!(of(&format!("{depth},colorimetry=bt709,{DISPLAY}"), "a=1"), None);
        assert_eq!(of(&format!("bit-depth-luma=(uint)8,{DISPLAY}"), "a=1"), None);
    }

    #[test]
    fn the_peak_is_the_lower_one_of_content_and_display_within_bounds() {
        let peak = |metadata: &str| {
            let stream = format!("bit-depth-luma=(uint)10,colorimetry=bt2100-pq,{metadata}");
            match of(&stream, "a=1") {
                Some(HdrTransfer::Pq { peak_nit }) => peak_nit,
                other => panic!("{other:?}"),
            }
        };
        let level = |level: &str| format!("content-light-level=(string){level}");
        assert_eq!(peak(&level("1200:400")), 1200.0);
        assert_eq!(peak(&format!("{DISPLAY},{}", level("1200:400"))), 1200.0);
        assert_eq!(peak(&format!("{DISPLAY},{}", level("9000:400"))), 4000.0);
        assert_eq!(peak(&level("50:40")), REFERENCE_WHITE_NIT);
        assert_eq!(peak(&level("65535:40")), PEAK_NIT_MAX);
        for unusable in ["0:0", "-1:3", "x", "99999999999:1"] {
            assert_eq!(peak(&level(unusable)), PEAK_NIT, "{unusable}");
        }
    }
}
