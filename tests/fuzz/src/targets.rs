//! What is fuzzed: each function takes any bytes and must neither panic nor use memory or time without bound.
//!
//! Part of the fuzz targets, and of the test that replays their corpus.

use bodyscript_protocol::codec::{Decoder, encode};
use bodyscript_protocol::message::{ToSupervisor, ToWorker};
use bodyscript_protocol::session::Session;
use std::io::Write;

/// What is fuzzed.
pub type Target = fn(&[u8]);

/// The targets by name: each has a file in `fuzz_targets` and a folder in `corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("frame_codec", frame_codec),
    ("session", session),
    ("form", bodyscript::fuzzing::form),
    ("tus_headers", bodyscript::fuzzing::tus_headers),
    ("range", bodyscript::fuzzing::range),
    ("config", bodyscript::fuzzing::config),
    ("journal_row", bodyscript::fuzzing::journal_row),
    ("mp4_structure", mp4_structure),
];

/// Bytes of a worker, in the parts that the first byte says. What is decoded is encoded again.
pub fn frame_codec(bytes: &[u8]) {
    let Some((part, bytes)) = bytes.split_first() else { return };
    let mut decoder = Decoder::default();
    for part in bytes.chunks(usize::from(*part).max(1)) {
        decoder.push(part);
        loop {
            match decoder.next::<ToSupervisor>() {
                Ok(Some(message)) => drop(encode(&message).expect("it was decoded")),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
    let _ = decoder.has_partial_message();
}

/// A conversation: messages in turn, of the supervisor where the first byte of each pair is even.
pub fn session(bytes: &[u8]) {
    let mut session = Session::default();
    let mut rest = bytes;
    while let Some(([from, length], after)) = rest.split_first_chunk() {
        let (frame, after) = after.split_at(usize::from(*length).min(after.len()));
        rest = after;
        let mut decoder = Decoder::default();
        decoder.push(frame);
        let is_legal = if from % 2 == 0 {
            let message = decoder.next::<ToWorker>().ok().flatten();
            message.is_some_and(|message| session.on_to_worker(&message).is_ok())
        } else {
            let message = decoder.next::<ToSupervisor>().ok().flatten();
            message.is_some_and(|message| session.on_to_supervisor(&message).is_ok())
        };
        if !is_legal {
            return;
        }
    }
}

/// A video.
pub fn mp4_structure(bytes: &[u8]) {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("room for a small file");
    bodyscript_worker::fuzzing::mp4_structure(&file);
}
