//! Reads a video from standard input into the working folder, because the worker needs a file it can seek in.

use crate::cli::run::error::RunError;
use crate::store::StateDir;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use std::thread;
use tokio::sync::oneshot;

/// Bytes between two looks at the free space.
const CHUNK: u64 = 1 << 20;

/// Reads all of standard input; gives the file and its size. Dropped, it leaves the thread that reads to the end of the
/// process.
pub(crate) async fn read(
    state: &StateDir,
    disk_free_bytes_min: u64,
) -> Result<(PathBuf, u64), RunError> {
    if io::stdin().is_terminal() {
        let reason = io::Error::other("it is a terminal; pipe a video into the command");
        return Err(RunError::StandardInput(reason));
    }
    let (state, path) = (state.clone(), state.root().join("standard-input"));
    let (result, received) = oneshot::channel();
    // No thread of the runtime, which waits for those at its end: a read from a pipe may take for ever.
    let file = path.clone();
    thread::spawn(move || {
        let copied = File::create(&file).and_then(|file| {
            copy(io::stdin().lock(), file, || has_space(&state, disk_free_bytes_min))
        });
        let _ = result.send(copied);
    });
    let bytes =
        received.await.unwrap_or_else(|_| Err(io::Error::other("the reading thread ended")));
    Ok((path, bytes.map_err(RunError::StandardInput)?))
}

fn has_space(state: &StateDir, bytes_min: u64) -> bool {
    state.free_bytes().is_ok_and(|free| free >= bytes_min)
}

fn copy(mut from: impl Read, mut to: impl Write, has_space: impl Fn() -> bool) -> io::Result<u64> {
    let mut bytes = 0;
    loop {
        if !has_space() {
            let reason = "less than `disk_free_bytes_min` would be free in the output folder";
            return Err(io::Error::other(reason));
        }
        match io::copy(&mut from.by_ref().take(CHUNK), &mut to)? {
            0 => return Ok(bytes),
            read => bytes += read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn all_is_copied_unless_the_disk_gets_full() {
        let video = vec![7; CHUNK as usize + 1];
        let mut copied = Vec::new();
        assert_eq!(copy(&video[..], &mut copied, || true).expect("copied"), video.len() as u64);
        assert!(copied == video);
        let looks = Cell::new(0);
        let has_space = || {
            looks.set(looks.get() + 1);
            looks.get() < 2
        };
        let refused = copy(&video[..], io::sink(), has_space).expect_err("full");
        assert!(refused.to_string().contains("disk_free_bytes_min"), "{refused}");
    }
}
