//! Caps on what crosses the pipe, asserted against each other at compile time.

/// Longest body of one message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// Longest text in any message, in bytes. Longer texts are cut by the sender and refused by the
/// receiver.
pub const TEXT_BYTES_MAX: usize = 512;

/// Most sandbox layers one sandbox report may list.
pub const LAYERS_MAX: usize = 16;

/// Most frames of video one job may report. A plausibility check on the worker, not a limit on videos:
/// an hour at 1,000 frames/s is a third of it.
pub const FRAMES_MAX: u32 = 10_000_000;

/// Largest file that a worker may write, in bytes. The overlay of a full-length video takes a
/// tenth.
pub const FILE_BYTES_MAX: u64 = 256 << 20;

/// Longest duration that a container can state, in milliseconds: media libraries count nanoseconds in 64 bits.
pub const DURATION_MS_MAX: u64 = u64::MAX / 1_000_000;

/// Most jitter that landmarks can have, as a fraction of the picture's diagonal: far more than a region can move
/// between two frames.
pub const JITTER_MAX: f32 = 1000.0;

/// Width of the length prefix of a message, in bytes.
pub const PREFIX_BYTES: usize = size_of::<u32>();

const _: () = assert!(MESSAGE_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!(LAYERS_MAX * (TEXT_BYTES_MAX + 16) < MESSAGE_BYTES_MAX);
const _: () = assert!(4 * TEXT_BYTES_MAX < MESSAGE_BYTES_MAX);
