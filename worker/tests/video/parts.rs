//! A part of a video: the area of its pictures, sample by sample, and the frames that are counted before it.

use crate::clip::{Clip, PLAIN};
use crate::hdr::{H265, tagged};
use crate::{LIMITS, READY};
use bodyscript_protocol::options::{Crop, Part};
use bodyscript_worker::picture::Picture;
use bodyscript_worker::video::{Decoder, FrameTime, ProbedVideo, VideoError};
use std::fs::File;
use std::time::Duration;

fn decoder(file: File, part: Part) -> Result<Decoder, VideoError> {
    *READY;
    ProbedVideo::open(file.into(), &LIMITS, part)?.decode()
}

fn last_picture(file: File, part: Part) -> Picture {
    let mut decoder = decoder(file, part).expect("starts");
    let mut picture = Picture::default();
    while decoder.next(&mut picture).expect("decodes").is_some() {}
    picture
}

/// Eight or ten bits of this format.
fn plain(format: &str) -> Clip {
    let encoder = format!("videoconvert ! video/x-raw,format={format} ! x264enc");
    Clip { encoder: encoder.leak(), frames: 3, ..PLAIN }
}

#[test]
fn an_area_has_the_samples_of_the_whole_picture() {
    // In HDR, chroma at an odd edge is made from the pixels that are there.
    let (odd, even) = ("0.125,0.1,0.53,0.505", "0.125,0.1,0.525,0.5");
    let hdr = tagged("I420_10LE", "bt2100-pq", (H265, "mp4mux name=m"));
    for (what, clip, crop, size) in [
        ("4:2:0", plain("I420"), odd, [85, 61]),
        ("4:4:4", plain("Y444"), odd, [85, 61]),
        ("4:2:2, 10 bits", plain("I422_10LE"), odd, [85, 61]),
        ("HDR", hdr, even, [84, 60]),
    ] {
        let file = clip.named();
        let open = || file.reopen().expect("opens");
        let crop: Crop = crop.parse().expect("an area");
        let area = crop.pixels([PLAIN.width, PLAIN.height]);
        assert_eq!((area.x, area.y, area.size()), (20, 12, size), "{what}");
        let whole = last_picture(open(), Part::default());
        let cropped = last_picture(open(), Part { crop: Some(crop), ..Part::default() });
        let layout = cropped.layout();
        assert_eq!([layout.width, layout.height], size, "{what}");
        for plane in 0..3 {
            let [across, down] = if plane == 0 { [0, 0] } else { layout.subsampling.shifts() };
            let ([columns, _], [wide, _]) =
                (layout.plane_size(plane), whole.layout().plane_size(plane));
            let rows = cropped.planes()[plane].chunks(columns);
            for (row, samples) in (area.y as usize >> down..).zip(rows) {
                let from = row * wide + (area.x as usize >> across);
                let expected = &whole.planes()[plane][from..][..columns];
                assert!(samples == expected, "{what}: plane {plane}, row {row}");
            }
        }
    }
}

#[test]
fn an_area_below_the_least_size_is_refused() {
    let part = |crop: &str| Part { crop: Some(crop.parse().expect("an area")), ..Part::default() };
    assert!(decoder(PLAIN.make(), part("0,0,0.2,1")).is_ok(), "32 pixels wide");
    let refused = decoder(PLAIN.make(), part("0,0,0.19,1")).map(drop).expect_err("too small");
    let VideoError::CropTooSmall { width: 30, height: 120, .. } = refused else {
        panic!("{refused}");
    };
}

#[test]
fn frames_before_a_part_are_counted_and_the_part_ends_before_its_end() {
    let ms = Duration::from_millis;
    for muxer in ["mp4mux name=m", "matroskamux name=m", "mpegtsmux name=m"] {
        let part = Part { start: ms(390), end: Some(ms(610)), crop: None };
        let clip = Clip { encoder: "x264enc bframes=0 key-int-max=12", muxer, ..PLAIN };
        let mut decoder = decoder(clip.make(), part).expect("starts");
        let mut times = Vec::new();
        while let Some(FrameTime { pts }) = decoder.advance().expect("decodes") {
            times.push(pts);
        }
        crate::assert_times(muxer, &times, (0..19).map(|k| f64::from(k) / 30.0));
        assert!(decoder.advance().expect("the end").is_none(), "{muxer}");
        assert_eq!(decoder.warnings().iter().count(), 0, "{muxer}: {:?}", decoder.warnings());
    }
}
