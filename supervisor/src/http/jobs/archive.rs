//! All results of a job as one archive: `/api/download/{id}/all`.
//!
//! The archive is made while it is sent. Its files are copied as they are, because videos and pictures are compressed
//! already; of each a piece is in memory at a time. A file that cannot be read to its end aborts the response, so that
//! no client takes a part of an archive for all of it.

use crate::http::extract::JobIdParam;
use crate::http::jobs::files::{self, Found};
use crate::http::openapi::Bytes as Binary;
use crate::http::openapi::refusals::refusals;
use crate::http::problem::ApiError;
use crate::http::service::Service;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::try_unfold;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use utoipa::IntoResponses;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

/// So many bytes of a file are read at a time.
const PIECE_BYTES: usize = 64 << 10;

refusals! {
    ArchiveRefusals: JobNotFound NotCompleted StoreUnreachable Stopping;
}

/// The successful response to a request for all results.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "describes the response of `download_all`")]
enum ArchiveAnswer {
    /// The archive
    #[response(status = 200, content_type = "application/zip")]
    Whole(Binary),
}

/// Download all result files as a ZIP archive
///
/// The archive is made while it is sent: its length is not known before, and `Range` is ignored. It is named after the
/// video and has the files under their names in `urls` of the status.
#[utoipa::path(method(get, head), path = "/api/download/{id}/all", tag = "results",
    operation_id = "download_results",
    params(("id" = String, Path, description = "Job id")),
    responses(ArchiveAnswer, ArchiveRefusals))]
pub(crate) async fn download_all(
    State(service): State<Service>,
    JobIdParam(id): JobIdParam,
) -> Result<Response, ApiError> {
    let Found { of, filename, formats } = files::results(&service, id).await?;
    let mut files = Vec::new();
    for artefact in formats.iter() {
        let path = service.artefacts.result(of, artefact).await?;
        let size = tokio::fs::metadata(&path).await;
        let bytes = size.map_err(|error| files::unreadable(&path, &error))?.len();
        files.push(Entry { name: artefact.file_name(), path, bytes });
    }
    let pieces = try_unfold(Archive::of(files, of.completed_at), move |mut archive| async move {
        let piece = archive.next().await.inspect_err(|error| {
            tracing::warn!(job = %of.job, file = archive.name, %error, "an archive of results is aborted");
        })?;
        Ok::<_, io::Error>(piece.map(|piece| (piece, archive)))
    });
    let name = HeaderValue::try_from(filename.archive_attachment());
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (CONTENT_DISPOSITION, name.map_err(|_| ApiError::Internal)?),
        (ACCEPT_RANGES, HeaderValue::from_static("none")),
        (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// A file of the archive.
struct Entry {
    name: &'static str,
    path: PathBuf,
    bytes: u64,
}

/// The bytes of the archive that are to be sent next.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<Vec<u8>>>);

impl Pending {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An archive that is being sent.
struct Archive {
    files: vec::IntoIter<Entry>,
    /// The file that is being copied, and its name.
    open: Option<File>,
    name: &'static str,
    /// None at the end.
    zip: Option<ZipWriter<StreamWriter<Pending>>>,
    pending: Pending,
    date: DateTime,
}

impl Archive {
    fn of(files: Vec<Entry>, completed_at: Timestamp) -> Self {
        let pending = Pending::default();
        Self {
            files: files.into_iter(),
            open: None,
            name: "",
            zip: Some(ZipWriter::new_stream(pending.clone())),
            pending,
            date: date(completed_at),
        }
    }

    /// The next piece; none at the end.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(zip) = &mut self.zip else { return Ok(None) };
            if let Some(file) = &mut self.open {
                let mut piece = vec![0; PIECE_BYTES];
                match file.read(&mut piece).await? {
                    0 => self.open = None,
                    read => zip.write_all(&piece[..read])?,
                }
            } else if let Some(Entry { name, path, bytes }) = self.files.next() {
                self.name = name;
                let options = SimpleFileOptions::default()
                    .compression_method(CompressionMethod::Stored)
                    .last_modified_time(self.date)
                    .large_file(bytes > u32::MAX.into());
                zip.start_file(name, options)?;
                self.open = Some(File::open(&path).await?);
            } else if let Some(zip) = self.zip.take() {
                zip.finish()?;
            }
            let piece = self.pending.take();
            if !piece.is_empty() {
                return Ok(Some(piece.into()));
            }
        }
    }
}

/// The date of the files, in universal time; the first that the format knows for what it cannot express.
fn date(at: Timestamp) -> DateTime {
    let at = TimeZone::UTC.to_datetime(at);
    let number = |part: i8| u8::try_from(part).unwrap_or_default();
    let year = u16::try_from(at.year()).unwrap_or_default();
    let [month, day, hour, minute, second] =
        [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(number);
    DateTime::from_date_and_time(year, month, day, hour, minute, second).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Cursor, Read};

    fn entry(folder: &std::path::Path, name: &'static str, content: &[u8]) -> Entry {
        let path = folder.join(name);
        std::fs::write(&path, content).expect("writes");
        Entry { name, path, bytes: content.len() as u64 }
    }

    #[tokio::test]
    async fn an_archive_has_the_files_and_is_made_in_pieces() {
        let folder = tempfile::tempdir().expect("a folder");
        let large: Vec<u8> = (0..5 * PIECE_BYTES + 7).map(|n| (n % 251) as u8).collect();
        let files =
            vec![entry(folder.path(), "a.csv", b"1,2\n"), entry(folder.path(), "b.mp4", &large)];
        let at = "2026-05-04T03:02:02Z".parse().expect("a time");
        let mut archive = Archive::of(files, at);
        let mut bytes = Vec::new();
        while let Some(piece) = archive.next().await.expect("reads") {
            assert!(piece.len() <= 2 * PIECE_BYTES, "{}", piece.len());
            bytes.extend_from_slice(&piece);
        }
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).expect("an archive");
        for (name, content) in [("a.csv", &b"1,2\n"[..]), ("b.mp4", &large)] {
            let mut file = zip.by_name(name).expect(name);
            assert_eq!(file.compression(), CompressionMethod::Stored);
            assert_eq!(file.last_modified(), Some(date(at)));
            let mut read = Vec::new();
            file.read_to_end(&mut read).expect("its checksum is right");
            assert!(read == content, "{name}");
        }
        assert_eq!(zip.len(), 2);
    }

    #[tokio::test]
    async fn an_archive_of_a_file_that_is_gone_has_no_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let files = vec![entry(folder.path(), "a.csv", b"1"), entry(folder.path(), "b.csv", b"2")];
        std::fs::remove_file(folder.path().join("b.csv")).expect("removes");
        let mut archive = Archive::of(files, Timestamp::UNIX_EPOCH);
        let error = loop {
            match archive.next().await {
                Ok(piece) => assert!(piece.is_some(), "the archive ended"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
