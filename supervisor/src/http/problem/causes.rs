//! Which error a client gets for an error of the dispatcher or the store.

use crate::dispatcher::{DispatcherStopped, JournalUnreachable, SubmitError};
use crate::http::problem::ApiError;
use crate::policy::admission::Refusal;
use crate::store::{RecordError, ResumableError, StateError};

impl From<DispatcherStopped> for ApiError {
    fn from(_: DispatcherStopped) -> Self {
        Self::Stopping
    }
}

impl From<JournalUnreachable> for ApiError {
    fn from(_: JournalUnreachable) -> Self {
        Self::JournalUnreachable
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closing => Self::Stopping,
            Refusal::Paused => Self::Paused,
            Refusal::JournalLost => Self::JournalLost,
            Refusal::TooLarge { upload_bytes_max } => Self::UploadTooLarge { upload_bytes_max },
            Refusal::QueueFull { retry_after } => Self::QueueFull { retry_after },
            Refusal::MemoryShort { retry_after } => Self::MemoryShort { retry_after },
            Refusal::DiskFull => Self::DiskFull,
            Refusal::DiskRefuses => Self::DiskRefuses,
            Refusal::StoreUnreachable => Self::StoreUnreachable,
            Refusal::JournalUnreachable => Self::JournalUnreachable,
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(reason: SubmitError) -> Self {
        match reason {
            SubmitError::DiskFull => Self::DiskRefuses,
            SubmitError::JournalLost => Self::JournalLost,
            SubmitError::JournalUnreachable => Self::JournalUnreachable,
            SubmitError::Unwritten => Self::Internal,
            SubmitError::KeyReused => Self::KeyReused,
            SubmitError::KeyBusy => Self::KeyBusy,
        }
    }
}

impl From<RecordError> for ApiError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::State(error) => error.into(),
            RecordError::Journal(error) => SubmitError::from(&*error).into(),
        }
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> Self {
        tracing::error!(%error, "an operation on the state folder failed");
        match () {
            () if error.is_disk_full() => Self::DiskRefuses,
            () if error.is_out_of_descriptors() => Self::Overloaded,
            () if error.is_of_shared_store() => Self::StoreUnreachable,
            () => Self::Internal,
        }
    }
}

impl From<ResumableError> for ApiError {
    fn from(error: ResumableError) -> Self {
        match error {
            ResumableError::State(error) => error.into(),
            ResumableError::Journal(error) if error.may_pass() => Self::JournalUnreachable,
            ResumableError::Journal(error) => {
                tracing::error!(%error, "an operation on resumable uploads failed");
                Self::Internal
            }
            ResumableError::Moved { offset } => Self::OffsetConflict { offset },
            ResumableError::Gone => Self::UploadNotFound,
        }
    }
}
