//! The two forms in which poses are told: lines of JSON and server-sent events. Pure.

use super::position::Position;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

const EVENT_STREAM: &str = "text/event-stream";

/// A form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// One JSON document a line, with its id in it.
    Lines,
    /// One server-sent event each.
    Events,
}

impl Encoding {
    /// Events for a client that accepts them, lines for all others.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let asks_for_events = accepted.any(|value| {
            let mut types = value.split(',').filter_map(|part| part.split(';').next());
            types.any(|kind| kind.trim().eq_ignore_ascii_case(EVENT_STREAM))
        });
        if asks_for_events { Self::Events } else { Self::Lines }
    }

    /// The media type.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Lines => "application/x-ndjson",
            Self::Events => EVENT_STREAM,
        }
    }

    /// Adds one message: `object` is a JSON object with at least one field, on one line.
    pub(super) fn push(self, out: &mut Vec<u8>, name: &str, at: Position, object: &[u8]) {
        match self {
            Self::Lines => {
                out.extend_from_slice(format!("{{\"id\":\"{at}\",").as_bytes());
                out.extend_from_slice(&object[1..]);
                out.push(b'\n');
            }
            Self::Events => {
                out.extend_from_slice(format!("id: {at}\nevent: {name}\ndata: ").as_bytes());
                out.extend_from_slice(object);
                out.extend_from_slice(b"\n\n");
            }
        }
    }

    /// What is sent in place of a message, so that a connection does not look idle.
    pub(super) const fn keep_alive(self) -> &'static [u8] {
        match self {
            Self::Lines => b"\n",
            Self::Events => b":\n\n",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_accept_them() {
        let of = |accept: &'static str| {
            let accept = accept.parse().expect("a header");
            Encoding::accepted(&HeaderMap::from_iter([(ACCEPT, accept)]))
        };
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Lines);
        assert_eq!(of("application/x-ndjson, */*;q=0.1"), Encoding::Lines);
        assert_eq!(of("text/html, Text/Event-Stream;q=0.9"), Encoding::Events);
    }

    #[test]
    fn a_message_has_its_id_in_both_forms() {
        let encoded = |encoding: Encoding| {
            let mut out = Vec::new();
            let at = Position { start: 1, frames: 2, is_end: false };
            encoding.push(&mut out, "poses", at, b"{\"frame_id\":3}");
            String::from_utf8(out).expect("text")
        };
        assert_eq!(encoded(Encoding::Lines), "{\"id\":\"1-2\",\"frame_id\":3}\n");
        assert_eq!(encoded(Encoding::Events), "id: 1-2\nevent: poses\ndata: {\"frame_id\":3}\n\n");
    }
}
