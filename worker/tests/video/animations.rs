//! Animations: GIF and APNG, made by the encoders of the libraries that read them.

use crate::clip::{assert_levels, assert_red, level, patch};
use crate::{Decoded, LIMITS, assert_times, decode, file_of};
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{MediaLimits, OnLong};
use bodyscript_protocol::warning::{Warning, Warnings};
use std::fs::File;

const SIZE: [u16; 2] = [160, 120];
const FRAMES: u16 = 12;

/// Whether each pixel is of the red at the upper left.
fn is_red() -> impl Iterator<Item = bool> {
    let [width, height] = SIZE.map(usize::from);
    (0..width * height).map(move |at| at % width < width / 2 && at / width < height / 3)
}

/// Grey of a level that tells the number, red at the upper left.
fn rgb(number: u16) -> Vec<u8> {
    let grey = level(number.into()) as u8;
    is_red().flat_map(|is_red| if is_red { [200, 0, 0] } else { [grey; 3] }).collect()
}

/// The same for GIF.
fn gif_frame(number: u16) -> gif::Frame<'static> {
    let grey = level(number.into()) as u8;
    let pixels: Vec<_> = is_red().map(u8::from).collect();
    let palette = [grey, grey, grey, 200, 0, 0];
    gif::Frame::from_palette_pixels(SIZE[0], SIZE[1], pixels, palette, None)
}

/// A GIF whose frames state these delays, in hundredths of a second.
fn gif(delays: &[u16]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, SIZE[0], SIZE[1], &[]).expect("a GIF");
    for (number, delay) in (0..).zip(delays) {
        let mut frame = gif_frame(number);
        frame.delay = *delay;
        encoder.write_frame(&frame).expect("it is written");
    }
    drop(encoder);
    bytes
}

/// An APNG whose frames state these delays, as fractions of a second.
fn apng(delays: &[(u16, u16)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE[0].into(), SIZE[1].into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(delays.len() as u32, 0).expect("it can be animated");
    let mut writer = encoder.write_header().expect("a header");
    for (number, (num, den)) in (0..).zip(delays) {
        writer.set_frame_delay(*num, *den).expect("a delay");
        writer.write_image_data(&rgb(number)).expect("it is written");
    }
    writer.finish().expect("it ends");
    bytes
}

fn check(what: &str, decoded: &Decoded, format: [&str; 2], times: &[f64]) {
    let probe = &decoded.probe;
    assert_eq!((probe.width, probe.height), (160, 120), "{what}");
    assert_eq!([&*probe.container, &*probe.codec], format, "{what}");
    assert_times(what, &decoded.times, times.iter().copied());
    assert_levels(what, &decoded.levels, 0..times.len() as u32);
    assert_red(what, patch(&decoded.last, 10, 10));
    assert_eq!(decoded.warnings, Warnings::NONE, "{what}");
}

fn steps(count: u16, step: f64) -> Vec<f64> {
    (0..count).map(|n| f64::from(n) * step).collect()
}

fn decoded(bytes: &[u8]) -> Decoded {
    decode(file_of(bytes), &LIMITS).expect("an animation")
}

#[test]
fn an_animation_is_decoded_again_from_its_beginning() {
    for bytes in [gif(&[4; FRAMES as usize]), apng(&[(1, 25); FRAMES as usize])] {
        let file = file_of(&bytes);
        // Both handles share the position in the file, as those of two passes do.
        let again = file.try_clone().expect("a second handle");
        let first = decode(file, &LIMITS).expect("an animation");
        let second = decode(again, &LIMITS).expect("the same animation");
        assert_eq!(first.times.len(), usize::from(FRAMES));
        assert_eq!((first.times, first.levels), (second.times, second.levels));
    }
}

#[test]
fn every_frame_of_a_gif_comes_at_its_time() {
    let delays: Vec<_> = (0..FRAMES).map(|n| 6 + n % 2).collect();
    let clip = decoded(&gif(&delays));
    let times: Vec<_> = (0..FRAMES).map(|n| f64::from(n / 2 * 13 + n % 2 * 6) / 100.0).collect();
    check("delays that vary", &clip, ["image/gif", "image/gif"], &times);
    assert_eq!((clip.probe.duration_ms, clip.probe.frame_rate), (Some(780), (0, 1)));

    let clip = decoded(&gif(&[4; 12]));
    check("equal delays", &clip, ["image/gif", "image/gif"], &steps(12, 0.04));
    assert_eq!((clip.probe.frames_estimate, clip.probe.frame_rate), (Some(12), (25, 1)));
}

#[test]
fn every_frame_of_an_apng_comes_at_its_time() {
    let clip = decoded(&apng(&[(1, 15); 12]));
    check("fifteenths", &clip, ["image/apng", "image/png"], &steps(12, 1.0 / 15.0));
    let clip = decoded(&apng(&[(50, 0), (1, 2), (200, 1000)]));
    check("other fractions", &clip, ["image/apng", "image/png"], &[0.0, 0.5, 1.0]);
}

/// As in browsers; with the stated delay all frames would be at the same time.
#[test]
fn animations_without_delays_play_at_ten_frames_a_second() {
    for delay in [0, 1] {
        let clip = decoded(&gif(&[delay; 8]));
        check("GIF", &clip, ["image/gif", "image/gif"], &steps(8, 0.1));
        let clip = decoded(&apng(&[(delay, 100); 8]));
        check("APNG", &clip, ["image/apng", "image/png"], &steps(8, 0.1));
    }
}

#[test]
fn the_picture_outside_the_animation_of_an_apng_is_no_frame() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE[0].into(), SIZE[1].into());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_animated(3, 0).expect("it can be animated");
    encoder.set_sep_def_img(true).expect("a picture outside");
    encoder.set_frame_delay(1, 10).expect("a delay");
    let mut writer = encoder.write_header().expect("a header");
    for number in [9, 0, 1, 2] {
        writer.write_image_data(&rgb(number)).expect("it is written");
    }
    writer.finish().expect("it ends");
    check("APNG", &decoded(&bytes), ["image/apng", "image/png"], &steps(3, 0.1));
}

/// What a frame leaves out is what the frames before it show.
#[test]
fn frames_are_drawn_on_those_before_them() {
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, SIZE[0], SIZE[1], &[]).expect("a GIF");
    let mut whole = gif_frame(0);
    whole.delay = 10;
    encoder.write_frame(&whole).expect("it is written");
    let grey = level(1) as u8;
    let mut part = gif::Frame::from_palette_pixels(80, 60, [0; 80 * 60], [grey; 3], None);
    (part.left, part.top, part.delay) = (80, 60, 10);
    encoder.write_frame(&part).expect("it is written");
    drop(encoder);
    check("a part", &decoded(&bytes), ["image/gif", "image/gif"], &[0.0, 0.1]);
}

#[test]
fn a_long_last_delay_does_not_pass_for_a_cut() {
    let clip = decoded(&gif(&[10, 10, 500]));
    check("a pause", &clip, ["image/gif", "image/gif"], &[0.0, 0.1, 0.2]);
    let mut short = LIMITS;
    (short.duration_ms_max, short.on_long) = (3000, OnLong::Reject);
    let fault = fault_of(file_of(&gif(&[10, 10, 500])), &short);
    assert_eq!(fault, Fault::TooLong { duration_ms: 5200, duration_ms_max: 3000 });
}

#[test]
fn an_animation_that_is_cut_off_keeps_its_whole_frames() {
    for whole in [gif(&[10; 12]), apng(&[(1, 10); 12])] {
        let clip = decoded(&whole[..whole.len() * 3 / 4]);
        assert!((4..12).contains(&clip.times.len()), "{:?}", clip.times);
        assert!(clip.warnings.contains(Warning::Truncated), "{:?}", clip.warnings);
        assert_levels("cut off", &clip.levels, 0..clip.times.len() as u32);
        assert_eq!(fault_of(file_of(&whole[..whole.len() / 40]), &LIMITS), Fault::Damaged);
    }
}

#[test]
fn sizes_over_the_limits_are_rejected_before_a_frame_is_read() {
    let limits = MediaLimits { area_px_max: 160 * 120 - 1, ..LIMITS };
    for bytes in [gif(&[10; 2]), apng(&[(1, 10); 2])] {
        assert!(matches!(fault_of(file_of(&bytes), &limits), Fault::PictureTooLarge { .. }));
        let tiny = MediaLimits { side_px_max: 100, ..LIMITS };
        assert!(matches!(fault_of(file_of(&bytes), &tiny), Fault::PictureTooLarge { .. }));
    }
    let mut claims = gif(&[10; 2]);
    claims[6..10].fill(0xff);
    assert!(matches!(fault_of(file_of(&claims), &LIMITS), Fault::PictureTooLarge { .. }));
}

#[test]
fn more_frames_a_second_than_the_limit_are_rejected() {
    let limits = MediaLimits { frame_rate_max: 20, ..LIMITS };
    for bytes in [gif(&[4; 6]), apng(&[(1, 25); 6])] {
        let fault = fault_of(file_of(&bytes), &limits);
        assert_eq!(fault, Fault::FrameRateTooHigh { frame_rate: 25, frame_rate_max: 20 });
    }
}

fn fault_of(file: File, limits: &MediaLimits) -> Fault {
    decode(file, limits).err().expect("a refusal").fault()
}
