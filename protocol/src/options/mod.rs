//! The options of one upload, part of [`crate::message::Start`].
//!
//! A new option is a field of [`Options`] and a row of [`OPTIONS`]. From the row follow form fields, query
//! parameters and flags, their help and error messages, and the options in `metadata.json`.

mod row;
mod sampling;

pub use row::{OptionRow, Value, Values, alternatives};
pub use sampling::{
    FPS_MILLI_MAX, FPS_MILLI_MIN, FrameRate, INTERVAL_FRAMES_MAX, NotAFrameRate, Sampling,
};

use crate::artefact::Artefact;
use crate::formats::Formats;
use serde::{Deserialize, Serialize};

/// Largest number of people followed at a time.
pub const PEOPLE_MAX: u32 = 5;

/// The options of one video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// How poses are detected.
    pub mode: Mode,
    /// Which frames are processed.
    pub sampling: Sampling,
    /// How many people are followed at a time at most, from 1 to [`PEOPLE_MAX`].
    pub people_max: u32,
    /// Whether the movement of a tracked person is smoothed.
    pub smoothing: Smoothing,
    /// What is written. A worker goes by [`crate::message::Start::artefacts`], which its
    /// descriptors follow; here it outlives a restart of the service with the rest.
    #[serde(default)]
    pub formats: Formats,
    /// What the skeletons are drawn on.
    #[serde(default)]
    pub background: Background,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            sampling: Sampling::default(),
            people_max: 1,
            smoothing: Smoothing::default(),
            formats: Formats::default(),
            background: Background::default(),
        }
    }
}

/// Every option.
pub static OPTIONS: [OptionRow; 7] = [
    OptionRow {
        name: "mode",
        help: "Detection mode",
        values: Values::OneOf(|| Mode::ALL.map(Mode::name).into()),
        value_name: "MODE",
        excludes: None,
        set: |options, text| assign(&mut options.mode, named(&Mode::ALL, Mode::name, text)),
        get: |options| Some(Value::Name(options.mode.name())),
    },
    OptionRow {
        name: "interval",
        help: "Process every n-th frame",
        values: Values::Whole(1, INTERVAL_FRAMES_MAX),
        value_name: "N",
        excludes: None,
        set: |options, text| {
            assign(&mut options.sampling, text.parse().ok().and_then(Sampling::every))
        },
        get: |options| options.sampling.interval().map(Value::Whole),
    },
    OptionRow {
        name: "fps",
        help: "Process this many frames per second",
        values: Values::Rate(FPS_MILLI_MIN as f64 / 1000.0, FPS_MILLI_MAX as f64 / 1000.0),
        value_name: "RATE",
        excludes: Some("interval"),
        set: |options, text| assign(&mut options.sampling, text.parse().ok().map(Sampling::Rate)),
        get: |options| options.sampling.fps().map(Value::Number),
    },
    OptionRow {
        name: "max_people",
        help: "Maximum number of people to track",
        values: Values::Whole(1, PEOPLE_MAX),
        value_name: "N",
        excludes: None,
        set: |options, text| {
            let people = text.parse().ok().filter(|n| (1..=PEOPLE_MAX).contains(n));
            assign(&mut options.people_max, people)
        },
        get: |options| Some(Value::Whole(options.people_max)),
    },
    OptionRow {
        name: "smoothing",
        help: "Smooth the movement of tracked people",
        values: Values::OneOf(|| Smoothing::ALL.map(Smoothing::name).into()),
        value_name: "SMOOTHING",
        excludes: None,
        set: |options, text| {
            assign(&mut options.smoothing, named(&Smoothing::ALL, Smoothing::name, text))
        },
        get: |options| Some(Value::Name(options.smoothing.name())),
    },
    OptionRow {
        name: "formats",
        help: "Output formats, separated by commas",
        values: Values::ListOf(|| Artefact::ALL.map(Artefact::name).into()),
        value_name: "LIST",
        excludes: None,
        set: |options, text| assign(&mut options.formats, text.parse().ok()),
        get: |options| Some(Value::List(options.formats.to_string())),
    },
    OptionRow {
        name: "background",
        help: "What the skeletons are drawn on (skeleton: nothing but the skeleton, on black)",
        values: Values::OneOf(|| Background::ALL.map(Background::name).into()),
        value_name: "BACKGROUND",
        excludes: None,
        set: |options, text| {
            assign(&mut options.background, named(&Background::ALL, Background::name, text))
        },
        get: |options| Some(Value::Name(options.background.name())),
    },
];

/// The value with this name.
fn named<T: Copy>(all: &[T], name_of: fn(T) -> &'static str, name: &str) -> Option<T> {
    all.iter().copied().find(|value| name_of(*value) == name)
}

/// Sets the field if there is a value.
fn assign<T>(field: &mut T, value: Option<T>) -> bool {
    let is_valid = value.is_some();
    if let Some(value) = value {
        *field = value;
    }
    is_valid
}

/// How poses are detected in the frames.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Follow the person from frame to frame; detect again only when the track is lost.
    #[default]
    Track,
    /// Each frame alone, best of 3 pictures.
    UltraFast,
    /// Each frame alone, best of 6 pictures.
    Fast,
    /// Each frame alone, 3 to 7 pictures depending on their scores.
    Smart,
    /// Each frame alone, best of all 10 pictures.
    Quality,
    /// Each frame alone, as it is.
    Static,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 6] =
        [Self::Track, Self::UltraFast, Self::Fast, Self::Smart, Self::Quality, Self::Static];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Track => "track",
            Self::UltraFast => "ultra_fast",
            Self::Fast => "fast",
            Self::Smart => "smart",
            Self::Quality => "quality",
            Self::Static => "static",
        }
    }
}

/// Whether the movement of a tracked person is smoothed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Smoothing {
    /// Jitter is filtered; fast movement is still followed.
    #[default]
    On,
    /// The models' output, unfiltered.
    Off,
}

impl Smoothing {
    /// Both.
    pub const ALL: [Self; 2] = [Self::On, Self::Off];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::On => "on",
            Self::Off => "off",
        }
    }
}

/// What the skeletons are drawn on in the videos and pictures of the results.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Background {
    /// The frames of the video.
    #[default]
    Video,
    /// Black, so that nobody is recognised.
    Skeleton,
    /// White.
    SkeletonWhite,
}

impl Background {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Video, Self::Skeleton, Self::SkeletonWhite];

    /// The name used in the API, on the command line and in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Video => "video",
            Self::Skeleton => "skeleton",
            Self::SkeletonWhite => "skeleton_white",
        }
    }

    /// The colour in red, green and blue that replaces the frames.
    pub const fn colour(self) -> Option<[u8; 3]> {
        match self {
            Self::Video => None,
            Self::Skeleton => Some([0; 3]),
            Self::SkeletonWhite => Some([255; 3]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> &'static OptionRow {
        OPTIONS.iter().find(|row| row.name == name).expect("an option")
    }

    #[test]
    fn names_are_read_back() {
        for row in &OPTIONS {
            if let Values::OneOf(names) = row.values {
                for name in names() {
                    let mut options = Options::default();
                    assert!((row.set)(&mut options, name), "{name}");
                    assert_eq!((row.get)(&options), Some(Value::Name(name)));
                }
            }
        }
        let mut options = Options::default();
        assert!(!(row("mode").set)(&mut options, "Track"));
        assert!(!(row("smoothing").set)(&mut options, "yes"));
        assert_eq!(options, Options::default(), "a refused value changes nothing");
    }

    #[test]
    fn every_option_is_set_to_the_value_that_is_read() {
        for (name, text) in [
            ("mode", "static"),
            ("interval", "7"),
            ("fps", "12.5"),
            ("max_people", "4"),
            ("smoothing", "off"),
            ("formats", "csv,trc"),
            ("background", "skeleton"),
        ] {
            let mut options = Options::default();
            assert!((row(name).set)(&mut options, text), "{name}");
            assert_eq!((row(name).get)(&options).map(|value| value.to_string()), Some(text.into()));
            assert_ne!(options, Options::default(), "{name}");
        }
        assert!(OPTIONS.iter().all(|row| row.excludes.is_none_or(|other| other != row.name)));
    }

    #[test]
    fn numbers_are_accepted_at_their_limits_and_refused_beyond_them() {
        let accepts = |name, text: &str| (row(name).set)(&mut Options::default(), text);
        for (name, least, most) in
            [("interval", 1, INTERVAL_FRAMES_MAX), ("max_people", 1, PEOPLE_MAX)]
        {
            assert!(
                accepts(name, &least.to_string()) && accepts(name, &most.to_string()),
                "{name}"
            );
            assert!(!accepts(name, &(least - 1).to_string()), "{name}");
            assert!(!accepts(name, &(most + 1).to_string()), "{name}");
        }
        assert_eq!(row("fps").values.to_string(), "a number of frames per second from 0.1 to 240");
        assert!(accepts("fps", "0.1") && accepts("fps", "240") && !accepts("fps", "241"));
    }
}
