//! The requested artefacts of one upload. Parsed by the supervisor, with the same names for forms,
//! queries and the command line.

use crate::artefact::Artefact;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A set of artefacts, never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Formats(u32);

impl Formats {
    /// Every artefact.
    pub const ALL: Self = {
        let mut bits = 0;
        let mut i = 0;
        while i < Artefact::ALL.len() {
            bits |= bit(Artefact::ALL[i]);
            i += 1;
        }
        Self(bits)
    };
    /// The artefacts written by default.
    pub const DEFAULT: Self = {
        let mut bits = 0;
        let mut i = 0;
        while i < Artefact::ALL.len() {
            if Artefact::ALL[i].is_default() {
                bits |= bit(Artefact::ALL[i]);
            }
            i += 1;
        }
        Self(bits)
    };

    /// Whether the artefact is requested.
    pub const fn contains(self, artefact: Artefact) -> bool {
        self.0 & bit(artefact) != 0
    }

    /// The artefacts, in the order of [`Artefact::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Artefact> {
        Artefact::ALL.into_iter().filter(move |artefact| self.contains(*artefact))
    }
}

const fn bit(artefact: Artefact) -> u32 {
    1 << artefact as u32
}

const _: () = assert!(Artefact::ALL.len() <= u32::BITS as usize);

impl Default for Formats {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl From<Formats> for u32 {
    fn from(formats: Formats) -> Self {
        formats.0
    }
}

impl TryFrom<u32> for Formats {
    type Error = UnknownFormat;

    fn try_from(bits: u32) -> Result<Self, UnknownFormat> {
        let is_known = bits != 0 && bits & !Self::ALL.0 == 0;
        if is_known { Ok(Self(bits)) } else { Err(UnknownFormat) }
    }
}

impl fmt::Display for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(Artefact::name).collect();
        f.write_str(&names.join(","))
    }
}

impl FromStr for Formats {
    type Err = UnknownFormat;

    fn from_str(list: &str) -> Result<Self, UnknownFormat> {
        let mut bits = 0;
        for name in list.split(',').map(str::trim) {
            bits |= match name {
                "all" => Self::ALL.0,
                "default" => Self::DEFAULT.0,
                name => bit(Artefact::from_name(name).ok_or(UnknownFormat)?),
            };
        }
        Self::try_from(bits)
    }
}

/// A list with an unknown format, or an empty one.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "unknown format; give one or more, separated by commas, of {}, default or all",
    Artefact::ALL.map(Artefact::name).join(", ")
)]
pub struct UnknownFormat;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_parsed_in_any_order_and_printed_in_one() {
        let formats: Formats = "trc, csv,trc".parse().expect("known");
        assert_eq!(formats.to_string(), "csv,trc");
        assert!(formats.contains(Artefact::Trc) && !formats.contains(Artefact::Video));
        assert_eq!("all".parse(), Ok(Formats::ALL));
        assert_eq!("default".parse(), Ok(Formats::DEFAULT));
        let more = Formats::DEFAULT.to_string() + ",people";
        assert_eq!("people,default".parse::<Formats>().map(|it| it.to_string()), Ok(more));
        assert_eq!(Formats::ALL.to_string().parse(), Ok(Formats::ALL));
        for wrong in ["", ",", "csv,", "mp3", "CSV", "csv;trc"] {
            assert_eq!(wrong.parse::<Formats>(), Err(UnknownFormat), "{wrong:?}");
        }
    }

    #[test]
    fn unknown_artefacts_are_refused() {
        assert_eq!(Formats::try_from(0), Err(UnknownFormat));
        assert_eq!(Formats::try_from(Formats::ALL.0 + 1), Err(UnknownFormat));
        assert_eq!(Formats::try_from(1).map(|formats| formats.to_string()), Ok("video".into()));
    }

    #[test]
    fn the_default_is_what_the_table_says() {
        let default = "video,csv,json,thumbnail,preview,metadata";
        assert_eq!(Formats::DEFAULT.to_string(), default);
        let others = "openpose,trc,parquet,angles,clean,c3d,mot,coco,ndjson,bvh,glb,people";
        assert_eq!(Formats::ALL.to_string(), format!("{default},{others}"));
    }

    #[test]
    fn the_error_names_every_format() {
        let said = UnknownFormat.to_string();
        assert!(Artefact::ALL.iter().all(|artefact| said.contains(artefact.name())), "{said}");
    }
}
