//! The files of jobs as the rest of the program uses them: in the state folder and, if one is configured, in a store
//! that hosts share ([`crate::store::objects`]).
//!
//! The state folder is where workers read and write, and a cache of what is shared. Without a shared store the calls
//! here do what those of [`StateDir`] do. None blocks.

use crate::policy::job::JobId;
use crate::store::artefacts::{AttemptFolder, StateDir};
use crate::store::blocking::blocking;
use crate::store::error::{StateError, failed};
use crate::store::journal::RemovedPart;
use crate::store::objects::{Objects, PosePart, Stored};
use bodyscript_protocol::artefact::Artefact;
use bytes::Bytes;
use jiff::Timestamp;
use std::fs::{self, FileTimes, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use tokio::fs::try_exists;
use tokio::time::sleep;

/// How often the shared store is asked whether it answers.
const PROBE_PERIOD: Duration = Duration::from_secs(5);

/// The files of jobs.
#[derive(Debug, Clone)]
pub(crate) struct ArtefactStore {
    folder: StateDir,
    objects: Option<Objects>,
}

/// The results of a job: which claim made them, and when it completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ResultsOf {
    /// The job.
    pub job: JobId,
    /// The number of the claim.
    pub claim: u32,
    /// When the job completed.
    pub completed_at: Timestamp,
}

impl ArtefactStore {
    /// Files in the state folder, and in a shared store if there is one.
    pub(crate) const fn new(folder: StateDir, objects: Option<Objects>) -> Self {
        Self { folder, objects }
    }

    /// The state folder.
    pub(crate) const fn folder(&self) -> &StateDir {
        &self.folder
    }

    /// Whether there is a shared store.
    pub(crate) const fn is_shared(&self) -> bool {
        self.objects.is_some()
    }

    /// Whether the shared store, if there is one, has answered its last request.
    pub(crate) fn is_reachable(&self) -> bool {
        self.objects.as_ref().is_none_or(Objects::is_reachable)
    }

    /// How long the shared store, if there is one, took to answer its last request.
    pub(crate) fn latency(&self) -> Option<Duration> {
        self.objects.as_ref().and_then(Objects::latency)
    }

    /// Asks the shared store now and then whether it answers; returns at once without one.
    pub(crate) async fn probe(&self) {
        let Some(objects) = &self.objects else { return };
        loop {
            // The result is noted and logged there.
            let _ = objects.probe().await;
            sleep(PROBE_PERIOD).await;
        }
    }

    /// Shares a complete upload.
    pub(crate) async fn share_upload(&self, id: JobId) -> Result<(), StateError> {
        match &self.objects {
            Some(objects) => objects.put(&self.folder.upload(id), &objects.upload(id)).await,
            None => Ok(()),
        }
    }

    /// Fetches a shared upload, unless it is in the state folder.
    pub(crate) async fn fetch_upload(&self, id: JobId) -> Result<(), StateError> {
        let Some(objects) = &self.objects else { return Ok(()) };
        let file = self.folder.upload(id);
        if !is_there(&file).await? {
            objects.get(&objects.upload(id), &file).await?;
        }
        Ok(())
    }

    /// Shares the artefacts and the outcome of a finished attempt.
    pub(crate) async fn share_results(
        &self,
        (job, claim): (JobId, u32),
        folder: &AttemptFolder,
    ) -> Result<(), StateError> {
        let Some(objects) = &self.objects else { return Ok(()) };
        for (name, file) in folder.files() {
            objects.put(&file, &objects.result(job, claim, name)).await?;
        }
        Ok(())
    }

    /// The path of an artefact of a completed job, fetched if need be. If there is none, neither is the file.
    pub(crate) async fn result(
        &self,
        of: ResultsOf,
        artefact: Artefact,
    ) -> Result<PathBuf, StateError> {
        let file = self.folder.result(of.job, artefact);
        let Some(objects) = &self.objects else { return Ok(file) };
        if !is_there(&file).await? {
            match self.fetch_result(objects, of, artefact).await {
                Ok(true) => {}
                // An attempt of this host was published meanwhile; its folder replaces that of the copy.
                _ if is_there(&file).await? => {}
                Ok(false) => return Ok(file),
                Err(error) => return Err(error),
            }
        }
        blocking(move || match date(&file, of.completed_at) {
            Ok(()) => Ok(file),
            Err(error) => Err(failed("dated", &file)(error)),
        })
        .await
    }

    /// Whether there is such an artefact; if so it is copied to the state folder.
    async fn fetch_result(
        &self,
        objects: &Objects,
        of: ResultsOf,
        artefact: Artefact,
    ) -> Result<bool, StateError> {
        let state = self.folder.clone();
        let folder = blocking(move || state.create_results(of.job)).await?;
        let object = objects.result(of.job, of.claim, artefact.file_name());
        objects.get(&object, &folder.join(artefact.file_name())).await
    }

    /// The URL from which a client can download an artefact of a completed job for a while, under this
    /// `Content-Disposition`; none without a store that has such URLs.
    pub(crate) async fn result_url(
        &self,
        of: ResultsOf,
        artefact: Artefact,
        disposition: &str,
    ) -> Result<Option<String>, StateError> {
        let Some(objects) = &self.objects else { return Ok(None) };
        let object = objects.result(of.job, of.claim, artefact.file_name());
        objects.url(&object, artefact.media_type(), disposition).await
    }

    /// Shares poses of a running job.
    pub(crate) async fn share_poses(&self, part: PosePart, lines: Bytes) -> Result<(), StateError> {
        match &self.objects {
            Some(objects) => objects.put_poses(part, lines).await,
            None => Ok(()),
        }
    }

    /// Poses of a job that another host processes; none if that has not shared them yet.
    pub(crate) async fn shared_poses(&self, part: PosePart) -> Result<Option<Bytes>, StateError> {
        match &self.objects {
            Some(objects) => objects.get_poses(part).await,
            None => Ok(None),
        }
    }

    /// Removes files of a job.
    pub(crate) async fn remove(&self, id: JobId, part: RemovedPart) -> Result<(), StateError> {
        let folder = self.folder.clone();
        let removed = blocking(move || match part {
            RemovedPart::Job => folder.remove(id),
            RemovedPart::Upload => folder.remove_leftovers(id),
        });
        removed.await?;
        let Some(objects) = &self.objects else { return Ok(()) };
        objects.remove_upload(id).await?;
        objects.remove_poses(id).await?;
        match part {
            RemovedPart::Job => objects.remove_results(id).await,
            RemovedPart::Upload => Ok(()),
        }
    }

    /// Removes the results of a claim that the journal has refused.
    pub(crate) async fn discard_results(&self, id: JobId, claim: u32) -> Result<(), StateError> {
        match &self.objects {
            Some(objects) => objects.remove_claim(id, claim).await,
            None => Ok(()),
        }
    }

    /// Removes the results of all claims of a completed job but the one that completed it: of hosts that were lost.
    pub(crate) async fn discard_other_results(
        &self,
        id: JobId,
        claim: u32,
    ) -> Result<(), StateError> {
        match &self.objects {
            Some(objects) => objects.remove_other_claims(id, claim).await,
            None => Ok(()),
        }
    }

    /// Removes objects from before this time that `is_kept` does not know; returns how many.
    pub(crate) async fn sweep(
        &self,
        before: Timestamp,
        is_kept: impl Fn(&Stored) -> bool + Send,
    ) -> Result<usize, StateError> {
        match &self.objects {
            Some(objects) => objects.sweep(before, is_kept).await,
            None => Ok(0),
        }
    }

    /// Removes the copies of a job that another host has removed; what cannot be removed is left to the next start.
    pub(crate) fn remove_local(&self, id: JobId) {
        let folder = self.folder.clone();
        drop(tokio::task::spawn_blocking(move || folder.remove(id)));
    }

    /// Removes the copy of the upload of a job that another host has ended; likewise.
    pub(crate) fn remove_local_upload(&self, id: JobId) {
        let folder = self.folder.clone();
        drop(tokio::task::spawn_blocking(move || folder.remove_upload(id)));
    }

    /// Removes an upload that did not become a job.
    pub(crate) async fn remove_upload(&self, id: JobId) -> Result<(), StateError> {
        let folder = self.folder.clone();
        blocking(move || folder.remove_upload(id)).await?;
        match &self.objects {
            Some(objects) => objects.remove_upload(id).await,
            None => Ok(()),
        }
    }

    /// Removes the folder of an attempt.
    pub(crate) async fn discard_attempt(&self, id: JobId, number: u32) -> Result<(), StateError> {
        let folder = self.folder.clone();
        blocking(move || folder.discard_attempt(id, number)).await
    }
}

async fn is_there(file: &Path) -> Result<bool, StateError> {
    try_exists(file).await.map_err(failed("found", file))
}

/// Gives a copy the same date on every host, from which `Last-Modified` and `ETag` follow.
fn date(file: &Path, at: Timestamp) -> io::Result<()> {
    let since_1970 = Duration::from_millis(at.as_millisecond().unsigned_abs());
    let at = SystemTime::UNIX_EPOCH + since_1970;
    if fs::metadata(file)?.modified()? != at {
        let times = FileTimes::new().set_modified(at);
        OpenOptions::new().write(true).open(file)?.set_times(times)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::objects::{ObjectsConfig, ObjectsUrl};

    /// So many that one of them meets the moment.
    const ROUNDS: usize = 3000;

    /// A client can ask for a result while the attempt of this host publishes it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_result_is_found_while_its_attempt_is_published() {
        let shared = tempfile::tempdir().expect("a folder");
        let own = tempfile::tempdir().expect("a folder");
        let url = ObjectsUrl::Folder(shared.path().to_owned());
        let config = ObjectsConfig { url, endpoint: None, credentials_file: None, redirect: false };
        let objects = Objects::open(&config).expect("opens");
        let (state, _lock) = StateDir::open(own.path()).expect("opens");
        let store = ArtefactStore::new(state.clone(), Some(objects));
        for _ in 0..ROUNDS {
            let job = JobId::random();
            let attempt = own.path().join("attempt");
            fs::create_dir(&attempt).expect("creates");
            fs::write(attempt.join(Artefact::Csv.file_name()), "frame").expect("writes");
            let file = state.result(job, Artefact::Csv);
            let to = file.parent().expect("a folder").to_owned();
            let (begin, begun) = std::sync::mpsc::channel();
            let published = tokio::task::spawn_blocking(move || {
                begun.recv().expect("begins");
                while fs::rename(&attempt, &to).is_err() {}
            });
            let of = ResultsOf { job, claim: 1, completed_at: Timestamp::UNIX_EPOCH };
            store.result(of, Artefact::Csv).await.expect("no error");
            begin.send(()).expect("is awaited");
            while !published.is_finished() {
                store.result(of, Artefact::Csv).await.expect("no error");
            }
            assert!(file.exists());
        }
    }
}
