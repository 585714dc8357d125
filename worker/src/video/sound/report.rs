//! What became of a video's sound, in words for metadata. Filled by `mod`; decides nothing.

use serde::Serialize;

/// Characters of a note at most: some repeat what the media framework says of a hostile file.
const NOTE_CHARS_MAX: usize = 200;

/// What became of a video's sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoundReport {
    /// How it was coded, where there is any.
    pub codec: Option<String>,
    /// What was done with it.
    pub outcome: Outcome,
    /// Why it was dropped, or what is missing of it.
    pub note: Option<String>,
}

/// What was done with a video's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing: there is none.
    None,
    /// Its packets went out as they came.
    Copied,
    /// It was decoded and encoded as AAC.
    Reencoded,
    /// It was left out.
    Dropped,
}

impl SoundReport {
    /// Of a video without sound.
    pub(super) const fn none() -> Self {
        Self { codec: None, outcome: Outcome::None, note: None }
    }

    /// Of sound that is left out.
    pub(super) fn dropped(codec: Option<String>, why: &str) -> Self {
        Self { codec, outcome: Outcome::Dropped, note: None }.noted(why)
    }

    /// With a note in place of the one before.
    pub(super) fn noted(mut self, note: &str) -> Self {
        self.note = Some(note.chars().take(NOTE_CHARS_MAX).collect());
        self
    }
}
