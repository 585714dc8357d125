//! File names from clients, made safe to display; they are never used as paths.
//!
//! Created where a name enters the service (`http::upload`, `cli::run`).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use std::fmt;

/// Maximum length of a name in characters.
const CHARACTERS_MAX: usize = 120;

/// All characters except RFC 8187's attr-char.
const NOT_ATTR_CHAR: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// A name that is safe to show: one line, no folders, no invisible characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct DisplayName(String);

impl DisplayName {
    /// The displayable part of a name from a client; "video" if nothing remains.
    pub fn new(name: &str) -> Self {
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name: String = last.chars().filter(|c| !is_hidden(*c)).take(CHARACTERS_MAX).collect();
        match name.trim() {
            "" | "." | ".." => Self("video".into()),
            shown => Self(shown.into()),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its extension.
    pub fn stem(&self) -> &str {
        match self.0.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => &self.0,
        }
    }

    /// A Content-Disposition (RFC 6266) that saves a file as `<stem>_<suffix>`.
    pub fn attachment(&self, suffix: &str) -> String {
        disposition(&format!("{}_{suffix}", self.stem()))
    }

    /// A Content-Disposition that saves an archive as `<stem>.zip`.
    pub fn archive_attachment(&self) -> String {
        disposition(&format!("{}.zip", self.stem()))
    }
}

fn disposition(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || " -_.".contains(c) { c } else { '_' })
        .collect();
    let full = utf8_percent_encode(name, NOT_ATTR_CHAR);
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{full}")
}

/// The text with hidden characters escaped, so that no terminal interprets them.
pub(crate) fn visible(text: &str) -> String {
    let escape =
        |c: char| if is_hidden(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters, and characters that hide or reorder text (Unicode TR 36).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folders_and_hidden_characters_are_removed() {
        for (text, shown) in [
            ("clip.mp4", "clip.mp4"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Videos\\Größe 3.mov", "Größe 3.mov"),
            ("a\u{202e}4pm.exe", "a4pm.exe"),
            ("\u{1b}[2Jx\n.mp4", "[2Jx.mp4"),
            ("..", "video"),
            ("dir/", "video"),
            ("  ", "video"),
        ] {
            assert_eq!(DisplayName::new(text).to_string(), shown, "{text:?}");
        }
    }

    #[test]
    fn attachments_have_an_ascii_and_a_utf8_name() {
        let header = DisplayName::new("Größe \"3\".mov").attachment("output.mp4");
        assert_eq!(
            header,
            "attachment; filename=\"Gr__e _3__output.mp4\"; \
             filename*=UTF-8''Gr%C3%B6%C3%9Fe%20%223%22_output.mp4"
        );
        let header = DisplayName::new("walk.2.mov").archive_attachment();
        assert_eq!(header, "attachment; filename=\"walk.2.zip\"; filename*=UTF-8''walk.2.zip");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_short_single_line_and_a_valid_header(text in "\\PC*|.*") {
            let name = DisplayName::new(&text);
            let shown = name.to_string();
            prop_assert!(!shown.is_empty() && shown.chars().count() <= CHARACTERS_MAX);
            prop_assert!(!shown.contains(['/', '\\', '\n', '\r', '\0']));
            for header in [name.attachment("pose_data.csv"), name.archive_attachment()] {
                prop_assert!(header.bytes().all(|b| (32..127).contains(&b)), "{header}");
                prop_assert_eq!(header.matches('"').count(), 2);
            }
        }
    }
}
