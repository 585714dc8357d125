//! Framing without I/O: a little-endian `u32` length, then that many bytes of one message.
//!
//! The only file that names the serialiser. A message is refused by its length before its body is
//! read, and a body by the decoder's own limit before it can cause an allocation.

use crate::limits::{MESSAGE_BYTES_MAX, PREFIX_BYTES};
use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

type Config = Configuration<LittleEndian, Fixint, Limit<MESSAGE_BYTES_MAX>>;

const CONFIG: Config = bincode::config::standard()
    .with_fixed_int_encoding()
    .with_little_endian()
    .with_limit::<MESSAGE_BYTES_MAX>();

/// Why bytes are not a message, or a message not bytes.
#[derive(Debug, Error)]
pub enum CodecError {
    /// The length prefix is over the cap.
    #[error("a frame of {bytes} bytes is over the cap of {MESSAGE_BYTES_MAX}")]
    FrameTooLong {
        /// What the prefix says.
        bytes: usize,
    },
    /// The body does not decode.
    #[error("a frame does not decode: {0}")]
    Decode(#[from] bincode::error::DecodeError),
    /// Bytes are left over after the message.
    #[error("a frame has {bytes} bytes after its message")]
    TrailingBytes {
        /// How many.
        bytes: usize,
    },
    /// The message does not encode.
    #[error("a message does not encode: {0}")]
    Encode(#[from] bincode::error::EncodeError),
}

/// Encodes one message with its length prefix.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, CodecError> {
    let body = bincode::serde::encode_to_vec(message, CONFIG)?;
    let bytes = body.len();
    if bytes > MESSAGE_BYTES_MAX {
        return Err(CodecError::FrameTooLong { bytes });
    }
    let mut frame = Vec::with_capacity(PREFIX_BYTES + bytes);
    frame.extend_from_slice(&(bytes as u32).to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Collects bytes as they arrive and returns whole messages.
///
/// Holds at most one message and the bytes of one read: a reader must take all messages out
/// before it puts more bytes in.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Appends received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next whole message, or nothing until more bytes come.
    #[expect(clippy::should_implement_trait, reason = "generic in what it gives, so no iterator")]
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, CodecError> {
        let Some((prefix, rest)) = self.pending.split_first_chunk::<PREFIX_BYTES>() else {
            return Ok(None);
        };
        let bytes = u32::from_le_bytes(*prefix) as usize;
        if bytes > MESSAGE_BYTES_MAX {
            return Err(CodecError::FrameTooLong { bytes });
        }
        let Some(body) = rest.get(..bytes) else {
            return Ok(None);
        };
        let (message, read) = bincode::serde::decode_from_slice(body, CONFIG)?;
        if read != bytes {
            return Err(CodecError::TrailingBytes { bytes: bytes - read });
        }
        self.pending.drain(..PREFIX_BYTES + bytes);
        Ok(Some(message))
    }

    /// Whether the received bytes end in the middle of a message.
    pub fn has_partial_message(&self) -> bool {
        !self.pending.is_empty()
    }
}
