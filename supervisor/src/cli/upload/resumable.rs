//! Uploads one video over connections that break, with the resumable uploads (tus) of the service.

use crate::cli::batch::progress::Line;
use crate::cli::upload::client::Client;
use crate::cli::upload::error::TransferError;
use crate::cli::upload::patience::Patience;
use crate::cli::upload::records::Record;
use crate::policy::job::JobId;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bodyscript_protocol::options::{OPTIONS, Options};
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::header::LOCATION;
use hyper::{Method, Response};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes of one request: what a connection that breaks can lose.
const CHUNK_BYTES: u64 = 512 << 10;

/// The metadata of an upload: the name of the video, and the options that are not the default.
pub(crate) fn metadata(name: &str, options: &Options) -> String {
    let default = Options::default();
    let encoded = |name: &str, value: &str| format!("{name} {}", BASE64_STANDARD.encode(value));
    let changed = OPTIONS.iter().filter_map(|row| {
        let value =
            (row.get)(options).filter(|value| (row.get)(&default).as_ref() != Some(value))?;
        Some(encoded(row.name, &value.to_string()))
    });
    std::iter::once(encoded("filename", name)).chain(changed).collect::<Vec<_>>().join(",")
}

/// An upload of one video.
pub(crate) struct ResumableUpload<'a> {
    pub(crate) client: &'a Client,
    pub(crate) video: &'a Path,
    pub(crate) bytes: u64,
    pub(crate) metadata: &'a str,
    pub(crate) record: &'a Record,
}

impl ResumableUpload<'_> {
    /// Uploads the video, from where an earlier command was; gives the id of its job.
    pub(crate) async fn run(&self, line: &mut Line<'_>) -> Result<JobId, TransferError> {
        let mut patience = Patience::new();
        let mut id = self.record.read();
        let mut sent = 0;
        loop {
            let before = sent;
            match self.attempt(&mut id, &mut sent, line).await {
                Ok(job) => return Ok(job),
                // It has expired; the next attempt begins another one.
                Err(error) if error.is_not_found() && id.is_some() => id = None,
                Err(error) => {
                    if sent > before {
                        patience = Patience::new();
                    }
                    line.show(self.percent(sent), "trying again".into());
                    patience.wait_after(error, |text| line.tell(text)).await?;
                }
            }
        }
    }

    /// Goes on with the upload `begun`, or begins it.
    async fn attempt(
        &self,
        begun: &mut Option<JobId>,
        sent: &mut u64,
        line: &mut Line<'_>,
    ) -> Result<JobId, TransferError> {
        let file =
            |what| move |source| TransferError::File { what, path: self.video.to_owned(), source };
        let (id, mut offset) = match *begun {
            Some(id) => (id, self.offset(id).await?),
            None => (*begun.insert(self.begin().await?), 0),
        };
        let video = File::open(self.video).map_err(file("opened"))?;
        loop {
            *sent = offset;
            line.show(self.percent(offset), "uploading".into());
            let length = CHUNK_BYTES.min(self.bytes.saturating_sub(offset));
            let mut chunk = vec![0; usize::try_from(length).unwrap_or_default()];
            let read = video.read_exact_at(&mut chunk, offset);
            // What was read may be half of the old video and half of the new one.
            self.record.check(&video).and(read).map_err(file("uploaded"))?;
            let response = self.append(id, offset, chunk.into()).await?;
            // The id of an upload is that of its job.
            if response.headers().contains_key("job-id") {
                return Ok(id);
            }
            offset = number(&response, "upload-offset")?;
        }
    }

    fn percent(&self, sent: u64) -> u8 {
        (sent * 100 / self.bytes.max(1)).min(100) as u8
    }

    async fn begin(&self) -> Result<JobId, TransferError> {
        let headers = [
            ("upload-length", self.bytes.to_string()),
            ("upload-metadata", self.metadata.to_owned()),
        ];
        let response = self.request(Method::POST, "/api/tus", &headers, Bytes::new()).await?;
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let id = location.and_then(|location| location.rsplit('/').next()?.parse().ok());
        let id = id.ok_or(TransferError::NotUnderstood("it takes no resumable uploads"))?;
        self.record.write(id);
        Ok(id)
    }

    async fn offset(&self, id: JobId) -> Result<u64, TransferError> {
        let path = format!("/api/tus/{id}");
        number(&self.request(Method::HEAD, &path, &[], Bytes::new()).await?, "upload-offset")
    }

    async fn append(
        &self,
        id: JobId,
        offset: u64,
        chunk: Bytes,
    ) -> Result<Response<Incoming>, TransferError> {
        let headers = [
            ("upload-offset", offset.to_string()),
            ("content-type", "application/offset+octet-stream".to_owned()),
        ];
        self.request(Method::PATCH, &format!("/api/tus/{id}"), &headers, chunk).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<Response<Incoming>, TransferError> {
        let headers = [headers, &[("tus-resumable", "1.0.0".to_owned())]].concat();
        self.client.send(method, path, &headers, body).await
    }
}

fn number(response: &Response<Incoming>, header: &str) -> Result<u64, TransferError> {
    let value = response.headers().get(header).and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or(TransferError::NotUnderstood("it takes no resumable uploads"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_has_the_name_and_the_options_that_are_chosen() {
        let mut options = Options::default();
        assert_eq!(metadata("a.mp4", &options), "filename YS5tcDQ=");
        let mode = OPTIONS.iter().find(|row| row.name == "mode").expect("an option");
        assert!((mode.set)(&mut options, "fast"));
        assert_eq!(metadata("a.mp4", &options), "filename YS5tcDQ=,mode ZmFzdA==");
    }
}
