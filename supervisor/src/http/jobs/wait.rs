//! `Prefer: wait=N` (RFC 7240): a response about a job that is sent when the job has ended, or the time is over.
//!
//! A request that waits counts as an event stream. Where that is not possible it is answered at once, as any preference may
//! be ignored.

use crate::dispatcher::status::Status;
use crate::http::connections::registry::RequestSlot;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::policy::job::JobId;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The longest time; a longer one is shortened to it. Proxies give up on a silent response after a minute.
const WAIT_S_MAX: u64 = 50;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// How long a client prefers to wait for the end of a job.
#[derive(Debug)]
pub(crate) struct Wait {
    seconds: u64,
    slot: Option<RequestSlot>,
}

impl Wait {
    /// The wait that a request asks for; none if it asks for none.
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Option<Self> {
        let seconds = preferred_seconds(headers)?.min(WAIT_S_MAX);
        Some(Self { seconds, slot: extensions.get().cloned() })
    }

    /// The status of a job that has ended, or at the end of the time, and the header that says so. None if there is no such
    /// job, or no longer.
    pub(crate) async fn status(self, service: &Service, id: JobId) -> Result<Awaited, ApiError> {
        let streams_max = service.config.access.clients.streams_max;
        if self.slot.is_some_and(|slot| slot.become_stream(streams_max).is_err()) {
            return Ok((None, service.dispatcher.status(id).await?));
        }
        let end = Instant::now() + Duration::from_secs(self.seconds);
        let applied = HeaderValue::try_from(format!("wait={}", self.seconds));
        let applied = applied.ok().map(|value| [(PREFERENCE_APPLIED, value)]);
        let Some(mut changes) = service.dispatcher.watch(id).await? else {
            return Ok((applied, None));
        };
        loop {
            let status = service.dispatcher.status(id).await?;
            if status.as_ref().is_none_or(|status| status.completed_at.is_some()) {
                return Ok((applied, status));
            }
            let is_removed = tokio::select! {
                changed = changes.changed() => changed.is_err(),
                () = sleep_until(end) => return Ok((applied, status)),
                () = service.closing.cancelled() => return Ok((applied, status)),
            };
            if is_removed {
                return Ok((applied, None));
            }
        }
    }
}

/// `Preference-Applied`, if the preference was, and the status.
pub(crate) type Awaited = (Option<[(HeaderName, HeaderValue); 1]>, Option<Status>);

/// The seconds of the first `wait` in `Prefer`. An invalid one is ignored, as all preferences that a server cannot honour.
fn preferred_seconds(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    let wait = preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("wait").then_some(value.trim().trim_matches('"'))
    })?;
    let is_number = !wait.is_empty() && wait.bytes().all(|digit| digit.is_ascii_digit());
    // No time is longer than the largest number.
    is_number.then(|| wait.parse().unwrap_or(u64::MAX)).filter(|seconds| *seconds > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wait_counts_and_others_are_ignored() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("prefer", HeaderValue::from_static(value));
            }
            preferred_seconds(&headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = \"7\"; a=b, wait=9"]), Some(7));
        assert_eq!(of(&["return=minimal", "wait=3"]), Some(3));
        assert_eq!(of(&["wait=99999999999999999999"]), Some(u64::MAX));
        for ignored in
            ["wait", "wait=", "wait=soon", "wait=-1", "wait=+1", "wait=1.5", "wait=0", "waits=1"]
        {
            assert_eq!(of(&[ignored]), None, "{ignored}");
        }
    }
}
