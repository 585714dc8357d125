//! The functions that the fuzz targets call.

pub mod targets;
