//! A job as a JSON document.
//!
//! Readers ignore what they do not know and fill in what is missing, so that hosts of two versions can share a journal.

use crate::policy::client::ClientAddress;
use crate::policy::job::{AttemptRecord, JobId};
use crate::store::journal::JobRow;
use crate::store::journal::stored_job::{StoredAttempt, StoredJob, Unreadable};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Document {
    #[serde(flatten)]
    job: StoredJob,
    #[serde(default)]
    attempts: Vec<StoredAttempt>,
    #[serde(default)]
    lost_hosts: u32,
    #[serde(default)]
    is_video_discarded: bool,
    /// Who sent it, while its place in the queue depends on it.
    #[serde(default)]
    client: Option<ClientAddress>,
}

/// Makes the document.
pub(crate) fn write(row: &JobRow) -> String {
    let JobRow { job, .. } = row;
    let document = Document {
        job: StoredJob::of(row),
        attempts: job.attempts.iter().map(StoredAttempt::of).collect(),
        lost_hosts: job.lost_hosts,
        is_video_discarded: job.is_video_discarded,
        client: (!job.state().is_final()).then_some(job.client),
    };
    serde_json::to_string(&document).expect("plain values with text keys")
}

/// Reads a document; its revision and host are elsewhere.
pub(crate) fn read(id: JobId, document: &str) -> Result<JobRow, Unreadable> {
    let document: Document =
        serde_json::from_str(document).map_err(|_| Unreadable("the document of a job"))?;
    let mut row = document.job.into_row(id)?;
    let attempts = document.attempts.into_iter().map(StoredAttempt::into_record);
    row.job.attempts = attempts.filter_map(Result::<AttemptRecord, _>::ok).collect();
    row.job.lost_hosts = document.lost_hosts;
    row.job.is_video_discarded = document.is_video_discarded;
    row.job.client = document.client.unwrap_or(ClientAddress::ThisHost);
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::display_name::DisplayName;
    use crate::policy::job::{Job, JobError, JobEvent, Upload};
    use bodyscript_protocol::options::Options;
    use jiff::Timestamp;

    fn job() -> Job {
        let upload = Upload {
            filename: DisplayName::new("clip.mp4"),
            bytes: 7,
            sha256: "ab".into(),
            options: Options::default(),
            idempotency_key: Some("key".into()),
        };
        let mut job = Job::new(JobId::random(), upload, 100, Timestamp::UNIX_EPOCH);
        job.client = ClientAddress::Remote([192, 0, 2, 7].into());
        job
    }

    #[test]
    fn a_job_is_read_as_it_was_written() {
        let mut job = job();
        let check = |job: &Job| {
            let written = write(&JobRow { job: job.clone(), ended: None });
            let read = read(job.id, &written).expect("readable").job;
            assert_eq!((&read.upload, read.state()), (&job.upload, job.state()), "{written}");
            assert_eq!((&read.attempts, read.claims), (&job.attempts, job.claims));
            assert_eq!(read.lost_hosts, job.lost_hosts);
            assert_eq!(read.is_video_discarded, job.is_video_discarded);
            read.client
        };
        assert_eq!(check(&job), job.client);
        job.apply(JobEvent::Started, Timestamp::UNIX_EPOCH).expect("legal");
        job.lost_hosts = 3;
        job.attempts.push(AttemptRecord {
            cap_bytes: 1,
            peak_bytes: 2,
            wall_ms: 3,
            cpu_ms: 4,
            end: "crash",
            is_counted: true,
            is_killed: false,
        });
        assert_eq!(check(&job), job.client);
        let error = JobError { code: "x".into(), sentence: "X.".into() };
        job.apply(JobEvent::Failed(error), Timestamp::UNIX_EPOCH).expect("legal");
        job.discard_video();
        assert_eq!(check(&job), ClientAddress::ThisHost, "not kept longer than needed");
    }

    #[test]
    fn documents_of_other_versions_are_read() {
        let written = write(&JobRow { job: job(), ended: None });
        let mut document: serde_json::Value = serde_json::from_str(&written).expect("JSON");
        document["a_later_field"] = 1.into();
        for earlier in ["attempts", "lost_hosts", "client", "is_video_discarded"] {
            document.as_object_mut().expect("an object").remove(earlier);
        }
        read(JobId::random(), &document.to_string()).expect("readable");
        document["state"] = "a later state".into();
        let unreadable = read(JobId::random(), &document.to_string()).map(drop);
        assert_eq!(unreadable, Err(Unreadable("state")));
    }
}
