//! What reads bytes of clients, operators and disks, each as a function of those bytes, for the fuzz targets in
//! `tests/fuzz`. None of them may panic, whatever the bytes are.

use crate::config::{Config, HttpLimits, RawConfig};
use crate::http::jobs::files::byte_ranges;
use crate::http::tus::headers::{self, Metadata};
use crate::http::upload::body::Chunks;
use crate::http::upload::file_writer::FileWriter;
use crate::http::upload::form::{self, FormLimits};
use crate::http::upload::options::UploadOptions;
use crate::policy::client::ClientAddress;
use crate::policy::open_upload::OpenUpload;
use crate::runner::models::InstalledModels;
use crate::store::read_row_of_lines;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use std::convert::Infallible;
use std::fs::OpenOptions;
use std::path::Path;
use std::sync::OnceLock;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

/// Size of the parts in which a body arrives, between small and the size of a read.
const PARTS: [usize; 4] = [1, 7, 100, 8192];

/// A form with the boundary `X`; the first byte chooses in which parts it arrives.
pub fn form(bytes: &[u8]) {
    static LIMITS: OnceLock<(Runtime, HttpLimits)> = OnceLock::new();
    let (runtime, http) = LIMITS.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        (runtime, Config::resolve(RawConfig::default()).expect("the defaults are valid").http)
    });
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let part = PARTS[usize::from(*choice) % PARTS.len()];
    let parts: Vec<_> =
        bytes.chunks(part).map(|part| Ok::<_, Infallible>(Bytes::copy_from_slice(part))).collect();
    let body = Body::from_stream(futures_util::stream::iter(parts));
    let path = Path::new("/dev/null");
    let file = OpenOptions::new().write(true).open(path).expect("it exists");
    let _ = runtime.block_on(async {
        let upload = OpenUpload::new(ClientAddress::ThisHost, u64::MAX, 0, Instant::now());
        let chunks = Chunks::start(body, upload, http);
        let limits = FormLimits { upload_bytes_max: 1 << 20, http };
        let file = FileWriter::new(file, path);
        form::receive(chunks, "X".into(), limits, &file, UploadOptions::default()).await.map(drop)
    });
}

/// Every header of a resumable upload, with this value.
pub fn tus_headers(bytes: &[u8]) {
    let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
    let names = ["upload-length", "upload-offset", "upload-checksum", "upload-metadata"];
    let given = names.map(|name| (HeaderName::from_static(name), value.clone()));
    let given = HeaderMap::from_iter(given);
    let _ = headers::length(&given);
    let _ = headers::offset(&given);
    let _ = headers::check_content_type(&given);
    if let Ok(Some(mut checksum)) = headers::checksum(&given) {
        checksum.update(bytes);
        let _ = checksum.matches();
    }
    if let Ok(text) = headers::metadata(&given)
        && let Ok(metadata) = Metadata::of(&text)
    {
        let _ = metadata.options.options(InstalledModels::ALL);
    }
}

/// A `Range`, after eight bytes for the size of the file.
pub fn range(bytes: &[u8]) {
    let Some((size, range)) = bytes.split_first_chunk() else { return };
    let Ok(range) = HeaderValue::from_bytes(range) else { return };
    let size = u64::from_le_bytes(*size);
    if let Some(ranges) = byte_ranges(&range, size) {
        assert_eq!(byte_ranges(&ranges, size), Some(ranges), "it stays as it is");
    }
}

/// A configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(values) = RawConfig::default().over_text(text, Path::new("bodyscript.toml")) {
        let _ = Config::resolve(values);
    }
}

/// A row of the jobs in a journal: one line for each column, integers as such.
pub fn journal_row(bytes: &[u8]) {
    read_row_of_lines(&String::from_utf8_lossy(bytes));
}
