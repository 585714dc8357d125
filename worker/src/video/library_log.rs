//! Redirects the messages of GLib, GStreamer and their libraries to the worker's log, bounded and
//! escaped. Installed by `plugins` before any of them runs; makes no queries to the system.
//!
//! Their own writers do not work in the closed sandbox: GLib's checks whether stderr is a socket of
//! the journal (getpeername(2)) and whether it is a terminal, and its prints go to standard output,
//! which carries frames to the supervisor. The messages quote the video, so they are hostile, of any
//! length and number.

#![allow(unsafe_code)]

use super::decoder_errors;
use bodyscript_protocol::exit::WorkerExit;
use gstreamer as gst;
use gstreamer::glib::{self, LogField, LogLevel, LogWriterOutput};
use std::ffi::{CStr, c_char};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Most lines of one worker; further messages are only counted.
const LINES_MAX: u32 = 32;
/// Longest text of one line, in bytes and escaped.
const LINE_BYTES_MAX: usize = 240;

/// How GLib begins the print of a failed assertion.
const FAILED_ASSERTION: &[u8] = b"**\n";

/// Number of messages so far.
static MESSAGES: AtomicU32 = AtomicU32::new(0);

/// Installs the writers, once in a process.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        glib::log_set_writer_func(on_glib_message);
        // SAFETY: the handler is a function, which lives as long as the process.
        unsafe { glib::ffi::g_set_print_handler(Some(on_print)) };
        // SAFETY: as above.
        unsafe { glib::ffi::g_set_printerr_handler(Some(on_print)) };
        // Before GStreamer starts: it then does not add its own.
        gst::log::remove_default_log_function();
        gst::log::add_log_function(|category, level, _, _, _, object, message| {
            if level == gst::DebugLevel::Error {
                decoder_errors::on_error(category.name());
                log(category.name(), "error", || {
                    let text = message.get().unwrap_or_default();
                    object.map_or_else(|| text.to_string(), |object| format!("{object}: {text}"))
                });
            }
        });
    });
}

/// Enables error messages of GStreamer, and of libav through it. To be called after GStreamer is
/// initialised.
pub(super) fn enable_error_messages() {
    gst::log::set_default_threshold(gst::DebugLevel::Error);
}

/// Logs the number of suppressed messages, if there were any.
pub fn log_suppressed_messages() {
    let suppressed = MESSAGES.swap(0, Ordering::Relaxed).saturating_sub(LINES_MAX);
    if suppressed > 0 {
        tracing::warn!("{suppressed} further messages of the media libraries were suppressed");
    }
}

/// Logs GLib's messages, except info and debug.
fn on_glib_message(level: LogLevel, fields: &[LogField<'_>]) -> LogWriterOutput {
    let kind = match level {
        LogLevel::Error => "fatal",
        LogLevel::Critical => "critical",
        LogLevel::Warning => "warning",
        LogLevel::Message => "message",
        LogLevel::Info | LogLevel::Debug => return LogWriterOutput::Handled,
    };
    let field = |key: &str| {
        let field = fields.iter().find(|field| field.key() == key);
        String::from_utf8_lossy(field.and_then(LogField::value_bytes).unwrap_or_default())
    };
    log(&field("GLIB_DOMAIN"), kind, || field("MESSAGE").into_owned());
    if level == LogLevel::Error {
        // GLib would end the process with a breakpoint trap instead of an abort.
        log_suppressed_messages();
        std::process::abort();
    }
    LogWriterOutput::Handled
}

unsafe extern "C" fn on_print(text: *const c_char) {
    // SAFETY: GLib passes a string that ends with a NUL and lives through the call.
    let text = unsafe { CStr::from_ptr(text) };
    log("GLib", "print", || text.to_string_lossy().into_owned());
    if text.to_bytes().starts_with(FAILED_ASSERTION) {
        // The next thing GLib does is to abort. Some demuxers assert what a damaged file does not fulfil, and
        // another attempt at it ends the same way.
        // SAFETY: ends the process at once; nothing of it is used afterwards.
        unsafe { libc::_exit(WorkerExit::BadInput.code().into()) };
    }
}

/// Logs one line, up to the limit.
fn log(source: &str, kind: &str, text: impl FnOnce() -> String) {
    // The counter cannot overflow in the lifetime of a worker.
    if MESSAGES.fetch_add(1, Ordering::Relaxed) < LINES_MAX {
        tracing::warn!("{} {kind}: {}", escaped(source), escaped(&text()));
    }
}

/// Escapes a text to one line without control characters.
fn escaped(text: &str) -> String {
    let mut line = String::new();
    for character in text.trim_end().chars() {
        let start = line.len();
        match character {
            '"' | '\'' => line.push(character),
            other => line.extend(other.escape_debug()),
        }
        if line.len() > LINE_BYTES_MAX {
            line.truncate(start);
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_to_one_line_without_control_characters() {
        assert_eq!(escaped("a \"b\" 'c'\n"), "a \"b\" 'c'");
        assert_eq!(escaped("\u{1b}[2J\r\u{202e}\nx"), "\\u{1b}[2J\\r\\u{202e}\\nx");
    }

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        let at_the_limit = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(escaped(&at_the_limit), at_the_limit);
        assert_eq!(escaped(&format!("{at_the_limit}y")), at_the_limit);
        let line = escaped(&"\u{1b}".repeat(1_000));
        assert_eq!(line, "\\u{1b}".repeat(LINE_BYTES_MAX / 6));
    }
}
