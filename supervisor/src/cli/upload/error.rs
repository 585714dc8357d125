//! Why an upload, or the whole command, failed.

use crate::cli::batch::error::{BatchError, shown};
use hyper::StatusCode;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// Why the command could not begin.
#[derive(Debug, Error)]
pub enum UploadError {
    /// The address of the service.
    #[error(
        "{0} is not the address of a service; expected one such as http://127.0.0.1:8000 or https://example.org"
    )]
    Address(String),
    /// The certificates of this host.
    #[error("cannot use the certificates of this host: {0}")]
    Certificates(#[source] rustls::Error),
    /// The videos, or the output folder.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// The signal handlers could not be installed.
    #[error("cannot listen for signals: {0}")]
    Signals(#[source] io::Error),
}

/// Why one video could not be uploaded, or its results not be fetched.
#[derive(Debug, Error)]
pub(crate) enum TransferError {
    #[error("cannot reach the service: {0}")]
    Unreachable(String),
    #[error("no secure connection to the service: {0}")]
    Insecure(String),
    #[error("the service did not respond for {} s", .0.as_secs())]
    Silent(Duration),
    /// The service refused the request.
    #[error("{detail}")]
    Refused {
        status: StatusCode,
        code: Option<String>,
        detail: String,
        retry_after: Option<Duration>,
    },
    #[error("this is no service of BodyScript: {0}")]
    NotUnderstood(&'static str),
    #[error("{} cannot be {what}: {source}", shown(path))]
    File { what: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Output(#[from] BatchError),
}

impl TransferError {
    /// Whether the same request may succeed later.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Silent(_) => true,
            // 460 is a checksum that a broken connection spoilt; 409 and 423 follow one that the service still waits for.
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || [408, 409, 423, 425, 429, 460].contains(&status.as_u16())
            }
            Self::Insecure(_) | Self::NotUnderstood(_) | Self::File { .. } | Self::Output(_) => {
                false
            }
        }
    }

    /// Whether what the request is about does not exist (any more).
    pub(crate) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: StatusCode::NOT_FOUND | StatusCode::GONE, .. })
    }

    /// The stable code of a refusal.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => code.as_deref(),
            _ => None,
        }
    }
}
