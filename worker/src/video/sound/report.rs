//! What was done with a video's sound, for the metadata. Filled by `packet_reader`.

use serde::Serialize;

/// Most characters of a note: some quote messages of the media framework about a hostile file.
const NOTE_CHARS_MAX: usize = 200;

/// What was done with a video's sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoundReport {
    /// Its codec, if there is sound.
    pub codec: Option<String>,
    /// What was done with it.
    pub outcome: Outcome,
    /// Why it was dropped, or what is missing.
    pub note: Option<String>,
}

/// What was done with a video's sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There is none.
    None,
    /// Its packets were copied.
    Copied,
    /// It was decoded and encoded as AAC.
    Reencoded,
    /// It was dropped.
    Dropped,
}

impl SoundReport {
    /// The report of a video without sound.
    pub(super) const fn none() -> Self {
        Self { codec: None, outcome: Outcome::None, note: None }
    }

    /// The report of dropped sound.
    pub(super) fn dropped(codec: Option<String>, why: &str) -> Self {
        Self { codec, outcome: Outcome::Dropped, note: None }.with_note(why)
    }

    /// Whether there is sound that is not in the results.
    pub fn is_dropped(&self) -> bool {
        self.outcome == Outcome::Dropped
    }

    /// Replaces the note.
    pub(super) fn with_note(mut self, note: &str) -> Self {
        self.note = Some(note.chars().take(NOTE_CHARS_MAX).collect());
        self
    }
}
