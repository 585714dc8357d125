//! The memory that a job needs, estimated from what is known of its video before a decoder exists.
//! Pure; called by `run`.
//!
//! Peaks of a worker in MiB as charged to its cgroup, with all default artefacts and files that other
//! workers have read before (estimate | measured at 720p, 1080p, 4K, 8K):
//!
//! | video                          | estimate             | measured            |
//! |--------------------------------|----------------------|---------------------|
//! | H.264, 5 reference frames      | 85, 131, 380, 1377   | 65, 105, 320, 1225  |
//! | H.264, 10 bits                 | 96, 155, 475, 1757   | 74, 136, 412, 1446  |
//! | H.265                          | 93, 149, 452, 1663   | 68, 117, 367, 1369  |
//! | H.265, 10 bits                 | 111, 190, 618, 2326  | 86, 158, 499, 1844  |
//! | VP8                            | 80, 119, 333, 1188   | 57, 92, 266, 965    |
//! | VP9                            | 80, 119, 333, 1188   | 58, 103, 272, 843   |
//! | AV1                            | 97, 159, 491, 1821   | 74, 126, 373, 1458  |
//! | Motion JPEG, 4:2:0             | 80, 119, 333, 1188   | 55, 86, 211, 746    |
//! | ProRes, 4:2:2                  | 90, 143, 428, 1567   | 62, -, 293, 847     |
//! | CineForm, 4:2:2                | 90, 143, 428, 1567   | 75, -, 326, -       |
//! | JPEG 2000, 4:2:0               | 90, 143, 428, 1567   | -, 89, 215, -       |
//!
//! Of a chosen area only that counts for what comes after the decoder.
//!
//! A picture that has to be turned takes 40 to 50 MiB more at 4K: 360 for H.264, 549 for ten bits of H.265.
//! Only H.264 and H.265 may keep more frames than the measured clips, up to 16: a video that does, and
//! one whose pictures grow later, can still reach its cap.

use super::sampling;
use crate::motion::SKELETON_BYTES_PER_FRAME;
use crate::pose::{frames_at_a_time, search_bytes};
use crate::video::Probe;
use bodyscript_protocol::artefact::Artefact;
use bodyscript_protocol::message::Start;
use bodyscript_protocol::options::{Blur, Filter, LandmarkModel};

/// What does not depend on the size of the picture: libraries, networks, preview.
const BASE_BYTES: u64 = 48 << 20;
/// Bytes of each pixel for each video of full size: its pictures on the way to the encoder, and those that
/// the encoder keeps.
const ENCODER_BYTES_PER_PIXEL: u64 = 18;
/// Bytes of each pixel for turning the pictures upright.
const ROTATION_BYTES_PER_PIXEL: u64 = 6;
/// What filtering with later frames takes: the frames of one track while they are filtered, and for
/// each person the seconds before and after, at 240 frames per second.
const FILTER_BYTES: u64 = 8 << 20;
const FILTER_BYTES_PER_PERSON: u64 = 6 << 20;
/// What covering heads takes: the heads and covers of the frames that wait for later ones, at 240 frames per second, and
/// for each person the poses in them.
const COVERS_BYTES: u64 = 3 << 20;
const COVERS_BYTES_PER_PERSON: u64 = 2 << 20;
/// What the heavy landmark model takes more than the others: its weights.
const HEAVY_BYTES: u64 = 22 << 20;
/// And the pictures between its layers, for each frame that is processed at a time.
const HEAVY_BYTES_PER_FRAME: u64 = 12 << 20;
/// From here on a sample takes two bytes.
const WIDE_BITS_MIN: u32 = 9;

/// The memory cap that the job needs, in bytes.
pub(super) fn bytes(probe: &Probe, start: &Start) -> u64 {
    let pixels = u64::from(probe.width) * u64::from(probe.height);
    let area_pixels = u64::from(probe.area[0]) * u64::from(probe.area[1]);
    let encoders = [Artefact::Video, Artefact::Clean].into_iter();
    let encoders = encoders.filter(|video| start.artefacts.contains(video)).count() as u64;
    let rotation = match (probe.rotation_degrees, probe.mirrored) {
        (0, false) => 0,
        _ => ROTATION_BYTES_PER_PIXEL,
    };
    let per_pixel = decoder_bytes_per_pixel(&probe.codec, probe.bit_depth) + rotation;
    let decoding = pixels.saturating_mul(per_pixel);
    let encoding = area_pixels.saturating_mul(encoders * ENCODER_BYTES_PER_PIXEL);
    let parameters = &start.parameters;
    let search = search_bytes(parameters.options.mode, parameters.threads, probe.area);
    let filter = match parameters.options.filter {
        Filter::Offline => {
            FILTER_BYTES + FILTER_BYTES_PER_PERSON * u64::from(parameters.options.people_max)
        }
        Filter::None | Filter::Live => 0,
    };
    let covers = match parameters.options.blur {
        Blur::Faces => {
            COVERS_BYTES + COVERS_BYTES_PER_PERSON * u64::from(parameters.options.people_max)
        }
        Blur::None => 0,
    };
    let model = model_bytes(probe, start);
    let parts = [decoding, encoding, search, filter, covers, kept_frames(probe, start), model];
    parts.into_iter().fold(BASE_BYTES, u64::saturating_add)
}

/// Bytes of what is kept of each frame until the end.
fn kept_frames(probe: &Probe, start: &Start) -> u64 {
    let formats = [Artefact::Bvh, Artefact::Glb].into_iter();
    let formats = formats.filter(|format| start.artefacts.contains(format)).count() as u64;
    let frames = sampling::expected(&start.parameters.options, probe);
    formats * SKELETON_BYTES_PER_FRAME * u64::from(frames)
}

/// What a landmark model takes more than the smaller ones.
fn model_bytes(probe: &Probe, start: &Start) -> u64 {
    let parameters = &start.parameters;
    match parameters.options.model {
        LandmarkModel::Lite | LandmarkModel::Full => 0,
        LandmarkModel::Heavy => {
            let frames = frames_at_a_time(parameters.options.mode, parameters.threads, probe.area);
            HEAVY_BYTES + HEAVY_BYTES_PER_FRAME * frames as u64
        }
    }
}

/// Bytes of each pixel in the decoder and on the way from it.
fn decoder_bytes_per_pixel(codec: &str, bit_depth: u32) -> u64 {
    let (narrow, wide) = match codec {
        "video/x-h264" => (24, 36),
        "video/x-h265" => (33, 54),
        "video/x-av1" => (38, 58),
        "video/x-vp9" => (18, 38),
        // Often ten bits without or with half the chroma subsampling, and a converter.
        "video/x-prores" | "video/x-cineform" | "image/x-j2c" | "image/x-jpc" => (30, 30),
        // At most three frames, or one without chroma subsampling.
        _ => (18, 36),
    };
    if bit_depth < WIDE_BITS_MIN { narrow } else { wide }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::Colours;
    use bodyscript_protocol::message::{JobParameters, MediaLimits, OnLong};
    use bodyscript_protocol::options::{Mode, Options};
    use std::num::NonZeroU32;
    use std::time::Duration;

    const MIB: u64 = 1 << 20;
    const SIZES: [[u32; 2]; 4] = [[1280, 720], [1920, 1080], [3840, 2160], [7680, 4320]];

    /// Codec, bits and the measured peaks at each of the sizes, in MiB; 0 where it was not measured.
    const MEASURED: [(&str, u32, [u64; 4]); 11] = [
        ("video/x-h264", 8, [65, 105, 320, 1225]),
        ("video/x-h264", 10, [74, 136, 412, 1446]),
        ("video/x-h265", 8, [68, 117, 367, 1369]),
        ("video/x-h265", 10, [86, 158, 499, 1844]),
        ("video/x-vp8", 8, [57, 92, 266, 965]),
        ("video/x-vp9", 8, [58, 103, 272, 843]),
        ("video/x-av1", 8, [74, 126, 373, 1458]),
        ("image/jpeg", 8, [55, 86, 211, 746]),
        ("video/x-prores", 10, [62, 0, 293, 847]),
        ("video/x-cineform", 8, [75, 0, 326, 0]),
        ("image/x-jpc", 8, [0, 89, 215, 0]),
    ];

    fn probe(codec: &str, bit_depth: u32, [width, height]: [u32; 2]) -> Probe {
        Probe {
            width,
            height,
            area: [width, height],
            frame_rate: (30, 1),
            duration_ms: None,
            trimmed: false,
            container: String::new(),
            codec: codec.into(),
            bit_depth,
            rotation_degrees: 0,
            mirrored: false,
            colours: Colours::BT709,
            frames_estimate: None,
            length_max: Duration::ZERO,
        }
    }

    fn start(mode: Mode, artefacts: &[Artefact]) -> Start {
        let options = Options { mode, ..Options::default() };
        let limits = MediaLimits {
            duration_ms_max: 1,
            on_long: OnLong::Trim,
            side_px_max: 1,
            area_px_max: 1,
            frame_rate_max: 1,
        };
        let threads = NonZeroU32::new(2).expect("more than none");
        let parameters = JobParameters { options, limits, threads };
        Start { job: String::new(), parameters, artefacts: artefacts.to_vec() }
    }

    fn default_job() -> Start {
        start(Mode::Track, &Options::default().formats.iter().collect::<Vec<_>>())
    }

    #[test]
    fn an_estimate_is_a_tenth_above_each_measured_peak_and_not_twice_as_high() {
        for (codec, bits, peaks) in MEASURED {
            for (size, peak) in SIZES.into_iter().zip(peaks).filter(|(_, peak)| *peak > 0) {
                let need = bytes(&probe(codec, bits, size), &default_job()) / MIB;
                assert!(need * 10 >= peak * 11, "{codec} {bits} {size:?}: {need} for {peak}");
                assert!(need < peak * 2, "{codec} {bits} {size:?}: {need} for {peak}");
            }
        }
    }

    #[test]
    fn turning_pictures_upright_takes_memory() {
        for (codec, bits, peak) in [("video/x-h264", 8, 360), ("video/x-h265", 10, 549)] {
            let turned = Probe { rotation_degrees: 90, ..probe(codec, bits, SIZES[2]) };
            let need = bytes(&turned, &default_job()) / MIB;
            assert!((peak * 11 / 10..peak * 3 / 2).contains(&need), "{need} for {peak}");
        }
    }

    #[test]
    fn h264_of_eight_bits_fits_the_default_cap_up_to_4k() {
        for size in &SIZES[..3] {
            assert!(bytes(&probe("video/x-h264", 8, *size), &default_job()) <= 384 * MIB);
        }
        let small = bytes(&probe("video/x-h264", 8, SIZES[0]), &default_job());
        assert!(small <= 96 * MIB, "the lowest budget with which the service starts");
    }

    #[test]
    fn the_heavy_model_takes_at_least_its_weights_more() {
        let video = probe("video/x-h264", 8, SIZES[0]);
        let need = |model| {
            let mut start = default_job();
            start.parameters.options.model = model;
            bytes(&video, &start)
        };
        assert_eq!(need(LandmarkModel::Lite), need(LandmarkModel::Full));
        // The sizes of the files, which are nearly all weights.
        let weights = 27_601_939 - 6_393_549;
        assert!(need(LandmarkModel::Heavy) >= need(LandmarkModel::Full) + weights);
    }

    #[test]
    fn an_estimate_grows_with_the_search_and_shrinks_without_the_overlay() {
        let video = probe("video/x-h264", 8, SIZES[1]);
        let default = bytes(&video, &default_job());
        let quality = start(Mode::Quality, &default_job().artefacts);
        // Measured: 178 MiB with two threads.
        assert!((178 * MIB..=default + 96 * MIB).contains(&bytes(&video, &quality)));
        let cropped = Probe { area: [192, 108], ..video.clone() };
        assert!(bytes(&cropped, &default_job()) < default);
        assert!(bytes(&cropped, &default_job()) >= bytes(&video, &start(Mode::Track, &[])));
        let data = start(Mode::Track, &[Artefact::Csv]);
        assert!(bytes(&video, &data) < default);
        let long = Probe { frames_estimate: Some(1 << 20), ..video.clone() };
        assert_eq!(bytes(&long, &data), bytes(&video, &data));
        let skeleton = start(Mode::Track, &[Artefact::Csv, Artefact::Bvh]);
        assert_eq!(bytes(&long, &skeleton) - bytes(&video, &data), 168 * MIB);
        let huge = probe("video/x-h264", 8, [u32::MAX; 2]);
        assert_eq!(bytes(&huge, &quality), u64::MAX);
    }
}
