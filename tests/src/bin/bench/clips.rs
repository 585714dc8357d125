//! The videos of the benchmark, made once and kept in target/bench/clips.

use crate::paths::bench_folder;
use anyhow::{Context, Result, ensure};
use bodyscript_tests::fixture::{Clip, Codec, Container};
use bodyscript_tests::recorded_footage;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A picture size and the frames of a clip of it.
pub(crate) const SIZES: [(&str, u32, u32, u32); 4] = [
    ("480p", 854, 480, 230),
    ("720p", 1280, 720, 230),
    ("1080p", 1920, 1080, 120),
    ("4K", 3840, 2160, 60),
];

/// Codecs with their containers.
pub(crate) const CODECS: [(&str, Codec, Container, &str); 5] = [
    ("H.264", Codec::H264, Container::Mp4, "mp4"),
    ("H.265", Codec::H265, Container::Mp4, "mp4"),
    ("VP9", Codec::Vp9, Container::WebM, "webm"),
    ("AV1", Codec::Av1, Container::Matroska, "mkv"),
    ("MPEG-4 part 2", Codec::Mpeg4, Container::Avi, "avi"),
];

/// Frames of the clips of several codecs.
const CODEC_FRAMES: u32 = 90;

/// What the clips of several sizes show.
pub(crate) fn subject() -> &'static str {
    if footage().is_some() { "a recorded person" } else { "a rendered figure" }
}

fn footage() -> Option<PathBuf> {
    recorded_footage::find("media/person_720p.mp4")
}

/// The clip of one of [`SIZES`], H.264.
pub(crate) fn sized((name, width, height, frames): (&str, u32, u32, u32)) -> Result<PathBuf> {
    let Some(footage) = footage() else {
        let clip = Clip::new().size(width, height).frames(frames);
        return kept(&format!("figure-{name}.mp4"), |path| clip.encode(path));
    };
    if name == "720p" {
        return Ok(footage);
    }
    kept(&format!("person-{name}.mp4"), |path| {
        let described = format!(
            "filesrc location={} ! decodebin ! identity eos-after={frames} ! videoconvert \
             ! videoscale ! video/x-raw,width={width},height={height},pixel-aspect-ratio=1/1 \
             ! x264enc speed-preset=veryfast pass=qual quantizer=24 key-int-max=60 ! h264parse \
             ! mp4mux ! filesink location={}",
            footage.display(),
            path.display()
        );
        let mut command = Command::new("gst-launch-1.0");
        let output = command.arg("-q").args(described.split_whitespace()).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{described}: {error}");
        Ok(())
    })
}

/// The clip of one of [`CODECS`], 720p.
pub(crate) fn coded(
    (name, codec, container, extension): (&str, Codec, Container, &str),
) -> Result<PathBuf> {
    let clip = Clip::new().size(1280, 720).frames(CODEC_FRAMES).codec(codec).container(container);
    kept(&format!("figure-{}.{extension}", name.replace(' ', "-")), |path| clip.encode(path))
}

/// A clip of this size and codec.
pub(crate) fn sized_and_coded(
    (size, width, height, frames): (&str, u32, u32, u32),
    (name, codec, container, extension): (&str, Codec, Container, &str),
) -> Result<PathBuf> {
    let clip = Clip::new().size(width, height).frames(frames);
    let clip = clip.codec(codec).container(container);
    let file = format!("memory-{size}-{}.{extension}", name.replace([' ', ','], "-"));
    kept(&file, |path| clip.encode(path))
}

/// 320x240.
pub(crate) fn small(frames: u32) -> Result<PathBuf> {
    kept(&format!("figure-{frames}.mp4"), |path| Clip::new().frames(frames).encode(path))
}

/// A file that is made if it does not exist; never partially.
fn kept(name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let folder = bench_folder().join("clips");
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    if !path.exists() {
        let partial = folder.join(format!("partial-{name}"));
        make(&partial).with_context(|| format!("making {name}"))?;
        fs::rename(partial, &path)?;
    }
    Ok(path)
}
