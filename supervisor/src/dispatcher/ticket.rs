//! What an admitted upload holds until it is a job.

use crate::policy::open_upload::OpenUpload;
use crate::runner::attempt::origin::Origin;
use std::sync::Arc;

/// An admitted upload. Its place in the queue is reserved while bytes arrive, until this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    upload: Arc<OpenUpload>,
    pub(super) origin: Origin,
}

impl Ticket {
    pub(super) fn new(upload: Arc<OpenUpload>) -> Self {
        Self { upload, origin: Origin::NONE }
    }

    /// Adds the request that carries the upload, for the log.
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// To be told of the bytes that arrive.
    pub(crate) fn upload(&self) -> Arc<OpenUpload> {
        Arc::clone(&self.upload)
    }
}
