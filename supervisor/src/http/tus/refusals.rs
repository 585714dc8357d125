//! The error responses of resumable uploads in the OpenAPI document.

use crate::http::openapi::refusals::refusals;

refusals! {
    ResumableStartRefusals: TusVersion InvalidHeader UnsupportedContentCoding MalformedQuery RepeatedField ConflictingFields
        InvalidField WebhooksOff WebhookAddress UploadTooLarge UploadBeyondLength UploadStalled UploadTooSlow
        UploadBroken UploadLocked ChecksumMismatch TooManyResumable QueueFull MemoryShort
        DiskFull StoreUnreachable JournalUnreachable JournalLost Overloaded TooManyUploads TooManyJobs OtherOrigin Paused Stopping;
    ResumableAppendRefusals: TusVersion UnknownAddress UploadNotFound InvalidHeader
        UnsupportedMediaType UnsupportedContentCoding OffsetConflict UploadBeyondLength UploadStalled UploadTooSlow
        UploadBroken UploadLocked ChecksumMismatch QueueFull MemoryShort DiskFull StoreUnreachable JournalUnreachable JournalLost
        Overloaded OtherOrigin Paused Stopping;
    ResumableRefusals: Overloaded TusVersion UnknownAddress UploadNotFound UploadLocked
        JournalUnreachable OtherOrigin Stopping;
}
