//! Starts GStreamer with an explicit list of plugins and elements, and nothing else: no plugin
//! registry is read, written or scanned, and no process is forked. Called once by `video::init`,
//! before the sandbox closes; nothing is loaded afterwards.

use super::error::VideoError;
use super::{formats, library_log, sound};
use gstreamer as gst;
use gstreamer::prelude::*;

/// Plugin files that are loaded.
const PLUGINS: &[&str] = &[
    "coreelements",      // typefind, capsfilter, fdsink
    "app",               // appsrc, appsink: where pictures leave and enter
    "typefindfunctions", // tells containers apart by their first bytes
    "isomp4",            // MP4, MOV; and the muxer of results
    "matroska",          // MKV, WebM
    "avi",               // AVI
    "asf",               // WMV
    "mpegtsdemux",       // MPEG transport streams
    "mpegpsdemux",       // MPEG program streams
    "videoparsersbad",   // picture sizes and framing of most codecs
    "jpegformat",        // the same for Motion JPEG
    "libav",             // decoders, and the encoder of sound
    "aom",               // the AV1 decoder
    "deinterlace",       // interlaced footage
    "videoconvertscale", // unusual pixel formats, oblong pixels
    "videofilter",       // videoflip: footage held sideways
    "x264",              // the encoder of results
    "audioparsers",      // packets of sound, and how long they are
    "opusparse",         // the same for Opus
    "opus",              // the decoders of sound that libav lacks
    "vorbis",
    "alaw",
    "mulaw",
    "adpcmdec",
    "amrwbdec",
    "audiobuffersplit", // long pieces of PCM
    "audioconvert",     // samples and channels as the encoder takes them
    "audioresample",    // rates as well
];

/// Elements that are kept besides those that `formats` and `sound` name.
const ELEMENTS: &[&str] = &[
    "pipeline",          // holds a graph
    "bin",               // what a pipeline is made from
    "typefind",          // recognises its container
    "queue",             // has a demuxer read from front to back
    "capsfilter",        // states the framing and the size wanted
    "deinterlace",       // makes frames of fields
    "videoconvertscale", // makes pixels square and planar
    "videoflip",         // turns the picture upright
    "appsink",           // gives pictures
    "appsrc",            // takes pictures, and the bytes of the video
    "x264enc",           // encodes results
    "mp4mux",            // wraps them
    "fdsink",            // writes them
    "tee",               // gives sound to a decoder as well
    "fakesink",          // takes what nobody wants
    "audioconvert",      // makes samples as the encoder takes them
    "audioresample",     // and as many a second
];

/// Elements of nearly every job.
const USUAL: &[&str] = &[
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

/// Type finders that are kept: those of the containers in `formats`.
const TYPE_FINDERS: &[&str] = &[
    "video/quicktime",  // also finds application/x-3gp and audio/x-m4a
    "video/x-matroska", // also finds WebM
    "video/x-msvideo",
    "video/x-ms-asf",
    "video/mpegts",
    "video/mpeg-sys",
];

/// Read by GStreamer and its libraries when they start.
const ENVIRONMENT: &[(&str, &str)] = &[
    // Neither the plugin cache nor the plugin folders are looked at.
    ("GST_REGISTRY_DISABLE", "yes"),
    // Orc, the vector library of the plugins, would make machine code at first use, in memory
    // that is writable and executable; the sandbox is closed by then. It has plain C for all of it.
    ("ORC_CODE", "backup"),
];

/// Loads the plugins and removes all that is not listed. Must run before there are threads.
pub(super) fn load() -> Result<(), VideoError> {
    set_environment();
    library_log::install();
    gst::init().map_err(VideoError::Init)?;
    library_log::listen_to_errors();
    let folder = format!("/usr/lib/{}-linux-gnu/gstreamer-1.0", std::env::consts::ARCH);
    for name in PLUGINS {
        let path = format!("{folder}/libgst{name}.so");
        gst::Plugin::load_file(&path).map_err(|cause| VideoError::Plugin { path, cause })?;
    }
    prune();
    elements().try_for_each(|name| {
        gst::ElementFactory::find(name).map(drop).ok_or(VideoError::Element(name))
    })?;
    for name in USUAL {
        // The first of its kind takes milliseconds, which a job need not wait for.
        gst::ElementFactory::make(name).build().map_err(|_| VideoError::Element(name))?;
    }
    Ok(())
}

/// Every element that is kept.
fn elements() -> impl Iterator<Item = &'static str> {
    formats::elements().chain(sound::elements()).chain(ELEMENTS.iter().copied())
}

/// Removes what the plugins bring and the lists do not name. libav alone brings some six hundred
/// elements, demuxers of rare formats among them.
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
        // SAFETY: no other thread exists yet that could read the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}
