//! The messages exchanged with the supervisor.

use bodyscript_protocol::codec::{Decoder, encode};
use bodyscript_protocol::exit::WorkerExit;
use bodyscript_protocol::fault::Fault;
use bodyscript_protocol::message::{Failure, Probed, ToSupervisor, ToWorker, VideoFacts};
use std::io::{self, Read, Write};
use std::process::exit;

/// The next message; none if the supervisor has closed its end.
pub(super) fn receive(frames: &mut Decoder) -> Option<ToWorker> {
    let mut bytes = [0; 4096];
    loop {
        if let Some(message) = frames.next().expect("the supervisor keeps the protocol") {
            return Some(message);
        }
        match io::stdin().lock().read(&mut bytes) {
            Ok(0) | Err(_) => return None,
            Ok(read) => frames.push(&bytes[..read]),
        }
    }
}

/// Ends the process with the next message, or once the supervisor has closed its end.
pub(super) fn exit_on_message(mut frames: Decoder) {
    match receive(&mut frames) {
        Some(_) => fail(Fault::Cancelled),
        None => exit(WorkerExit::Orphaned.code().into()),
    }
}

pub(super) fn send(message: &ToSupervisor) {
    write(&encode(message).expect("the message is small"));
}

/// Writes bytes to the supervisor, which may have closed its end.
pub(super) fn write(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    let _ = output.write_all(bytes).and_then(|()| output.flush());
}

pub(super) fn fail(fault: Fault) -> ! {
    let status = fault.exit().code();
    send(&ToSupervisor::Failed(Failure { fault, detail: "as requested".into() }));
    exit(status.into())
}

/// Sends the facts of a video and waits for the reply, as the words of the video say.
pub(super) fn probe(words: &[&str], messages: &mut Decoder) {
    let mebibytes = words.iter().find_map(|word| word.strip_prefix("need:")).map(str::parse);
    let memory_need_bytes = match mebibytes {
        _ if words.contains(&"need-all") => u64::MAX,
        Some(mebibytes) => mebibytes.map(|count: u64| count << 20).expect("a number of MiB"),
        None => 0,
    };
    let facts = if words.contains(&"absurd") { absurd_facts() } else { facts() };
    let probed = ToSupervisor::Probed(Probed { facts, memory_need_bytes });
    send(&probed);
    if words.contains(&"probed-twice") {
        send(&probed);
    }
    while !words.contains(&"hasty") {
        match receive(messages) {
            Some(ToWorker::Proceed) => return,
            Some(_) if words.contains(&"deaf") => {}
            Some(_) => fail(Fault::Cancelled),
            None => exit(WorkerExit::Orphaned.code().into()),
        }
    }
}

pub(super) fn facts() -> VideoFacts {
    VideoFacts {
        width: 7680,
        height: 4320,
        frame_rate: (30, 1),
        duration_ms: Some(1_000),
        frames_expected: 30,
        trimmed: false,
        rotation_degrees: 0,
        mirrored: false,
        container: "application/x-fault".into(),
        codec: "video/x-fault".into(),
    }
}

fn absurd_facts() -> VideoFacts {
    VideoFacts {
        width: u32::MAX,
        height: 0,
        frame_rate: (u32::MAX, 0),
        duration_ms: Some(u64::MAX),
        rotation_degrees: 12_345,
        container: "\u{202e}<img src=x onerror=alert(1)>".into(),
        codec: "a\r\nX-Injected: 1\u{1b}[2J".into(),
        ..facts()
    }
}
