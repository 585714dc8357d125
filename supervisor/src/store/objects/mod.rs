//! Uploads and results in a store that hosts share: any that speaks S3, or a folder that all mount.
//!
//! ```text
//! <prefix>/uploads/<id>                  a complete upload, until its job is over
//! <prefix>/results/<id>/<claim>/<name>   the artefacts of one claim of a job, and its outcome
//! <prefix>/resumable/<id>/<part>         a part of an upload that is not complete
//! <prefix>/poses/<id>/<claim>/<frames>   poses that a running claim has found, after so many frames
//! ```
//!
//! A host works on copies in its state folder. What it writes here counts once the journal says so: results are under
//! the number of the claim that made them, so that a host whose claim was taken over overwrites nothing.

mod http;
mod open;
mod parts;
mod poses;
mod sweep;

use crate::policy::job::JobId;
use crate::store::error::{StateError, failed};
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::signer::{SignedUrlOptions, Signer};
use object_store::{Error, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt};
pub(crate) use open::{ObjectsConfig, ObjectsError, ObjectsUrl};
pub(crate) use poses::PosePart;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
pub(crate) use sweep::Stored;
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt};

/// Size of the parts in which a large file is written; the least that S3 takes.
const PART_BYTES: usize = 5 << 20;

/// Objects that are removed at the same time.
const REMOVED_AT_ONCE: usize = 8;

/// How long the URL of a result is valid.
const URL_VALID: Duration = Duration::from_secs(600);

/// A shared store.
#[derive(Debug, Clone)]
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    /// Makes URLs with which clients read from the store; none if it has no such URLs.
    signer: Option<Arc<dyn Signer>>,
    prefix: Path,
    is_reachable: Arc<AtomicBool>,
    /// How long the last request took, in microseconds; 0 before the first.
    latency_us: Arc<AtomicU64>,
}

impl Objects {
    fn new(store: Arc<dyn ObjectStore>, signer: Option<Arc<dyn Signer>>, prefix: Path) -> Self {
        let is_reachable = Arc::new(AtomicBool::new(true));
        Self { store, signer, prefix, is_reachable, latency_us: Arc::default() }
    }

    pub(crate) fn upload(&self, id: JobId) -> Path {
        self.prefix.clone().join("uploads").join(id.to_string())
    }

    fn results(&self, id: JobId) -> Path {
        self.prefix.clone().join("results").join(id.to_string())
    }

    fn claim(&self, id: JobId, claim: u32) -> Path {
        self.results(id).join(claim.to_string())
    }

    pub(crate) fn result(&self, id: JobId, claim: u32, name: &str) -> Path {
        self.claim(id, claim).join(name)
    }

    /// Whether the last request was answered.
    pub(crate) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }

    /// How long the store took to answer the last request, the transfer of an object's content aside.
    pub(crate) fn latency(&self) -> Option<Duration> {
        let us = self.latency_us.load(Ordering::Relaxed);
        (us > 0).then(|| Duration::from_micros(us))
    }

    async fn timed<T>(&self, request: impl Future<Output = T>) -> T {
        let asked = Instant::now();
        let answer = request.await;
        let us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        self.latency_us.store(us, Ordering::Relaxed);
        answer
    }

    /// Asks for an object that need not exist, to learn whether the store answers.
    ///
    /// # Errors
    /// If it does not, or denies access.
    pub(crate) async fn probe(&self) -> Result<(), StateError> {
        let path = self.prefix.clone().join("probe");
        match self.timed(self.store.head(&path)).await {
            Ok(_) | Err(Error::NotFound { .. }) => self.note(Ok(())),
            Err(error) => self.note(Err(refused("reached", &path, error))),
        }
    }

    /// Copies a file into the store; it appears there whole or not at all.
    pub(crate) async fn put(&self, file: &std::path::Path, to: &Path) -> Result<(), StateError> {
        let from = File::open(file).await.map_err(failed("opened", file))?;
        self.write(from, None, to).await
    }

    /// Writes an object, of this size if it is known.
    async fn write(
        &self,
        mut from: impl AsyncRead + Unpin,
        size: Option<u64>,
        to: &Path,
    ) -> Result<(), StateError> {
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), to.clone(), PART_BYTES);
        let copied = match tokio::io::copy(&mut from, &mut writer).await {
            Ok(copied) if size.is_some_and(|size| size != copied) => {
                Err(io::Error::other("the file is shorter than it was"))
            }
            copied => copied,
        };
        let written = match copied {
            Ok(_) => self.timed(writer.shutdown()).await,
            Err(error) => {
                // What was written of a large file does not count, but takes up space.
                let _ = writer.abort().await;
                Err(error)
            }
        };
        self.note(written.map_err(|error| refused("written", to, error)))
    }

    /// Copies an object to a file, which appears whole or not at all; false if there is no such object.
    pub(crate) async fn get(
        &self,
        from: &Path,
        file: &std::path::Path,
    ) -> Result<bool, StateError> {
        let folder = file.parent().unwrap_or(file);
        let unfinished = tempfile::Builder::new()
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(failed("written to", folder))?
            .into_temp_path();
        if !self.get_to(from, &unfinished).await? {
            return Ok(false);
        }
        unfinished.persist(file).map_err(|error| failed("created", file)(error.error))?;
        Ok(true)
    }

    async fn get_to(&self, from: &Path, file: &std::path::Path) -> Result<bool, StateError> {
        let result = match self.timed(self.store.get(from)).await {
            Err(Error::NotFound { .. }) => return self.note(Ok(false)),
            result => self.note(result.map_err(|error| refused("read", from, error)))?,
        };
        let to = File::create(file).await.map_err(failed("created", file))?;
        self.receive(result, from, (to, file)).await.map(|()| true)
    }

    /// Copies the content of an object to where a file stands.
    async fn receive(
        &self,
        object: GetResult,
        from: &Path,
        (mut to, file): (File, &std::path::Path),
    ) -> Result<(), StateError> {
        let mut chunks = object.into_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk = self.note(chunk.map_err(|error| refused("read", from, error)))?;
            to.write_all(&chunk).await.map_err(failed("written to", file))?;
        }
        to.flush().await.map_err(failed("written to", file))
    }

    /// Removes an upload.
    pub(crate) async fn remove_upload(&self, id: JobId) -> Result<(), StateError> {
        self.remove(&self.upload(id)).await
    }

    /// Removes the results of all claims of a job.
    pub(crate) async fn remove_results(&self, id: JobId) -> Result<(), StateError> {
        self.remove_below(&self.results(id)).await
    }

    /// Removes the results of one claim.
    pub(crate) async fn remove_claim(&self, id: JobId, claim: u32) -> Result<(), StateError> {
        self.remove_below(&self.claim(id, claim)).await
    }

    /// Removes the results of all claims of a job but one.
    pub(crate) async fn remove_other_claims(
        &self,
        id: JobId,
        claim: u32,
    ) -> Result<(), StateError> {
        let kept = self.claim(id, claim);
        for object in self.list(&self.results(id)).await? {
            if !object.location.prefix_matches(&kept) {
                self.remove(&object.location).await?;
            }
        }
        Ok(())
    }

    async fn list(&self, folder: &Path) -> Result<Vec<ObjectMeta>, StateError> {
        let listed = self.store.list(Some(folder)).try_collect().await;
        self.note(listed.map_err(|error| refused("listed", folder, error)))
    }

    async fn remove_below(&self, folder: &Path) -> Result<(), StateError> {
        stream::iter(self.list(folder).await?)
            .map(|object| async move { self.remove(&object.location).await })
            .buffer_unordered(REMOVED_AT_ONCE)
            .try_collect()
            .await
    }

    async fn remove(&self, path: &Path) -> Result<(), StateError> {
        match self.timed(self.store.delete(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => self.note(Ok(())),
            Err(error) => self.note(Err(refused("removed", path, error))),
        }
    }

    /// A URL from which a client reads an object for a while, with these headers; none if the store has no such URLs.
    pub(crate) async fn url(
        &self,
        path: &Path,
        media_type: &str,
        disposition: &str,
    ) -> Result<Option<String>, StateError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        let options = SignedUrlOptions::new().with_query([
            ("response-content-type", media_type),
            ("response-content-disposition", disposition),
        ]);
        match signer.signed_url_opts(Method::GET, path, URL_VALID, &options).await {
            Ok(url) => Ok(Some(url.into())),
            Err(error) => Err(refused("signed", path, error)),
        }
    }

    /// Remembers whether the store has answered, and logs when that changes.
    fn note<T>(&self, result: Result<T, StateError>) -> Result<T, StateError> {
        let is_reachable = result.is_ok();
        if self.is_reachable.swap(is_reachable, Ordering::Relaxed) != is_reachable {
            match &result {
                Ok(_) => tracing::info!("the store of uploads and results answers again"),
                Err(error) => tracing::error!(
                    %error,
                    "the store of uploads and results does not answer: no upload is accepted until it does"
                ),
            }
        }
        result
    }
}

fn refused(
    what: &'static str,
    object: &Path,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StateError {
    StateError::Object { what, object: object.to_string(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    pub(crate) fn objects() -> (tempfile::TempDir, Objects) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let objects = Objects::new(Arc::new(InMemory::new()), None, Path::from("a/b"));
        (folder, objects)
    }

    pub(crate) async fn names(objects: &Objects) -> Vec<String> {
        let listed: Vec<_> = objects.store.list(None).try_collect().await.expect("lists");
        let mut names: Vec<_> = listed.iter().map(|object| object.location.to_string()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_larger_than_a_part_comes_back_whole() {
        let (folder, objects) = objects();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let content: Vec<u8> = (0..2 * PART_BYTES + 7).map(|n| (n % 251) as u8).collect();
        std::fs::write(&from, &content).expect("writes");
        let object = objects.upload(JobId::random());
        assert!(!objects.get(&object, &to).await.expect("answers"));
        assert!(!to.exists());
        objects.put(&from, &object).await.expect("writes");
        assert!(objects.get(&object, &to).await.expect("answers"));
        assert!(std::fs::read(&to).expect("is there") == content);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2);
    }

    #[tokio::test]
    async fn what_is_removed_of_a_job_leaves_the_rest() {
        let (folder, objects) = objects();
        let file = folder.path().join("file");
        std::fs::write(&file, "content").expect("writes");
        let (id, other) = (JobId::random(), JobId::random());
        for path in [
            objects.upload(id),
            objects.upload(other),
            objects.result(id, 1, "a.csv"),
            objects.result(id, 2, "a.csv"),
            objects.result(id, 2, "b.csv"),
            objects.result(other, 1, "a.csv"),
        ] {
            objects.put(&file, &path).await.expect("writes");
        }
        objects.remove_upload(id).await.expect("removes");
        objects.remove_results(id).await.expect("removes");
        objects.remove_results(id).await.expect("removes what is not there");
        let left = [format!("a/b/results/{other}/1/a.csv"), format!("a/b/uploads/{other}")];
        assert_eq!(names(&objects).await, left);
    }

    #[tokio::test]
    async fn the_last_answer_says_whether_the_store_is_reachable() {
        let (folder, _) = objects();
        let gone = folder.path().join("mount");
        std::fs::create_dir(&gone).expect("makes");
        let config = ObjectsConfig {
            url: ObjectsUrl::Folder(gone.clone()),
            endpoint: None,
            credentials_file: None,
            redirect: false,
        };
        let objects = Objects::open(&config).expect("opens");
        assert_eq!(objects.latency(), None);
        objects.probe().await.expect("answers");
        assert!(objects.is_reachable() && objects.latency().is_some());
        // A file in its place: no name below it can be read.
        std::fs::remove_dir(&gone).expect("removes");
        std::fs::write(&gone, "").expect("writes");
        objects.probe().await.expect_err("does not answer");
        assert!(!objects.is_reachable());
        std::fs::remove_file(&gone).expect("removes");
        std::fs::create_dir(&gone).expect("makes");
        objects.probe().await.expect("answers again");
        assert!(objects.is_reachable());
    }
}
