//! Initialises GStreamer with an explicit list of plugins and elements: no plugin registry is read,
//! written or scanned, and no process is forked. Called once, before the sandbox closes; nothing is
//! loaded afterwards.

use super::error::VideoError;
use super::{formats, library_log, sound};
use gstreamer as gst;
use gstreamer::prelude::*;

/// Plugin files that are loaded.
const PLUGINS: &[&str] = &[
    "coreelements",      // typefind, capsfilter, fdsink
    "app",               // appsrc, appsink: where pictures enter and leave
    "typefindfunctions", // recognises containers by their first bytes
    "isomp4",            // MP4, MOV; and the muxer
    "matroska",          // MKV, WebM
    "avi",               // AVI
    "asf",               // WMV
    "mpegtsdemux",       // MPEG transport streams
    "mpegpsdemux",       // MPEG program streams
    "flv",               // FLV
    "ogg",               // OGV
    "theora",            // its decoder, which libav's plugin leaves out
    "mxf",               // MXF
    "png",               // the decoder of pictures in QuickTime files
    "videoparsersbad",   // picture sizes and framing of most codecs
    "jpegformat",        // the same for Motion JPEG
    "libav",             // decoders, and the audio encoder
    "aom",               // the AV1 decoder
    "deinterlace",       // interlaced footage
    "videoconvertscale", // other pixel formats, non-square pixels
    "videofilter",       // videoflip: rotation
    "x264",              // the video encoder
    "audioparsers",      // packets of sound, and their durations
    "opusparse",         // the same for Opus
    "opus",              // audio decoders that libav lacks
    "vorbis",
    "alaw",
    "mulaw",
    "adpcmdec",
    "amrwbdec",
    "audiobuffersplit", // long pieces of PCM
    "audioconvert",     // sample formats and channels of the encoder
    "audioresample",    // sample rates of the encoder
];

/// Elements that are kept besides those of `formats` and `sound`.
const ELEMENTS: &[&str] = &[
    "pipeline",          // contains a graph
    "bin",               // base of pipeline
    "typefind",          // recognises the container
    "queue",             // makes a demuxer read sequentially
    "capsfilter",        // requests framing and size
    "deinterlace",       // converts fields to frames
    "videoconvertscale", // makes pixels square and planar
    "videoflip",         // rotates the picture
    "appsink",           // outputs pictures
    "appsrc",            // inputs pictures, and the bytes of the video
    "x264enc",           // encodes the video
    "mp4mux",            // muxes it
    "fdsink",            // writes it
    "tee",               // passes sound to a decoder as well
    "fakesink",          // discards data
    "audioconvert",      // converts samples for the encoder
    "audioresample",     // converts sample rates
];

/// Elements of nearly every job.
const COMMON: &[&str] = &[
    "typefind",
    "qtdemux",
    "h264parse",
    "avdec_h264",
    "capsfilter",
    "deinterlace",
    "videoconvertscale",
    "appsink",
    "appsrc",
    "x264enc",
    "mp4mux",
    "fdsink",
];

/// The kept type finders: those of the containers in `formats`.
const TYPE_FINDERS: &[&str] = &[
    "video/quicktime",  // also finds application/x-3gp and audio/x-m4a
    "video/x-matroska", // also finds WebM
    "video/x-msvideo",
    "video/x-ms-asf",
    "video/mpegts",
    "video/mpeg-sys",
    "image/jp2", // finds video/mj2
    "video/x-flv",
    "application/ogg", // also finds video/ogg
    "application/mxf",
    "video/x-h264",
    "video/x-h265",
];

/// Read by GStreamer and its libraries when they start.
const ENVIRONMENT: &[(&str, &str)] = &[
    // Neither the plugin cache nor the plugin folders are read.
    ("GST_REGISTRY_DISABLE", "yes"),
    // Orc, the vector library of the plugins, would generate machine code at first use, in memory
    // that is writable and executable, which the closed sandbox denies. It falls back to plain C.
    ("ORC_CODE", "backup"),
];

/// Initialises GStreamer: loads the plugins and removes all that is not listed.
///
/// To be called once, before there are threads and before the sandbox closes: it reads plugin files
/// and sets environment variables.
///
/// # Errors
/// GStreamer, a plugin or an element is missing or cannot be initialised.
pub fn load() -> Result<(), VideoError> {
    set_environment();
    library_log::install();
    gst::init().map_err(VideoError::Init)?;
    library_log::enable_error_messages();
    let folder = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0", std::env::consts::ARCH);
    for name in PLUGINS {
        let path = format!("{folder}/libgst{name}.so");
        gst::Plugin::load_file(&path).map_err(|cause| VideoError::Plugin { path, cause })?;
    }
    prune();
    elements().try_for_each(|name| {
        gst::ElementFactory::find(name).map(drop).ok_or(VideoError::Element(name))
    })?;
    for name in COMMON {
        // Creating the first of its kind takes milliseconds, which saves the job that time.
        gst::ElementFactory::make(name).build().map_err(|_| VideoError::Element(name))?;
    }
    Ok(())
}

/// Every element that is kept.
fn elements() -> impl Iterator<Item = &'static str> {
    formats::elements().chain(sound::elements()).chain(ELEMENTS.iter().copied())
}

/// Removes the elements and type finders that are not listed. libav alone has some six hundred
/// elements, among them demuxers of rare formats.
fn prune() {
    let registry = gst::Registry::get();
    let elements: Vec<_> = elements().collect();
    let is_listed = |feature: &gst::PluginFeature| {
        let name = feature.name();
        if feature.is::<gst::ElementFactory>() {
            elements.contains(&name.as_str())
        } else {
            TYPE_FINDERS.contains(&name.as_str())
        }
    };
    for feature in registry.features_filtered(|feature| !is_listed(feature), false) {
        registry.remove_feature(&feature);
    }
}

#[allow(unsafe_code)]
fn set_environment() {
    for (name, value) in ENVIRONMENT {
        // SAFETY: no other thread exists yet that could read the environment.
        unsafe { std::env::set_var(name, value) };
    }
}
