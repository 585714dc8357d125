//! The cost of each picture enhancement at 1280 x 720: `cargo bench --locked --workspace --bench enhance`.

use bodyscript_worker::picture::RgbPicture;
use bodyscript_worker::pose::{Enhancement, Enhancer};
use divan::{Bencher, black_box};

fn main() {
    divan::main();
}

#[divan::bench(args = Enhancement::ALL)]
fn enhance(bencher: Bencher<'_, '_>, enhancement: Enhancement) {
    let picture = slopes_and_noise();
    let mut enhancer = Enhancer::default();
    bencher.bench_local(|| {
        black_box(enhancer.apply(black_box(&picture), enhancement));
    });
}

fn slopes_and_noise() -> RgbPicture {
    let mut picture = RgbPicture::new(1280, 720);
    let mut noise = 1_u32;
    for (at, level) in picture.rgb.iter_mut().enumerate() {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *level = (at / 3 % 1280 / 8 + at / 3840 / 12) as u8 + (noise >> 28) as u8;
    }
    picture
}
