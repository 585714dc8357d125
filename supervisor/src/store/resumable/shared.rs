//! Resumable uploads that all hosts take which share a journal and a store: successive requests may come to different
//! hosts.
//!
//! Bytes count once they are an object in the store ([`crate::store::objects`]) and the journal lists it. The journal
//! lists a part only if as many bytes count as the writing host knew, so of two hosts that append at once one is refused,
//! and its object is removed. The data file of a host is a cache, with holes where other hosts received the bytes; the
//! one that completes the upload fills them. Called by [`crate::store::resumable`].

use crate::policy::job::JobId;
use crate::policy::retention_rules::ResumableLimits;
use crate::store::artefacts::StateDir;
use crate::store::blocking::blocking;
use crate::store::clock::{Clock, Moment};
use crate::store::error::{StateError, failed};
use crate::store::failpoint;
use crate::store::fs_atomic::{create_file, names, open_at, remove_file, sync};
use crate::store::journal::{Creation, NewPart, NewUpload, UploadTable};
use crate::store::objects::Objects;
use crate::store::resumable::link::link_into_spool;
use crate::store::resumable::negligible::{EMPTY_IDLE_MAX, FEW_BYTES_IDLE_MAX, FEW_BYTES_MAX};
use crate::store::resumable::part_names::PartNames;
use crate::store::resumable::record::{ResumableError, ResumableRecord};
use crate::store::resumable::upload_lock::UploadLocks;
use crate::store::retention::Pressure;
use futures_util::{StreamExt, TryStreamExt, stream};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Parts that are fetched at the same time.
const FETCHED_MAX: usize = 8;

/// An upload that no request has shown to use for so long is used by none.
const IDLE: Duration = Duration::from_secs(10);

/// How often parts in the store are searched for that belong to no upload, as hosts leave them that are lost.
const TIDY_PERIOD: Duration = Duration::from_secs(600);

type Result<T> = std::result::Result<T, ResumableError>;

/// The uploads of all hosts.
#[derive(Debug)]
pub(crate) struct SharedUploads {
    state: StateDir,
    folder: PathBuf,
    clock: Clock,
    limits: ResumableLimits,
    table: UploadTable,
    objects: Objects,
    locks: Arc<UploadLocks>,
    tidied: Mutex<Option<Instant>>,
}

/// A part that counts.
#[derive(Debug)]
struct Part {
    bytes: Range<u64>,
    name: String,
}

impl SharedUploads {
    pub(crate) fn new(
        state: StateDir,
        (folder, clock, limits): (PathBuf, Clock, ResumableLimits),
        (table, objects): (UploadTable, Objects),
        locks: Arc<UploadLocks>,
    ) -> Self {
        let tidied = Mutex::default();
        Self { state, folder, clock, limits, table, objects, locks, tidied }
    }

    fn data(&self, id: JobId) -> PathBuf {
        self.folder.join(id.to_string())
    }

    /// Creates an upload, if need be in place of a negligible one; none if there are too many on all hosts together.
    pub(crate) async fn create(
        &self,
        id: JobId,
        length: u64,
        metadata: String,
    ) -> Result<Option<ResumableRecord>> {
        let upload = NewUpload {
            id,
            length,
            metadata: &metadata,
            uploads_max: self.limits.uploads_max,
            empty_idle: EMPTY_IDLE_MAX,
            few: (FEW_BYTES_MAX, FEW_BYTES_IDLE_MAX),
        };
        let Creation::Created(displaced) = self.table.create(upload).await? else {
            return Ok(None);
        };
        if let Some(displaced) = displaced {
            tracing::info!(job = %displaced, "resumable upload gives way to a new one");
            self.remove_objects(displaced).await;
        }
        let created = self.clock.now();
        Ok(Some(ResumableRecord { length, offset: 0, metadata, created, is_submitted: false }))
    }

    /// The record of an upload that has not expired.
    pub(crate) async fn find(&self, id: JobId) -> Result<Option<ResumableRecord>> {
        let Some(row) = self.table.find(id).await? else { return Ok(None) };
        let age_ms = i64::try_from(row.age.as_millis()).unwrap_or(i64::MAX);
        let record = ResumableRecord {
            length: row.length,
            offset: row.committed,
            metadata: row.metadata,
            created: Moment::from_ms(self.clock.now().as_ms().saturating_sub(age_ms)),
            is_submitted: row.is_job,
        };
        Ok((!self.limits.retention.has_expired(row.age, false)).then_some(record))
    }

    /// Opens the data file of this host at the end of the bytes that count, wherever they are.
    pub(crate) async fn open_data(&self, id: JobId, offset: u64) -> Result<File> {
        let (path, names) = (self.data(id), PartNames::of(&self.folder, id));
        Ok(blocking(move || {
            if !path.exists() {
                // A crash may have left them of a data file that is gone.
                names.remove()?;
                create_file(&path)?;
                let folder = path.parent().unwrap_or(&path);
                sync(folder)?;
            }
            open_at(&path, offset)
        })
        .await?)
    }

    /// Shows that a request works on an upload at this offset. That the database does not answer is told at the next
    /// commit.
    pub(crate) async fn touch(&self, id: JobId, offset: u64) -> Result<()> {
        match self.table.touch(id).await {
            Ok(Some(committed)) if committed == offset => Ok(()),
            Ok(Some(offset)) => Err(ResumableError::Moved { offset }),
            Ok(None) => Err(ResumableError::Gone),
            Err(_) => Ok(()),
        }
    }

    /// Lets bytes count that are in the data file and on the disk.
    pub(crate) async fn commit(&self, id: JobId, bytes: Range<u64>) -> Result<()> {
        let name = PartNames::random(bytes.start);
        let object = self.objects.part(id, &name);
        self.objects.put_part(&self.data(id), bytes.clone(), &object).await?;
        let part = NewPart { start: bytes.start, end: bytes.end, object: &name };
        if self.table.add_part(id, part).await? {
            failpoint::reach("resumable_committed");
            self.note_parts(id, vec![name]).await;
            return Ok(());
        }
        tracing::info!(job = %id, "another host has changed a resumable upload");
        if let Err(error) = self.objects.remove_part(id, &name).await {
            tracing::warn!(job = %id, %error, "a part of an upload is left until the upload is removed");
        }
        Err(match self.find(id).await? {
            Some(record) => ResumableError::Moved { offset: record.offset },
            None => ResumableError::Gone,
        })
    }

    /// Notes that parts are in the data file. If that fails, they will be fetched.
    async fn note_parts(&self, id: JobId, parts: Vec<String>) {
        let names = PartNames::of(&self.folder, id);
        let noted = blocking(move || names.add(parts.iter().map(String::as_str))).await;
        if let Err(error) = noted {
            tracing::warn!(job = %id, %error, "parts of an upload will be fetched again");
        }
    }

    /// Links a complete upload into the spool for a future job; returns its SHA-256. Fetches what other hosts received.
    pub(crate) async fn link_into_spool(&self, id: JobId, length: u64) -> Result<[u8; 32]> {
        let data = self.open_data(id, length).await?;
        let missing = self.missing(id, length).await?;
        if !missing.is_empty() {
            let fetched: Vec<_> = stream::iter(missing)
                .map(|part| self.fetch(id, part))
                .buffer_unordered(FETCHED_MAX)
                .try_collect()
                .await?;
            let path = self.data(id);
            let synced =
                blocking(move || data.sync_data().map_err(failed("written to the disk", &path)));
            synced.await?;
            self.note_parts(id, fetched).await;
        }
        let (from, to) = (self.data(id), self.state.upload(id));
        Ok(blocking(move || link_into_spool(&from, &to)).await?)
    }

    /// The parts that are not in the data file.
    async fn missing(&self, id: JobId, length: u64) -> Result<Vec<Part>> {
        let listed = self.table.parts(id).await?;
        // Another host has completed the upload since its record was read.
        if length > 0 && listed.first().is_none_or(|(start, _)| *start != 0) {
            return Err(ResumableError::Gone);
        }
        let names = PartNames::of(&self.folder, id);
        let here = blocking(move || names.read()).await?;
        let ends =
            listed.iter().skip(1).map(|(start, _)| *start).chain([length]).collect::<Vec<_>>();
        let parts = listed.into_iter().zip(ends);
        let parts = parts.map(|((start, name), end)| Part { bytes: start..end, name });
        Ok(parts.filter(|part| !here.contains(&part.name)).collect())
    }

    /// Copies a part into the data file; gives its name.
    async fn fetch(&self, id: JobId, part: Part) -> Result<String> {
        let object = self.objects.part(id, &part.name);
        if self.objects.get_part(&object, &self.data(id), part.bytes).await? {
            return Ok(part.name);
        }
        // Another host has completed or removed the upload, or the store has lost it.
        let (what, object) = ("read", object.to_string());
        Err(StateError::Object { what, object, source: "it is not there".into() }.into())
    }

    /// Notes that an upload is now a job, and removes its parts; false if the upload was removed.
    pub(crate) async fn release(&self, id: JobId) -> Result<bool> {
        let is_there = self.table.submitted(id).await?;
        self.remove_parts(id).await;
        self.remove_local(id).await?;
        Ok(is_there)
    }

    /// Removes an upload, for all hosts.
    pub(crate) async fn remove(&self, id: JobId) -> Result<()> {
        self.forget(id).await?;
        Ok(self.remove_local(id).await?)
    }

    async fn forget(&self, id: JobId) -> Result<()> {
        let is_job = self.table.remove(id).await?;
        if is_job {
            self.remove_parts(id).await;
        } else {
            self.remove_objects(id).await;
        }
        Ok(())
    }

    /// Removes everything in the store of an upload that has become no job.
    async fn remove_objects(&self, id: JobId) {
        self.remove_parts(id).await;
        if let Err(error) = self.objects.remove_upload(id).await {
            tracing::warn!(job = %id, %error, "an upload is left in the store");
        }
    }

    async fn remove_parts(&self, id: JobId) {
        if let Err(error) = self.objects.remove_parts(id).await {
            tracing::warn!(job = %id, %error, "parts of an upload are left until they are searched for");
        }
    }

    async fn remove_local(&self, id: JobId) -> std::result::Result<(), StateError> {
        let (data, names) = (self.data(id), PartNames::of(&self.folder, id));
        blocking(move || {
            // First the names: bytes without them are fetched, but not names without bytes.
            names.remove()?;
            remove_file(&data)
        })
        .await
    }
}

/// The sweep.
impl SharedUploads {
    /// Removes expired uploads that no request works on, and what belongs to none. Returns the number of removed
    /// uploads.
    pub(crate) async fn sweep(&self, pressure: Pressure) -> Result<usize> {
        for id in self.table.unnoted(IDLE).await? {
            self.release(id).await?;
        }
        let expired = self.table.expired(self.limits.retention.normal, IDLE).await?;
        for id in &expired {
            self.forget(*id).await?;
        }
        self.sweep_folder(pressure).await?;
        if self.is_tidying_due() {
            self.tidy_store().await?;
        }
        Ok(expired.len())
    }

    /// Removes the files of uploads that are over and, while disk space is short, copies of others.
    async fn sweep_folder(&self, pressure: Pressure) -> Result<()> {
        let folder = self.folder.clone();
        let mut files: HashMap<JobId, Vec<PathBuf>> = HashMap::new();
        for name in blocking(move || names(&folder)).await? {
            if let Some(id) = name.split('.').next().and_then(|id| id.parse().ok()) {
                files.entry(id).or_default().push(self.folder.join(name));
            }
        }
        let ids: Vec<_> = files.keys().copied().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let unfinished: HashSet<_> = self.table.unfinished(&ids).await?.into_iter().collect();
        let jobs: HashSet<_> = self.table.jobs(&ids).await?.into_iter().collect();
        for (id, files) in files {
            let is_unfinished = unfinished.contains(&id);
            if is_unfinished && !pressure.disk {
                continue;
            }
            let Some(_lock) = self.locks.try_take(id) else { continue };
            self.remove_local(id).await?;
            if is_unfinished {
                continue;
            }
            // The spool has it if the outcome of its submission was not known.
            let in_spool = (!jobs.contains(&id)).then(|| self.state.upload(id));
            let files = files.into_iter().chain(in_spool);
            blocking(move || files.into_iter().try_for_each(|file| remove_file(&file))).await?;
        }
        Ok(())
    }

    fn is_tidying_due(&self) -> bool {
        let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = tidied.is_none_or(|at| at.elapsed() >= TIDY_PERIOD);
        if is_due {
            *tidied = Some(Instant::now());
        }
        is_due
    }

    /// Removes parts of uploads that are over. Listed before the uploads are: an upload is there before its parts.
    async fn tidy_store(&self) -> Result<()> {
        let ids = self.objects.ids_of_parts().await?;
        let unfinished: HashSet<_> = self.table.unfinished(&ids).await?.into_iter().collect();
        for id in ids.into_iter().filter(|id| !unfinished.contains(id)) {
            self.remove_parts(id).await;
        }
        Ok(())
    }
}
