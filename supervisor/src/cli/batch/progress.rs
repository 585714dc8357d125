//! The progress of videos, on a terminal only. It fits a terminal of 40 columns and leaves nothing behind.

use crate::cli::output;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal};

/// 14 + 10 + 5 columns and what is left for the message.
const VIDEO: &str = "{prefix:14!} [{bar:8}] {percent:>3}% {wide_msg}";
const ALL: &str = "{pos} of {len} done";

/// All lines of the display; none where it is off.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    lines: Option<MultiProgress>,
    all: Option<ProgressBar>,
}

/// Whether progress can be shown: control codes are for terminals that know them.
pub(crate) fn can_be_shown() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|name| name != "dumb")
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is valid").progress_chars("=> ")
}

impl Progress {
    /// No display.
    pub(crate) const fn off() -> Self {
        Self { lines: None, all: None }
    }

    /// A display on standard error, for so many videos.
    pub(crate) fn on(videos: usize) -> Self {
        let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let all = (videos > 1).then(|| {
            let bar = lines.add(ProgressBar::new(videos as u64).with_style(style(ALL)));
            bar.tick();
            bar
        });
        Self { lines: Some(lines), all }
    }

    /// The line of a video, which is shown once there is something to show.
    pub(crate) fn line(&self, name: String) -> Line<'_> {
        Line { progress: self, name, bar: None }
    }

    /// Counts a video that is over.
    pub(crate) fn count(&self) {
        if let Some(all) = &self.all {
            all.inc(1);
        }
    }

    /// Prints without disturbing the display.
    pub(crate) fn print<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.lines {
            Some(lines) => lines.suspend(print),
            None => print(),
        }
    }

    /// Removes the display.
    pub(crate) fn clear(&self) {
        if let Some(all) = &self.all {
            all.finish_and_clear();
        }
        if let Some(lines) = &self.lines {
            // A terminal that cannot be written to has nothing to be cleared.
            let _ = lines.clear();
        }
    }
}

/// The line of one video, removed when it is dropped.
#[derive(Debug)]
pub(crate) struct Line<'a> {
    progress: &'a Progress,
    name: String,
    bar: Option<ProgressBar>,
}

impl Line<'_> {
    /// Prints a line about the video, also where no progress is shown.
    pub(crate) fn tell(&self, sentence: &str) {
        self.progress.print(|| output::err(&format!("{}: {sentence}", self.name)));
    }

    /// Shows the progress of a running job.
    pub(crate) fn show(&mut self, percent: u8, message: String) {
        let Some(lines) = &self.progress.lines else { return };
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(100).with_style(style(VIDEO)).with_prefix(self.name.clone());
            match &self.progress.all {
                Some(all) => lines.insert_before(all, bar),
                None => lines.add(bar),
            }
        });
        bar.set_message(message);
        bar.set_position(percent.into());
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if let (Some(bar), Some(lines)) = (&self.bar, &self.progress.lines) {
            bar.finish_and_clear();
            lines.remove(bar);
        }
    }
}
