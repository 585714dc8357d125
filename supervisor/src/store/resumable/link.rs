//! Makes a complete upload the video of a future job.

use crate::store::error::{StateError, failed};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes read at once for the digest.
const READ_BYTES: usize = 64 * 1024;

/// Links a file into the spool; returns its SHA-256. Blocks.
pub(super) fn link_into_spool(from: &Path, to: &Path) -> Result<[u8; 32], StateError> {
    let digest = digest(from).map_err(failed("read", from))?;
    let spool = to.parent().unwrap_or(to);
    let folder = File::open(spool).map_err(failed("opened", spool))?;
    // A link that an earlier attempt left has the same content.
    if let Err(error) = fs::hard_link(from, to)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(failed("linked", to)(error));
    }
    folder.sync_all().map_err(failed("written to the disk", spool))?;
    Ok(digest)
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(digest.finalize().into()),
            bytes => digest.update(&buffer[..bytes]),
        }
    }
}
