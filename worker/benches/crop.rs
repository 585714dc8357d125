//! The cost of cropping a model's input from a picture. Run by `make bench-micro`.

use bodyscript_worker::picture::{Layout, Picture};
use bodyscript_worker::pose::{Border, Roi, ValueRange, crop};

fn main() {
    divan::main();
}

/// The whole picture for the detector, and a rotated person for the landmarks.
#[divan::bench(args = [0.0, 0.3])]
fn cut(bencher: divan::Bencher<'_, '_>, rotation: f32) {
    let mut picture = Picture::new(Layout { width: 1280, height: 720, ..Layout::default() });
    for plane in picture.planes_mut() {
        plane.iter_mut().enumerate().for_each(|(at, sample)| *sample = (at % 251) as u8);
    }
    let (roi, side) = if rotation == 0.0 {
        (Roi::letterbox(1280, 720), 224)
    } else {
        (Roi { center_x: 600.0, center_y: 350.0, side: 640.0, rotation }, 256)
    };
    let mut planes = vec![0.0; 3 * side * side];
    let range = ValueRange { min: 0.0, max: 1.0 };
    bencher.bench_local(|| crop(&picture, &roi, Border::Zero, range, &mut planes));
}
