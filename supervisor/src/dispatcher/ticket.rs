//! What an admitted upload holds until it is a job.

use crate::policy::open_upload::OpenUpload;
use crate::runner::attempt::origin::Origin;
use std::sync::Arc;

/// An admitted upload. Its place in the queue is reserved while bytes arrive, until this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    upload: Arc<OpenUpload>,
    pub(super) origin: Origin,
    is_repeatable: bool,
}

impl Ticket {
    pub(super) fn new(upload: Arc<OpenUpload>) -> Self {
        Self { upload, origin: Origin::NONE, is_repeatable: false }
    }

    /// Adds the request that carries the upload, for the log.
    pub(crate) fn from(self, origin: Origin) -> Self {
        Self { origin, ..self }
    }

    /// Lets other hosts submit the same upload under the same id: one that fails to takes nothing back.
    pub(crate) fn repeatable(self) -> Self {
        Self { is_repeatable: true, ..self }
    }

    /// Whether other hosts may submit the same upload.
    pub(crate) const fn is_repeatable(&self) -> bool {
        self.is_repeatable
    }

    /// To be told of the bytes that arrive.
    pub(crate) fn upload(&self) -> Arc<OpenUpload> {
        Arc::clone(&self.upload)
    }
}
