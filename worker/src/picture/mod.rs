//! A picture in memory, as it is between decoding, inference and encoding: planes of luma and
//! chroma, as codecs store them. RGB is computed for single pixels ([`Pixels`]), for small
//! pictures, and for whole ones only where an enhancement needs it ([`RgbPicture`]).

pub mod colour;
mod layout;
mod pixels;
mod planes;
mod rgb;

pub use layout::{Layout, SampleRange, Subsampling};
pub use pixels::{Levels, Pixels, Positions};
pub(crate) use pixels::{ONE, blend};
pub use planes::Picture;
pub use rgb::RgbPicture;
