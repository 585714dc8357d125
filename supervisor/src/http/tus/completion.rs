//! Makes a complete upload a job, or finds the job that it became.
//!
//! Hosts that share a journal may do so at the same time, or one after another that was lost in between: they submit the
//! same job, which exists once.

use crate::dispatcher::Ticket;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use crate::http::tus::headers::Metadata;
use crate::http::upload::received_file::hex;
use crate::http::upload::share_and_submit;
use crate::policy::job::{JobId, Upload};
use crate::store::{ResumableRecord, UploadLock, failpoint};
use tracing::Instrument;

/// The state of an upload after a request.
pub(crate) struct UploadState {
    pub(crate) record: ResumableRecord,
    /// The job the upload became.
    pub(crate) job: Option<JobId>,
}

/// The job that an upload became, if it is complete.
pub(crate) async fn job_of(
    service: &Service,
    id: JobId,
    record: &ResumableRecord,
) -> Result<Option<JobId>, ApiError> {
    if !record.is_submitted {
        return Ok(None);
    }
    // A shared journal was asked together with the record.
    let is_there =
        service.resumables.are_shared() || service.dispatcher.status(id).await?.is_some();
    is_there.then_some(Some(id)).ok_or(ApiError::UploadNotFound)
}

/// Submits a complete upload as a job, whether or not the client waits for it.
pub(crate) async fn run(
    service: Service,
    lock: UploadLock,
    record: ResumableRecord,
    ticket: Ticket,
) -> Result<UploadState, ApiError> {
    let task = async move { complete(&service, lock.id(), record, ticket).await };
    tokio::spawn(task.in_current_span()).await.map_err(|_| ApiError::Internal)?
}

/// Submits a complete upload as a job. The caller holds its lock.
pub(crate) async fn complete(
    service: &Service,
    id: JobId,
    record: ResumableRecord,
    ticket: Ticket,
) -> Result<UploadState, ApiError> {
    let uploads = &service.resumables;
    if let Err(error) = submit(service, id, &record, ticket).await {
        if !uploads.are_shared() {
            return Err(error);
        }
        // Another host may have completed or removed it meanwhile.
        let current = uploads.find(id).await?.ok_or(ApiError::UploadNotFound)?;
        if !current.is_submitted {
            return Err(error);
        }
    }
    failpoint::reach("resumable_submitted");
    match uploads.release(id).await {
        Ok(true) => {}
        Ok(false) => {
            // Removed by another host, which knew of no job.
            service.dispatcher.remove(id).await??;
            return Err(ApiError::UploadNotFound);
        }
        Err(error) => {
            tracing::warn!(job = %id, %error, "cannot delete an upload before it expires");
        }
    }
    Ok(UploadState { record, job: Some(id) })
}

async fn submit(
    service: &Service,
    id: JobId,
    record: &ResumableRecord,
    ticket: Ticket,
) -> Result<(), ApiError> {
    if service.dispatcher.status(id).await?.is_some() {
        return Ok(());
    }
    let Metadata { filename, options, .. } = Metadata::of(&record.metadata)?;
    let sha256 = service.resumables.link_into_spool(id, record, &service.state).await?;
    let webhook = options.webhook().cloned();
    let upload = Upload {
        filename,
        bytes: record.length,
        sha256: hex(&sha256),
        options: options.options(service.models)?,
        idempotency_key: None,
    };
    let ticket = if service.resumables.are_shared() { ticket.repeatable() } else { ticket };
    share_and_submit(service, (ticket, id), upload, webhook).await.map(drop)
}
