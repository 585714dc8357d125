//! The options of one upload, part of [`crate::message::Start`].
//!
//! A new option is a field of [`Options`] and a row of [`OPTIONS`]. From the row follow form fields, query
//! parameters and flags, their help and error messages, and the options in `metadata.json`.

mod background;
mod blur;
mod contradiction;
mod crop;
mod filter;
mod height;
mod landmark_model;
mod low_pass;
mod mode;
mod part;
mod person;
mod row;
mod sampling;
mod thousandths;

pub use background::Background;
pub use blur::Blur;
pub use contradiction::Contradiction;
pub use crop::{Crop, NotACrop, PixelArea};
pub use filter::{Filter, Smoothing};
pub use height::{HEIGHT_M_MAX, HEIGHT_M_MIN};
pub use landmark_model::LandmarkModel;
pub use low_pass::LowPass;
pub use mode::Mode;
pub use part::{Part, TIME_S_MAX};
pub use person::{Click, NotAPerson, PERSON_NUMBER_MAX, PersonChoice};
pub use row::{OptionRow, Value, Values, alternatives};
pub use sampling::{
    FPS_MILLI_MAX, FPS_MILLI_MIN, FrameRate, INTERVAL_FRAMES_MAX, NotAFrameRate, Sampling,
};
pub use thousandths::{NotThousandths, Thousandths};

use crate::artefact::Artefact;
use crate::formats::Formats;
use serde::{Deserialize, Serialize};

/// Largest number of people followed at a time.
pub const PEOPLE_MAX: u32 = 5;

/// Most times that a video may play slower than life.
pub const SLOW_MOTION_MAX: u32 = 1000;

/// The options of one video.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Options {
    /// How poses are detected.
    pub mode: Mode,
    /// Which frames are processed.
    pub sampling: Sampling,
    /// How many people are followed at a time at most, from 1 to [`PEOPLE_MAX`].
    pub people_max: u32,
    /// How the movement of tracked people is filtered.
    #[serde(rename = "smoothing")]
    pub filter: Filter,
    /// What is written. A worker goes by [`crate::message::Start::artefacts`], which its
    /// descriptors follow; here it outlives a restart of the service with the rest.
    #[serde(default)]
    pub formats: Formats,
    /// What the skeletons are drawn on.
    #[serde(default)]
    pub background: Background,
    /// From which time of the file on frames are processed, in seconds.
    #[serde(default)]
    pub start: Option<Thousandths>,
    /// Up to which time of the file, in seconds; a frame at that time is not processed.
    #[serde(default)]
    pub end: Option<Thousandths>,
    /// Which area of the picture is processed.
    #[serde(default)]
    pub crop: Option<Crop>,
    /// How many times slower than life the video plays, from 1 to [`SLOW_MOTION_MAX`].
    #[serde(default = "life_speed")]
    pub slow_motion: Thousandths,
    /// Who is person 0, if somebody is chosen.
    #[serde(default)]
    pub person: Option<PersonChoice>,
    /// Which network finds the landmarks.
    #[serde(default)]
    pub model: LandmarkModel,
    /// What is made unrecognisable in videos and pictures.
    #[serde(default)]
    pub blur: Blur,
    /// How tall person 0 is, in metres, if positions in metres are asked for.
    #[serde(default)]
    pub height_m: Option<Thousandths>,
    /// How noise is removed if all frames are known.
    #[serde(default)]
    pub low_pass: LowPass,
}

/// A video that plays as fast as life.
const fn life_speed() -> Thousandths {
    Thousandths::ONE
}

impl Options {
    /// Whether results depend on frames that come later, so that the poses are recorded first and
    /// written in a second pass.
    pub const fn is_recorded(&self) -> bool {
        matches!(self.filter, Filter::Offline)
            || self.person.is_some()
            || matches!(self.blur, Blur::Faces)
            || self.height_m.is_some()
    }

    /// How many people are followed at a time at most: all that can be, if one of them is to be chosen.
    pub const fn followed_max(&self) -> u32 {
        if self.person.is_some() { PEOPLE_MAX } else { self.people_max }
    }

    /// Whether person 0 can be several people in turn, whom the tracks tell apart.
    pub const fn tells_people_by_track(&self) -> bool {
        self.people_max == 1 && self.person.is_none()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            sampling: Sampling::default(),
            people_max: 1,
            filter: Filter::default(),
            formats: Formats::default(),
            background: Background::default(),
            start: None,
            end: None,
            crop: None,
            slow_motion: life_speed(),
            person: None,
            model: LandmarkModel::default(),
            blur: Blur::default(),
            height_m: None,
            low_pass: LowPass::default(),
        }
    }
}

/// Every option.
pub static OPTIONS: [OptionRow; 17] = [
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
        values: Values::Number {
            unit: "frames per second",
            min: FPS_MILLI_MIN as f64 / 1000.0,
            max: FPS_MILLI_MAX as f64 / 1000.0,
        },
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
        name: "person",
        help: "Follow this person as number 0, also when others walk in front",
        values: Values::Person,
        value_name: "PERSON",
        excludes: None,
        set: |options, text| assign(&mut options.person, text.parse().ok().map(Some)),
        get: |options| options.person.map(|person| Value::List(person.to_string())),
    },
    OptionRow {
        name: "smoothing",
        help: "Smooth the movement of tracked people",
        values: Values::OneOf(|| Smoothing::ALL.map(Smoothing::name).into()),
        value_name: "SMOOTHING",
        excludes: None,
        set: |options, text| {
            let smoothing = named(&Smoothing::ALL, Smoothing::name, text);
            assign(&mut options.filter, smoothing.map(Smoothing::filter))
        },
        get: |options| match options.filter {
            Filter::Offline => None,
            filter => Some(Value::Name(filter.smoothing().name())),
        },
    },
    OptionRow {
        name: "filter",
        help: "Filter the movement of tracked people, while frames come in or once all are known",
        values: Values::OneOf(|| Filter::ALL.map(Filter::name).into()),
        value_name: "FILTER",
        excludes: Some("smoothing"),
        set: |options, text| assign(&mut options.filter, named(&Filter::ALL, Filter::name, text)),
        get: |options| Some(Value::Name(options.filter.name())),
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
    OptionRow {
        name: "start",
        help: "Process the video from this time on, by the file's own times",
        values: SECONDS,
        value_name: "SECONDS",
        excludes: None,
        set: |options, text| assign(&mut options.start, part::time(text)),
        get: |options| options.start.map(Value::decimal),
    },
    OptionRow {
        name: "end",
        help: "Process the video up to this time, by the file's own times",
        values: SECONDS,
        value_name: "SECONDS",
        excludes: None,
        set: |options, text| assign(&mut options.end, part::time(text)),
        get: |options| options.end.map(Value::decimal),
    },
    OptionRow {
        name: "crop",
        help: "Process only this area of the upright picture",
        values: Values::Area,
        value_name: "X,Y,WIDTH,HEIGHT",
        excludes: None,
        set: |options, text| assign(&mut options.crop, text.parse().ok().map(Some)),
        get: |options| options.crop.map(|crop| Value::List(crop.to_string())),
    },
    OptionRow {
        name: "slow_motion",
        help: "How many times slower than life the video plays",
        values: Values::Number { unit: "times", min: 1.0, max: SLOW_MOTION_MAX as f64 },
        value_name: "TIMES",
        excludes: None,
        set: |options, text| {
            let times = text.parse().ok().filter(|times: &Thousandths| {
                (1.0..=f64::from(SLOW_MOTION_MAX)).contains(&times.to_f64())
            });
            assign(&mut options.slow_motion, times)
        },
        get: |options| Some(Value::decimal(options.slow_motion)),
    },
    OptionRow {
        name: "model",
        help: "Landmark model",
        values: Values::OneOf(|| LandmarkModel::ALL.map(LandmarkModel::name).into()),
        value_name: "MODEL",
        excludes: None,
        set: |options, text| {
            assign(&mut options.model, named(&LandmarkModel::ALL, LandmarkModel::name, text))
        },
        get: |options| Some(Value::Name(options.model.name())),
    },
    OptionRow {
        name: "blur",
        help: "What is covered in videos and pictures (faces: the head of everybody who is found)",
        values: Values::OneOf(|| Blur::ALL.map(Blur::name).into()),
        value_name: "WHAT",
        excludes: None,
        set: |options, text| assign(&mut options.blur, named(&Blur::ALL, Blur::name, text)),
        get: |options| Some(Value::Name(options.blur.name())),
    },
    OptionRow {
        name: "height_m",
        help: "How tall person 0 is, for positions in metres",
        values: Values::Number { unit: "metres", min: HEIGHT_M_MIN, max: HEIGHT_M_MAX },
        value_name: "METRES",
        excludes: None,
        set: |options, text| assign(&mut options.height_m, height::height(text)),
        get: |options| options.height_m.map(Value::decimal),
    },
    OptionRow {
        name: "low_pass",
        help: "How filter=offline removes noise",
        values: Values::OneOf(|| LowPass::ALL.map(LowPass::name).into()),
        value_name: "FILTER",
        excludes: None,
        set: |options, text| {
            assign(&mut options.low_pass, named(&LowPass::ALL, LowPass::name, text))
        },
        get: |options| Some(Value::Name(options.low_pass.name())),
    },
];

/// A time in the file.
const SECONDS: Values = Values::Number { unit: "seconds", min: 0.0, max: TIME_S_MAX as f64 };

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

#[cfg(test)]
mod tests;
