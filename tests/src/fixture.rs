//! Video files for tests: renders a mannequin and encodes it with GStreamer in the requested container, codec,
//! size, length and timing. Called by tests and benchmarks. Pictures and times depend only on the [`Clip`];
//! the bytes of a file may differ, because muxers write the time and random identifiers.

mod animation;
mod decode;
mod degradation;
mod encode;
pub mod footage;
mod format;
mod light;
mod surgery;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::mannequin::{Camera, RgbImage, Scene, TrueLandmark, project};

pub use decode::{Decoded, decode};
pub use format::{Codec, Container, MATRIX};

/// Where an MP4 or QuickTime file keeps its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moov {
    /// Before the media: playable during the download.
    Front,
    /// After the media, as cameras write it.
    End,
}

/// The tracks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracks {
    /// Pictures only.
    Video,
    /// Pictures and a sine tone.
    VideoAndAudio,
    /// Pictures, followed by a sine tone of 1.5 MB per second; QuickTime only.
    VideoThenAudio,
    /// A sine tone only, as long as the pictures would have been.
    Audio,
}

/// How a player must transform the stored pictures to show them upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// Nothing: the file carries no rotation.
    None,
    /// Rotate by 90 degrees clockwise, as for a phone held upright.
    Clockwise90,
    /// Rotate by 180 degrees.
    Half,
    /// Rotate by 90 degrees anticlockwise.
    Anticlockwise90,
    /// Mirror left to right, as for a selfie.
    Mirrored,
}

/// A recipe for one video file.
///
/// Starts as one second of a walking person, 320x240 at 30 frames/s, H.264 in MP4.
#[derive(Debug, Clone)]
pub struct Clip {
    width: u32,
    height: u32,
    frames: u32,
    fps: (u32, u32),
    times: Option<Vec<Duration>>,
    container: Container,
    codec: Codec,
    footage: fn(Duration) -> Scene,
    light: f64,
    blur: u32,
    yaw: f32,
    moov: Moov,
    tracks: Tracks,
    rotation: Rotation,
    hidden: u32,
    sound_start: SoundStart,
    padded: usize,
    kept: f64,
}

/// What the first packet of the sound holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SoundStart {
    /// Sound.
    Heard,
    /// Nothing, as some encoders of AAC begin: a packet without a channel in it. MP4 only.
    Empty,
}

impl Default for Clip {
    fn default() -> Self {
        Self {
            width: 320,
            height: 240,
            frames: 30,
            fps: (30, 1),
            times: None,
            container: Container::Mp4,
            codec: Codec::H264,
            footage: footage::walking,
            light: 1.0,
            blur: 0,
            yaw: 0.2,
            moov: Moov::End,
            tracks: Tracks::Video,
            rotation: Rotation::None,
            hidden: 0,
            sound_start: SoundStart::Heard,
            padded: 0,
            kept: 1.0,
        }
    }
}

impl Clip {
    /// The default recipe.
    pub fn new() -> Self {
        Self::default()
    }

    /// Size in pixels of the upright picture.
    #[must_use]
    pub fn size(self, width: u32, height: u32) -> Self {
        Self { width, height, ..self }
    }

    /// Number of frames; 0 makes a file whose video track is empty.
    #[must_use]
    pub fn frames(self, frames: u32) -> Self {
        Self { frames, ..self }
    }

    /// Frames per second, as a fraction.
    #[must_use]
    pub fn fps(self, numerator: u32, denominator: u32) -> Self {
        Self { fps: (numerator, denominator), ..self }
    }

    /// A presentation time for each frame, rising, in place of a steady frame rate; also sets the
    /// number of frames.
    #[must_use]
    pub fn times(self, times: Vec<Duration>) -> Self {
        Self { frames: times.len() as u32, times: Some(times), ..self }
    }

    /// The file format.
    #[must_use]
    pub fn container(self, container: Container) -> Self {
        Self { container, ..self }
    }

    /// The video coding.
    #[must_use]
    pub fn codec(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// The scene at each presentation time, such as [`footage::walking`].
    #[must_use]
    pub fn footage(self, footage: fn(Duration) -> Scene) -> Self {
        Self { footage, ..self }
    }

    /// Scales the values of all pixels by this share, 0..=1, as an exposure that is too short.
    #[must_use]
    pub fn light(self, light: f64) -> Self {
        Self { light, ..self }
    }

    /// Blurs the pictures by three means over this many pixels in each direction, as a lens out of focus.
    #[must_use]
    pub fn blur(self, blur: u32) -> Self {
        Self { blur, ..self }
    }

    /// The camera's yaw in radians, see [`Camera`].
    #[must_use]
    pub fn yaw(self, yaw: f32) -> Self {
        Self { yaw, ..self }
    }

    /// Where the index goes; MP4 and QuickTime only.
    #[must_use]
    pub fn moov(self, moov: Moov) -> Self {
        Self { moov, ..self }
    }

    /// Which tracks the file has.
    #[must_use]
    pub fn tracks(self, tracks: Tracks) -> Self {
        Self { tracks, ..self }
    }

    /// Stores the pictures rotated, with the rotation in the file; MP4 and QuickTime only.
    #[must_use]
    pub fn rotation(self, rotation: Rotation) -> Self {
        Self { rotation, ..self }
    }

    /// Hides the first frames by an edit list, which gives them negative times; MP4 and QuickTime only.
    #[must_use]
    pub fn hidden(self, hidden: u32) -> Self {
        Self { hidden, ..self }
    }

    /// What the first packet of the sound holds.
    #[must_use]
    pub fn sound_start(self, sound_start: SoundStart) -> Self {
        Self { sound_start, ..self }
    }

    /// Size of the file in bytes, of which the video may be a small part; MP4 and QuickTime only.
    #[must_use]
    pub fn padded(self, padded: usize) -> Self {
        Self { padded, ..self }
    }

    /// Cuts the finished file off after this fraction of its bytes, 0..=1.
    #[must_use]
    pub fn truncated(self, kept: f64) -> Self {
        Self { kept, ..self }
    }

    /// Presentation time of frame `n`, counted from the first frame.
    pub fn time(&self, n: u32) -> Duration {
        match &self.times {
            Some(times) => times[n as usize],
            None => self.steady(n),
        }
    }

    /// The camera the clip is filmed with.
    pub fn camera(&self) -> Camera {
        Camera::new(self.width, self.height).with_yaw(self.yaw)
    }

    /// The true landmarks of each person in frame `n`, in the upright picture.
    pub fn truth(&self, n: u32) -> Vec<Vec<TrueLandmark>> {
        let scene = (self.footage)(self.time(n));
        scene.figures.iter().map(|figure| project(figure, &self.camera())).collect()
    }

    /// Frame `n` before encoding, upright.
    pub fn picture(&self, n: u32) -> Arc<RgbImage> {
        self.picture_at(self.time(n))
    }

    fn picture_at(&self, time: Duration) -> Arc<RgbImage> {
        let mut picture = footage::picture(&(self.footage)(time), &self.camera());
        if self.light < 1.0 {
            degradation::darken(Arc::make_mut(&mut picture), self.light);
        }
        if self.blur > 0 {
            degradation::blur(Arc::make_mut(&mut picture), self.blur as usize);
        }
        picture
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If the container does not support the clip, or GStreamer fails to encode it.
    pub fn encode(&self, path: &Path) -> Result<()> {
        self.check()?;
        match self.container {
            Container::Gif => animation::gif(self, path)?,
            Container::Apng => animation::apng(self, path)?,
            _ => encode::encode(self, path)?,
        }
        surgery::rotate(path, self.rotation)?;
        surgery::hide(path, self.steady(self.hidden))?;
        if self.sound_start == SoundStart::Empty {
            surgery::empty_first_packet(path)?;
        }
        surgery::pad(path, self.padded)?;
        surgery::truncate(path, self.kept)
    }

    /// From the first frame to the end of the last.
    fn duration(&self) -> Duration {
        match &self.times {
            Some(times) => times.last().map_or(Duration::ZERO, |last| *last + self.steady(1)),
            None => self.steady(self.frames),
        }
    }

    /// Time of frame `n` at the steady frame rate.
    fn steady(&self, n: u32) -> Duration {
        let (numerator, denominator) = self.fps;
        Duration::from_secs(u64::from(n) * u64::from(denominator)) / numerator
    }

    fn check(&self) -> Result<()> {
        let isobmff = matches!(self.container, Container::Mp4 | Container::Mov);
        ensure!(
            self.sound_start == SoundStart::Heard
                || (self.container == Container::Mp4 && self.tracks == Tracks::VideoAndAudio),
            "only the AAC of an MP4 begins with an empty packet"
        );
        ensure!(
            isobmff
                || (self.moov == Moov::End
                    && self.rotation == Rotation::None
                    && (self.hidden, self.padded) == (0, 0)),
            "only MP4 and QuickTime have a moov to place or to change, and boxes to fill"
        );
        ensure!(
            self.tracks == Tracks::Video
                || !matches!(self.container, Container::Gif | Container::Apng | Container::Y4m),
            "animations and Y4M have no sound"
        );
        ensure!(
            self.tracks != Tracks::VideoThenAudio || self.container == Container::Mov,
            "only the muxer of QuickTime can write tracks one after another"
        );
        ensure!(
            self.frames > 0 || isobmff || self.container == Container::Avi,
            "an empty video track is possible in MP4, QuickTime and AVI only"
        );
        Ok(())
    }
}
