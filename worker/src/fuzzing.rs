//! What reads a client's video without a library, as a function of the file, for the fuzz targets in `tests/fuzz`. It may
//! not panic, whatever the file is.

use crate::video::has_sound_mp4_structure;
use std::fs::File;

/// The structure of an MP4.
pub fn mp4_structure(file: &File) {
    let _ = has_sound_mp4_structure(file);
}
