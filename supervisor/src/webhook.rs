//! Tells a client's own address when its job is over: signed, repeated, and never into the house.
//!
//! ```text
//! <state_dir>/webhooks/<id>.json   whom to tell of a job's end, and how often it was tried
//! ```
//!
//! The note is on the disk before the job is accepted and goes once the address has answered, so
//! a restart loses no notice; it may repeat one, which `webhook-id` shows. One task for each note
//! waits for its job and then tries until somebody answers or the tries are used up. What is sent
//! is the status document; the format is that of Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

pub mod address;
mod post;
mod sign;

use crate::artefacts::StateError;
use crate::clock;
use crate::config::WebhookConfig;
use crate::dispatcher::Dispatcher;
use crate::job::JobId;
use crate::status::Status;
use address::{Address, Neighbourhood};
use post::Post;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sign::Secret;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Pauses between tries; after the last the notice is given up.
const PAUSES_S: [u64; 7] = [5, 30, 120, 600, 1800, 3600, 7200];

/// Why webhooks cannot be offered as configured.
#[derive(Debug, Error)]
pub enum WebhookError {
    /// The secret cannot be read or is too short.
    #[error("`webhook_secret_file` {}: {why}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// Nobody could be trusted to be who they say they are.
    #[error("the certificates of this host cannot be used: {0}")]
    Certificates(String),
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
}

/// Whom to tell, and how often it was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    url: String,
    tries: usize,
}

/// Everything that notices need.
#[derive(Debug)]
pub struct Webhooks {
    folder: PathBuf,
    secret: Secret,
    post: Post,
    dispatcher: Dispatcher,
    closing: CancellationToken,
}

/// Whether the secret, if one is configured, can be used.
///
/// # Errors
/// When it cannot.
pub fn check(config: &WebhookConfig) -> Result<(), WebhookError> {
    config.secret_file.as_deref().map_or(Ok(()), |path| Secret::read(path).map(drop))
}

impl Webhooks {
    /// Opens what an earlier run left and goes on with it; nothing where no secret is configured.
    ///
    /// # Errors
    /// When the secret, the host's certificates or the folder cannot be used.
    pub fn open(
        config: &WebhookConfig,
        root: &Path,
        dispatcher: &Dispatcher,
        closing: &CancellationToken,
    ) -> Result<Option<Arc<Self>>, WebhookError> {
        let Some(path) = &config.secret_file else { return Ok(None) };
        let folder = root.join("webhooks");
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder).map_err(failed("created", &folder))?;
        let webhooks = Arc::new(Self {
            secret: Secret::read(path)?,
            post: Post::new(Neighbourhood::new(config.networks.clone()))?,
            folder,
            dispatcher: dispatcher.clone(),
            closing: closing.clone(),
        });
        for (id, note) in webhooks.notes()? {
            tokio::spawn(Arc::clone(&webhooks).see_through(id, note));
        }
        Ok(Some(webhooks))
    }

    fn path(&self, id: JobId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn notes(&self) -> Result<Vec<(JobId, Note)>, StateError> {
        let entries = fs::read_dir(&self.folder).map_err(failed("listed", &self.folder))?;
        let note = |entry: fs::DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let id = name.strip_suffix(".json")?.parse().ok()?;
            Some((id, serde_json::from_slice(&fs::read(entry.path()).ok()?).ok()?))
        };
        Ok(entries.filter_map(|entry| note(entry.ok()?)).collect())
    }

    /// Puts a note on the disk.
    fn write(&self, id: JobId, note: &Note) -> Result<(), StateError> {
        let path = self.path(id);
        let fresh = path.with_extension("new");
        let write = || {
            let mut options = OpenOptions::new();
            let options = options.create(true).truncate(true).write(true).mode(0o600);
            let mut file = options.open(&fresh)?;
            file.write_all(&serde_json::to_vec(note)?)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(failed("written", &path))
    }

    fn remove(&self, id: JobId) {
        let path = self.path(id);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(job = %id, %error, "a webhook's note stays");
        }
    }

    /// Notes whom to tell of a job that is about to be accepted. On the disk when it returns.
    pub async fn note(self: &Arc<Self>, id: JobId, address: &Address) -> Result<(), StateError> {
        let note = Note { url: address.to_string(), tries: 0 };
        let this = Arc::clone(self);
        let written = spawn_blocking(move || this.write(id, &note)).await;
        written
            .unwrap_or_else(|error| Err(failed("written", &self.folder)(io::Error::other(error))))
    }

    /// The job was accepted: tells of its end when that comes.
    pub fn follow(self: &Arc<Self>, id: JobId, address: &Address) {
        let note = Note { url: address.to_string(), tries: 0 };
        tokio::spawn(Arc::clone(self).see_through(id, note));
    }

    /// The job was not accepted.
    pub fn forget(&self, id: JobId) {
        self.remove(id);
    }

    async fn see_through(self: Arc<Self>, id: JobId, note: Note) {
        tokio::select! {
            () = self.tell(id, note) => self.remove(id),
            // The note stays for the next run.
            () = self.closing.cancelled() => {}
        }
    }

    /// Returns once there is nothing more to be done.
    async fn tell(&self, id: JobId, mut note: Note) {
        let Some(status) = self.end_of(id).await else { return };
        let Ok(address) = note.url.parse::<Address>() else { return };
        let body = notice(&status);
        loop {
            let headers = self.secret.sign(&format!("msg_{id}"), clock::wall().as_second(), &body);
            match self.post.send(&address, &headers, &body).await {
                Ok(status) if (200..300).contains(&status) => {
                    tracing::info!(job = %id, status, tries = note.tries + 1, "webhook told");
                    return;
                }
                // The standard's word for an address that wants nothing any more.
                Ok(410) => {
                    tracing::info!(job = %id, "webhook unwanted");
                    return;
                }
                Ok(status) => tracing::warn!(job = %id, status, "webhook refused"),
                Err(error) => tracing::warn!(job = %id, %error, "webhook failed"),
            }
            let Some(pause) = PAUSES_S.get(note.tries) else {
                tracing::warn!(job = %id, "webhook given up");
                return;
            };
            note.tries += 1;
            if let Err(error) = self.write(id, &note) {
                tracing::warn!(job = %id, %error, "a webhook's tries are not noted");
            }
            sleep(Duration::from_secs(*pause)).await;
        }
    }

    /// Waits for the end of a job; none if it is removed before.
    async fn end_of(&self, id: JobId) -> Option<Status> {
        let mut changes = self.dispatcher.watch(id).await.ok()??;
        loop {
            let status = self.dispatcher.status(id).await.ok()??;
            if status.completed_at.is_some() {
                return Some(status);
            }
            changes.changed().await.ok()?;
        }
    }
}

fn notice(status: &Status) -> Vec<u8> {
    let notice = json!({
        "type": format!("job.{}", status.status),
        "timestamp": status.completed_at,
        "data": status,
    });
    notice.to_string().into_bytes()
}

fn failed<'a>(what: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> StateError + 'a {
    move |source| StateError::Io { what, path: path.to_owned(), source }
}
