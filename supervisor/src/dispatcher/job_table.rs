//! All jobs by id, with what else they are found by: idempotency keys, whether a worker processes them, the order of
//! their ends, and the failed jobs whose video is kept.
//!
//! Owned by the dispatcher's loop. The state of a job changes here only: in [`JobTable::apply`], and in
//! [`JobTable::replace`] once the journal has the change.

use crate::policy::host::HostId;
use crate::policy::job::{IllegalTransition, Job, JobEvent, JobId, JobState};
use crate::store::{JobRow, Moment};
use jiff::Timestamp;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use tokio::sync::watch;

/// A job and the channel that notifies its subscribers.
#[derive(Debug)]
struct JobEntry {
    job: Job,
    changes: watch::Sender<u64>,
    /// When the job ended.
    ended: Option<Moment>,
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct JobTable {
    entries: HashMap<JobId, JobEntry>,
    /// Jobs by idempotency key, including those whose journal row is being written.
    keys: HashMap<String, JobId>,
    /// Ended jobs, in the order of their ends and therefore of their expiry.
    ended: VecDeque<(Moment, JobId)>,
    /// Failed jobs whose video is kept for a retry, in the order of their ends.
    retained_videos: VecDeque<JobId>,
    /// Jobs that a worker processes, on any host.
    processing: BTreeSet<JobId>,
}

impl JobTable {
    /// The jobs of an earlier run; `videos` are those whose video exists.
    pub(crate) fn restore(jobs: Vec<JobRow>, videos: &HashSet<JobId>) -> Self {
        let mut table = Self::default();
        for JobRow { job, ended } in jobs {
            table.ended.extend(ended.map(|ended| (ended, job.id)));
            table.insert_entry(job, ended);
        }
        table.ended.make_contiguous().sort_unstable();
        let ended = table.ended.iter().map(|(_, id)| *id);
        let has_video =
            |id: &JobId| videos.contains(id) && table.get(*id).is_some_and(may_be_retried);
        table.retained_videos = ended.filter(has_video).collect();
        table
    }

    /// Adds a job that has not ended.
    pub(crate) fn insert(&mut self, job: Job) {
        self.insert_entry(job, None);
    }

    fn insert_entry(&mut self, job: Job, ended: Option<Moment>) {
        if let Some(key) = &job.upload.idempotency_key {
            self.keys.insert(key.clone(), job.id);
        }
        if is_processing(&job) {
            self.processing.insert(job.id);
        }
        let (changes, _) = watch::channel(0);
        self.entries.insert(job.id, JobEntry { job, changes, ended });
    }

    /// Takes a job as the journal has it, in place of the one with its id if there is one.
    pub(crate) fn replace(&mut self, JobRow { job, ended }: JobRow) {
        let id = job.id;
        let changes = self.entries.get(&id).map(|entry| entry.changes.clone());
        let was_ended = self.entries.get(&id).and_then(|entry| entry.ended);
        if was_ended != ended {
            self.drop_end(id);
        }
        self.processing.remove(&id);
        let has_video = may_be_retried(&job);
        self.insert_entry(job, ended);
        if !has_video {
            self.retained_videos.retain(|retained| *retained != id);
        }
        if let (Some(changes), Some(entry)) = (changes, self.entries.get_mut(&id)) {
            entry.changes = changes;
        }
        if let Some(ended) = ended.filter(|_| was_ended != ended) {
            let place = self.ended.partition_point(|other| *other < (ended, id));
            self.ended.insert(place, (ended, id));
            self.retained_videos.extend(has_video.then_some(id));
        }
        self.notify(id);
    }

    /// Removes a job; none if there is none with this id.
    pub(crate) fn remove(&mut self, id: JobId) -> Option<Job> {
        let JobEntry { job, .. } = self.entries.remove(&id)?;
        if let Some(key) = &job.upload.idempotency_key {
            self.release_key(key, id);
        }
        self.processing.remove(&id);
        self.drop_end(id);
        Some(job)
    }

    /// Removes a job from the lists of ended jobs. Expired jobs are the first of them.
    fn drop_end(&mut self, id: JobId) {
        if self.ended.front().is_some_and(|(_, first)| *first == id) {
            self.ended.pop_front();
        } else {
            self.ended.retain(|(_, ended)| *ended != id);
        }
        self.retained_videos.retain(|retained| *retained != id);
    }

    pub(crate) fn get(&self, id: JobId) -> Option<&Job> {
        self.entries.get(&id).map(|entry| &entry.job)
    }

    /// The jobs, in no particular order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.entries.values().map(|entry| &entry.job)
    }

    /// A job as the journal stores it.
    pub(crate) fn row(&self, id: JobId) -> Option<JobRow> {
        let JobEntry { job, ended, .. } = self.entries.get(&id)?;
        Some(JobRow { job: job.clone(), ended: *ended })
    }

    /// A revision that changes with the job; closed when the job is removed.
    pub(crate) fn subscribe(&self, id: JobId) -> Option<watch::Receiver<u64>> {
        self.entries.get(&id).map(|entry| entry.changes.subscribe())
    }

    /// Notifies the subscribers of a job.
    pub(crate) fn notify(&self, id: JobId) {
        if let Some(entry) = self.entries.get(&id) {
            entry.changes.send_modify(|revision| *revision += 1);
        }
    }

    /// Changes the state of a job and notifies its subscribers; none if there is no such job.
    pub(crate) fn apply(
        &mut self,
        id: JobId,
        event: JobEvent,
        (wall, now): (Timestamp, Moment),
        host: HostId,
    ) -> Option<Result<&Job, IllegalTransition>> {
        let entry = self.entries.get_mut(&id)?;
        if let Err(error) = entry.job.apply(event, wall) {
            return Some(Err(error));
        }
        let (is_over, has_failed) = (entry.job.state().is_final(), is_failed(&entry.job));
        entry.job.host = is_processing(&entry.job).then_some(host);
        if is_processing(&entry.job) {
            self.processing.insert(id);
        } else {
            self.processing.remove(&id);
        }
        entry.ended = is_over.then_some(now);
        if is_over {
            self.ended.push_back((now, id));
            self.retained_videos.extend(has_failed.then_some(id));
        } else {
            self.drop_end(id);
        }
        self.notify(id);
        self.get(id).map(Ok)
    }

    /// A job, to add what is known of its attempts.
    pub(crate) fn get_mut(&mut self, id: JobId) -> Option<&mut Job> {
        self.entries.get_mut(&id).map(|entry| &mut entry.job)
    }

    /// Jobs that a worker processes, on any host.
    pub(crate) fn processing(&self) -> impl Iterator<Item = &Job> {
        self.processing.iter().filter_map(|id| self.get(*id))
    }

    /// Lowers the memory caps of all pending jobs to the available memory.
    pub(crate) fn lower_caps(&mut self, available_bytes: u64) {
        for entry in self.entries.values_mut() {
            entry.job.lower_cap(available_bytes);
        }
    }

    /// The job of an idempotency key; it may not be in the table yet.
    pub(crate) fn job_of_key(&self, key: &str) -> Option<JobId> {
        self.keys.get(key).copied()
    }

    /// Reserves an idempotency key for a job that is about to be inserted.
    pub(crate) fn reserve_key(&mut self, key: String, id: JobId) {
        self.keys.insert(key, id);
    }

    /// Releases the idempotency key of a job that was not inserted.
    pub(crate) fn release_key(&mut self, key: &str, id: JobId) {
        if self.keys.get(key) == Some(&id) {
            self.keys.remove(key);
        }
    }

    /// The job that ended first, and when.
    pub(crate) fn first_ended(&self) -> Option<(Moment, JobId)> {
        self.ended.front().copied()
    }

    /// Ended jobs, latest first.
    pub(crate) fn latest_ended(&self) -> impl Iterator<Item = JobId> {
        self.ended.iter().rev().map(|(_, id)| *id)
    }

    /// Number of ended jobs.
    pub(crate) fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// Whether the video of a failed job is kept.
    pub(crate) fn retains_video(&self, id: JobId) -> bool {
        self.retained_videos.contains(&id)
    }

    /// Stops keeping the oldest video if more than `kept_max` are kept; returns its job.
    pub(crate) fn pop_retained_video(&mut self, kept_max: usize) -> Option<JobId> {
        (self.retained_videos.len() > kept_max).then(|| self.retained_videos.pop_front())?
    }
}

const fn is_processing(job: &Job) -> bool {
    matches!(job.state(), JobState::Processing { .. })
}

fn is_failed(job: &Job) -> bool {
    matches!(job.state(), JobState::Failed { .. })
}

/// Unless its video is missing in the state folder.
fn may_be_retried(job: &Job) -> bool {
    is_failed(job) && !job.is_video_discarded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::display_name::DisplayName;
    use crate::policy::job::{JobError, Upload};
    use bodyscript_protocol::options::Options;
    use proptest::prelude::*;

    fn job(id: JobId, key: Option<usize>) -> Job {
        let upload = Upload {
            filename: DisplayName::new("clip.mp4"),
            bytes: 1,
            sha256: String::new(),
            options: Options::default(),
            idempotency_key: key.map(|key| key.to_string()),
        };
        Job::new(id, upload, 100, Timestamp::UNIX_EPOCH)
    }

    fn event(pick: u8) -> JobEvent {
        match pick {
            0 => JobEvent::Started,
            1 => JobEvent::Failed(JobError { code: "x".into(), sentence: "X.".into() }),
            2 => JobEvent::Cancelled,
            _ => JobEvent::Retried { memory_bytes_max: 100 },
        }
    }

    /// What every list must agree on.
    fn check(table: &JobTable) -> Result<(), TestCaseError> {
        let ended: HashSet<_> = table.latest_ended().collect();
        prop_assert_eq!(ended.len(), table.ended_len(), "each once");
        let is_over = |job: &&Job| job.state().is_final();
        prop_assert_eq!(&ended, &table.iter().filter(is_over).map(|job| job.id).collect());
        let moments: Vec<_> = table.ended.iter().map(|(moment, _)| *moment).collect();
        prop_assert!(moments.is_sorted());
        for id in &table.retained_videos {
            prop_assert!(table.get(*id).is_some_and(is_failed));
        }
        for job in table.iter() {
            let row = table.row(job.id).expect("it is there");
            prop_assert_eq!(row.ended.is_some(), job.state().is_final());
            if let Some(key) = &job.upload.idempotency_key {
                prop_assert_eq!(table.job_of_key(key), Some(job.id));
            }
        }
        let is_processing = |job: &&Job| super::is_processing(job);
        let processing: BTreeSet<_> =
            table.iter().filter(is_processing).map(|job| job.id).collect();
        prop_assert_eq!(&processing, &table.processing);
        prop_assert!(table.keys.values().all(|id| table.get(*id).is_some()));
        Ok(())
    }

    proptest! {
        #[test]
        fn all_lists_agree_with_the_jobs(
            steps in prop::collection::vec((0u8..8, 0usize..6), 0..80),
        ) {
            let ids: Vec<_> = (0..6).map(|_| JobId::random()).collect();
            let mut table = JobTable::default();
            for (time, (step, pick)) in steps.into_iter().enumerate() {
                let id = ids[pick];
                match step {
                    0..4 => {
                        let at = (Timestamp::UNIX_EPOCH, Moment::from_ms(time as i64));
                        drop(table.apply(id, event(step), at, HostId::ALONE));
                    }
                    4 => drop(table.remove(id)),
                    5 => drop(table.pop_retained_video(1)),
                    // As another host changes it.
                    6 if let Some(mut row) = table.row(id) => {
                        let at = Timestamp::UNIX_EPOCH;
                        if row.job.apply(event(time as u8 % 4), at).is_ok() {
                            let is_over = row.job.state().is_final();
                            row.ended = is_over.then_some(Moment::from_ms(time as i64));
                            table.replace(row);
                        }
                    }
                    _ if table.get(id).is_none() => {
                        table.insert(job(id, (pick % 2 == 0).then_some(pick)));
                    }
                    _ => {}
                }
                check(&table)?;
            }
            let rows = ids.iter().filter_map(|id| table.row(*id)).collect();
            let videos = table.retained_videos.iter().copied().collect();
            let restored = JobTable::restore(rows, &videos);
            check(&restored)?;
            prop_assert_eq!(&restored.ended, &table.ended);
            prop_assert_eq!(&restored.retained_videos, &table.retained_videos);
        }
    }
}
