//! The two text formats of metrics, OpenMetrics 1.0.0 and Prometheus 0.0.4, and which of them a client prefers. Pure.

use crate::http::accept::MediaType;
use axum::http::HeaderMap;
use std::fmt::Write;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    OpenMetrics,
    Prometheus,
}

impl Format {
    /// The format that `Accept` prefers (RFC 9110, 12.5.1), OpenMetrics if it prefers neither.
    pub(super) fn accepted(headers: &HeaderMap) -> Self {
        let quality = |format: Self| format.name().quality(headers);
        if quality(Self::Prometheus) > quality(Self::OpenMetrics) {
            Self::Prometheus
        } else {
            Self::OpenMetrics
        }
    }

    /// The value of `Content-Type`.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    const fn name(self) -> MediaType {
        let (kind, subtype, version) = match self {
            Self::OpenMetrics => ("application", "openmetrics-text", Some("1.0.0")),
            Self::Prometheus => ("text", "plain", Some("0.0.4")),
        };
        MediaType { kind, subtype, version }
    }
}

/// The same metrics in the Prometheus format: it has no units and no end, counters are named with `_total`, and an info is
/// a gauge.
pub(super) fn to_prometheus(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // Comes before the type, on which the name depends.
    let mut help = "";
    for line in openmetrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some(typed) = line.strip_prefix("# TYPE ") {
            let (name, kind) = typed.split_once(' ').unwrap_or((typed, "unknown"));
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            writeln!(text, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}")
                .expect("writing to a string succeeds");
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use Format::{OpenMetrics, Prometheus};
    use axum::http::header::ACCEPT;

    #[test]
    fn the_preferred_format_is_that_of_the_highest_quality() {
        let of = |accept: &'static str| {
            Format::accepted(&HeaderMap::from_iter([(ACCEPT, accept.parse().expect("a header"))]))
        };
        assert_eq!(Format::accepted(&HeaderMap::new()), OpenMetrics);
        for (accept, format) in [
            ("*/*", OpenMetrics),
            ("image/png", OpenMetrics),
            ("text/plain", Prometheus),
            ("Text/Plain; Version=0.0.4", Prometheus),
            ("text/*", Prometheus),
            ("text/*;q=0.5, */*;q=0.6", OpenMetrics),
            ("text/plain;q=0.5, */*;q=0.4", Prometheus),
            ("text/plain, application/openmetrics-text", OpenMetrics),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.8", Prometheus),
            ("application/openmetrics-text;q=0, */*", Prometheus),
            (
                "application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5",
                Prometheus,
            ),
            ("text/plain;version=1.0.0, */*;q=0.1", OpenMetrics),
            ("text/plain;q=2, */*;q=0.1", OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,\
                 text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
        ] {
            assert_eq!(of(accept), format, "{accept}");
        }
    }

    #[test]
    fn the_prometheus_format_has_help_and_type_by_the_names_of_the_samples() {
        let openmetrics = "# HELP jobs Jobs by state.\n# TYPE jobs counter\njobs_total{a=\"b c\"} 1\n\
            # HELP host This host.\n# TYPE host info\nhost_info{name=\"a\"} 1\n\
            # HELP size_bytes Size.\n# TYPE size_bytes gauge\n# UNIT size_bytes bytes\nsize_bytes 3\n# EOF\n";
        let expected = "# HELP jobs_total Jobs by state.\n# TYPE jobs_total counter\njobs_total{a=\"b c\"} 1\n\
            # HELP host_info This host.\n# TYPE host_info gauge\nhost_info{name=\"a\"} 1\n\
            # HELP size_bytes Size.\n# TYPE size_bytes gauge\nsize_bytes 3\n";
        assert_eq!(to_prometheus(openmetrics), expected);
    }
}
