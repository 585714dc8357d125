//! How much a request wants a media type (`Accept`, RFC 9110, 12.5.1). Pure.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;

/// A media type that the service can send.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MediaType {
    pub(crate) kind: &'static str,
    pub(crate) subtype: &'static str,
    /// If it has several.
    pub(crate) version: Option<&'static str>,
}

impl MediaType {
    /// The quality of the most specific ranges of a request that match, from 0 to 1.
    pub(crate) fn quality(self, headers: &HeaderMap) -> f32 {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges = accepted.flat_map(|value| value.split(',')).filter_map(MediaRange::of);
        let matching = ranges.filter_map(|range| Some((self.specificity(&range)?, range.quality)));
        let best =
            matching.max_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        best.map_or(0.0, |(_, quality)| quality)
    }

    /// How closely a media range describes this type, from 1 to 3; none if it does not match.
    fn specificity(self, range: &MediaRange<'_>) -> Option<u8> {
        let is_kind = range.kind.eq_ignore_ascii_case(self.kind);
        let is_version =
            range.version.is_none_or(|other| self.version.is_none_or(|it| it == other));
        match (range.kind, range.subtype) {
            ("*", "*") => Some(1),
            (_, "*") if is_kind => Some(2),
            (_, other) if is_kind && other.eq_ignore_ascii_case(self.subtype) && is_version => {
                Some(3)
            }
            _ => None,
        }
    }
}

/// One part of `Accept`. Other parameters than these do not change what the service can send.
struct MediaRange<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> MediaRange<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self { kind, subtype, version: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|parameter| parameter.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "version" => range.version = Some(value.trim_matches('"')),
                "q" => range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q))?,
                _ => {}
            }
        }
        Some(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_range_decides() {
        let html = MediaType { kind: "text", subtype: "html", version: None };
        let of = |accept: &'static str| {
            html.quality(&HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]))
        };
        assert_eq!(html.quality(&HeaderMap::new()), 0.0);
        assert_eq!(of("text/html,application/xhtml+xml,*/*;q=0.8"), 1.0);
        assert_eq!(of("text/*;q=0.5, Text/HTML;level=1;Q=0.25, */*"), 0.25);
        assert_eq!(of("text/*;q=0.5, */*"), 0.5);
        assert_eq!(of("text/html;version=2"), 1.0, "it has no versions");
        assert_eq!(of("application/json, text/html;q=7"), 0.0);
    }
}
