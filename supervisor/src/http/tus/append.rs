//! Appends the body of one request to a resumable upload.
//!
//! Runs in a separate task: when a connection breaks, its handler is dropped, but the bytes
//! received before must still be committed. With a checksum, all bytes are committed or none.

use crate::dispatcher::Ticket;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::tus::completion::{UploadState, complete, job_of};
use crate::http::tus::headers::Checksum;
use crate::http::upload::body::Chunks;
use crate::http::upload::file_writer::FileWriter;
use crate::store::{ResumableError, ResumableRecord, UploadLock};
use axum::body::Body;
use bytes::Bytes;
use http_body::Body as _;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::Instrument;

/// Number of bytes after which the offset is committed.
const COMMIT_EVERY_BYTES: u64 = 4 << 20;

/// How often a request that waits for bytes shows other hosts that it works on the upload.
const TOUCH_PERIOD: Duration = Duration::from_secs(2);

/// An admitted request that appends to an upload.
pub(crate) struct Append {
    pub(crate) lock: UploadLock,
    pub(crate) ticket: Ticket,
    pub(crate) checksum: Option<Checksum>,
}

/// An upload while bytes are appended.
struct AppendTask {
    service: Service,
    lock: UploadLock,
    file: FileWriter,
    record: ResumableRecord,
    checksum: Option<Checksum>,
    /// Bytes written after the committed offset.
    pending: u64,
}

/// Receives the body and, if that completes the upload, submits the job.
pub(crate) async fn run(
    service: Service,
    append: Append,
    record: ResumableRecord,
    body: Body,
) -> Result<UploadState, ApiError> {
    let task = tokio::spawn(receive_and_complete(service, append, record, body).in_current_span());
    task.await.map_err(|_| ApiError::Internal)?
}

async fn receive_and_complete(
    service: Service,
    append: Append,
    record: ResumableRecord,
    body: Body,
) -> Result<UploadState, ApiError> {
    let Append { lock, ticket, checksum } = append;
    let id = lock.id();
    let announced = body.size_hint().exact().unwrap_or(0);
    let mut chunks = Chunks::start(body, ticket.upload(), &service.config.http);
    if announced > record.length - record.offset {
        return Err(ApiError::UploadBeyondLength { length: record.length });
    }
    // A client that missed the response to its last bytes sends a request without bytes at the end.
    if let Some(job) = job_of(&service, id, &record).await? {
        return match chunks.next().await {
            None => Ok(UploadState { record, job: Some(job) }),
            Some(Ok(_)) => Err(ApiError::UploadBeyondLength { length: record.length }),
            Some(Err(error)) => Err(error.to_api_error(&service.config.http)),
        };
    }
    let uploads = &service.resumables;
    let file = FileWriter::new(uploads.open_data(id, &record).await?, &uploads.path(id));
    let mut task =
        AppendTask { service: service.clone(), lock, file, record, checksum, pending: 0 };
    let received = task.receive(chunks).await;
    let committed = match (received, task.checksum.take().map(Checksum::matches)) {
        (Ok(()), Some(false)) => return Err(ApiError::ChecksumMismatch),
        // The checksum can't be verified on an incomplete body.
        (Err(error), Some(_)) => return Err(error),
        (received, _) => task.commit().await.and(received),
    };
    // The lock is held until the job is submitted.
    let AppendTask { lock: _lock, record, .. } = task;
    committed?;
    if record.is_complete() {
        complete(&service, id, record, ticket).await
    } else {
        Ok(UploadState { record, job: None })
    }
}

impl AppendTask {
    async fn receive(&mut self, mut chunks: Chunks) -> Result<(), ApiError> {
        let mut touches = interval(TOUCH_PERIOD);
        touches.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let chunk = self.next(&mut chunks, &mut touches).await?;
            let Some(chunk) = chunk else { return Ok(()) };
            let bytes = chunk.len() as u64;
            if self.record.offset + self.pending + bytes > self.record.length {
                return Err(ApiError::UploadBeyondLength { length: self.record.length });
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            self.file.write(chunk).await?;
            self.pending += bytes;
            if self.checksum.is_none() && self.pending >= COMMIT_EVERY_BYTES {
                self.commit().await?;
            }
        }
    }

    /// The next chunk; none at the end of the body.
    async fn next(
        &self,
        chunks: &mut Chunks,
        touches: &mut Interval,
    ) -> Result<Option<Bytes>, ApiError> {
        let uploads = &self.service.resumables;
        // Kept over the touches: it measures how long the client sends nothing.
        let mut next = pin!(chunks.next());
        loop {
            tokio::select! {
                chunk = &mut next => {
                    let chunk = chunk.transpose();
                    return chunk.map_err(|error| error.to_api_error(&self.service.config.http));
                }
                _ = touches.tick(), if uploads.are_shared() => {
                    uploads.touch(self.lock.id(), &self.record).await.map_err(taken_over)?;
                }
                () = self.lock.takeover_requested() => return Err(ApiError::UploadLocked),
                () = self.service.closing.cancelled() => return Err(ApiError::Stopping),
            }
        }
    }

    /// Syncs the written bytes and commits the new offset.
    async fn commit(&mut self) -> Result<(), ApiError> {
        if self.pending == 0 {
            return Ok(());
        }
        self.file.sync().await?;
        let uploads = &self.service.resumables;
        self.record = uploads.commit(self.lock.id(), &self.record, self.pending).await?;
        self.pending = 0;
        Ok(())
    }
}

/// Why a request ends that waits for bytes.
fn taken_over(error: ResumableError) -> ApiError {
    match error {
        ResumableError::Moved { .. } => ApiError::UploadLocked,
        error => error.into(),
    }
}
