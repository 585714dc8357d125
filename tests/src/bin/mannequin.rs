//! Writes a video of a walking mannequin: a sample for demonstrations and benchmarks.

use anyhow::{Context, bail};
use bodyscript_tests::fixture::Clip;
use std::path::PathBuf;

const FRAMES_PER_SECOND: u32 = 30;

fn main() -> anyhow::Result<()> {
    let mut seconds: u32 = 5;
    let (mut width, mut height) = (640, 480);
    let mut path = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().context("a number")?.parse().context("a number");
        match arg.as_str() {
            "--seconds" => seconds = number()?,
            "--width" => width = number()?,
            "--height" => height = number()?,
            _ if path.is_none() => path = Some(PathBuf::from(arg)),
            other => bail!("unknown argument {other}; usage: mannequin [--seconds N] FILE.mp4"),
        }
    }
    let path = path.context("usage: mannequin [--seconds N] [--width N] [--height N] FILE.mp4")?;
    Clip::new()
        .size(width, height)
        .fps(FRAMES_PER_SECOND, 1)
        .frames(seconds * FRAMES_PER_SECOND)
        .encode(&path)
        .with_context(|| format!("cannot write {}", path.display()))
}
