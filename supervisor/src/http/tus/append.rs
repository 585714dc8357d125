//! The bytes of one request on their way to the disk.
//!
//! They go in a task of its own: a connection that breaks takes its handler with it, and what
//! came before the break is to count all the same. With a checksum all of them count or none.

use crate::dispatcher::Ticket;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::tus::headers::Checksum;
use crate::http::tus::{UploadState, complete, job_of};
use crate::http::upload::blocking;
use crate::http::upload::body::Chunks;
use crate::store::error::StateError;
use crate::store::resumable::Record;
use crate::store::resumable::upload_lock::UploadLock;
use axum::body::Body;
use futures_util::StreamExt;
use http_body::Body as _;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use tracing::Instrument;

/// Bytes that come before they are made to count.
const SETTLE_EVERY: u64 = 4 << 20;

/// What a request may do.
pub(crate) struct Append {
    pub(crate) hold: UploadLock,
    pub(crate) ticket: Ticket,
    pub(crate) checksum: Option<Checksum>,
}

/// An upload that grows.
struct Growth {
    service: Service,
    hold: UploadLock,
    file: File,
    path: PathBuf,
    record: Record,
    checksum: Option<Checksum>,
    /// Bytes written that do not count yet.
    pending: u64,
}

/// Takes the body in and, if the upload is complete then, makes a job of it.
pub(crate) async fn run(
    service: Service,
    plan: Append,
    record: Record,
    body: Body,
) -> Result<UploadState, ApiError> {
    let task = tokio::spawn(take_in(service, plan, record, body).in_current_span());
    task.await.map_err(|_| ApiError::Internal)?
}

async fn take_in(
    service: Service,
    plan: Append,
    record: Record,
    body: Body,
) -> Result<UploadState, ApiError> {
    let Append { hold, ticket, checksum } = plan;
    let id = hold.id();
    let announced = body.size_hint().exact().unwrap_or(0);
    let mut chunks = Chunks::of(body, &service.config.http);
    if announced > record.length - record.offset {
        return Err(ApiError::UploadBeyondLength { length: record.length });
    }
    // A client that did not hear that its last bytes came asks again, at the end and with none.
    if let Some(job) = job_of(&service, id).await? {
        return match chunks.next().await {
            None => Ok(UploadState { record, job: Some(job) }),
            Some(Ok(_)) => Err(ApiError::UploadBeyondLength { length: record.length }),
            Some(Err(error)) => Err(error.told(&service.config.http)),
        };
    }
    let uploads = Arc::clone(&service.resumables);
    let path = uploads.path(id);
    let (file, record) =
        blocking(move || uploads.open_data(id, &record).map(|file| (File::from_std(file), record)))
            .await??;
    let mut growth =
        Growth { service: service.clone(), hold, file, path, record, checksum, pending: 0 };
    let came = growth.receive(chunks).await;
    let settled = match (came, growth.checksum.take().map(Checksum::holds)) {
        (Ok(()), Some(false)) => return Err(ApiError::ChecksumMismatch),
        // Without the rest nobody can tell whether they are right.
        (Err(error), Some(_)) => return Err(error),
        (came, _) => growth.settle().await.and(came),
    };
    // The hold lasts until the job is there.
    let Growth { hold: _hold, record, .. } = growth;
    settled?;
    if record.is_complete() {
        complete(&service, id, record, ticket).await
    } else {
        Ok(UploadState { record, job: None })
    }
}

impl Growth {
    async fn receive(&mut self, mut chunks: Chunks) -> Result<(), ApiError> {
        loop {
            let chunk = tokio::select! {
                chunk = chunks.next() => chunk,
                () = self.hold.wanted() => return Err(ApiError::UploadLocked),
                () = self.service.closing.cancelled() => return Err(ApiError::Stopping),
            };
            let Some(chunk) = chunk else { return Ok(()) };
            let chunk = chunk.map_err(|error| error.told(&self.service.config.http))?;
            let bytes = chunk.len() as u64;
            if self.record.offset + self.pending + bytes > self.record.length {
                return Err(ApiError::UploadBeyondLength { length: self.record.length });
            }
            if let Some(checksum) = &mut self.checksum {
                checksum.update(&chunk);
            }
            if let Err(source) = self.file.write_all(&chunk).await {
                // The failure may be that of an earlier chunk, which was taken before it was
                // written: nobody knows how much of what does not count yet is there.
                self.pending = 0;
                return Err(self.failed(source).into());
            }
            self.pending += bytes;
            if self.checksum.is_none() && self.pending >= SETTLE_EVERY {
                self.settle().await?;
            }
        }
    }

    /// Makes what was written count.
    async fn settle(&mut self) -> Result<(), ApiError> {
        if self.pending == 0 {
            return Ok(());
        }
        let synced = match self.file.flush().await {
            Ok(()) => self.file.sync_data().await,
            Err(error) => Err(error),
        };
        synced.map_err(|source| self.failed(source))?;
        let mut record = self.record.clone();
        record.offset += self.pending;
        let (uploads, id) = (Arc::clone(&self.service.resumables), self.hold.id());
        self.record = blocking(move || uploads.write(id, &record).map(|()| record)).await??;
        self.pending = 0;
        Ok(())
    }

    fn failed(&self, source: std::io::Error) -> StateError {
        StateError::Io { what: "written to", path: self.path.clone(), source }
    }
}
