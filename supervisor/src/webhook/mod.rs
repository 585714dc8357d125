//! Tells a client's own address when its job is over: signed, repeated, and never into the house.
//!
//! ```text
//! <state_dir>/webhooks/<id>.json   whom to tell of a job's end, and how often it was tried
//! ```
//!
//! The note is on the disk before the job is accepted and goes once the address has answered, so
//! a restart loses no notice; it may repeat one, which `webhook-id` shows. One task for each note
//! waits for its job and then tries until somebody answers or the tries are used up; it waits as
//! well while an operator has webhooks switched off, and tries at once when they change. What is sent
//! is the status document; the format is that of Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

pub(crate) mod address;
pub(crate) mod means;
pub(crate) mod post;
pub(crate) mod sign;

use crate::dispatcher::Dispatcher;
use crate::dispatcher::status::Status;
use crate::policy::job::JobId;
use crate::store::error::StateError;
use address::WebhookUrl;
pub(crate) use means::WebhookSender;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::watch;
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
    #[error("cannot use the certificates of this host: {0}")]
    Certificates(String),
}

/// Whom to tell, and how often it was tried.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    url: String,
    tries: usize,
}

/// Everything that notices need.
#[derive(Debug)]
pub(crate) struct Webhooks {
    folder: PathBuf,
    /// Nothing while nobody is told.
    means: watch::Sender<Option<Arc<WebhookSender>>>,
    dispatcher: Dispatcher,
    closing: CancellationToken,
}

impl Webhooks {
    /// Opens what an earlier run left and goes on with it.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(crate) fn open(
        means: Option<Arc<WebhookSender>>,
        root: &Path,
        dispatcher: &Dispatcher,
        closing: &CancellationToken,
    ) -> Result<Arc<Self>, StateError> {
        let webhooks = Arc::new(Self {
            folder: root.join("webhooks"),
            means: watch::Sender::new(means),
            dispatcher: dispatcher.clone(),
            closing: closing.clone(),
        });
        for (id, note) in webhooks.notes()? {
            tokio::spawn(Arc::clone(&webhooks).run_to_exit(id, note));
        }
        Ok(webhooks)
    }

    /// Whether anybody can be told.
    pub(crate) fn are_on(&self) -> bool {
        self.means.borrow().is_some()
    }

    /// Goes on with other means, or with none.
    pub(crate) fn renew(&self, means: Option<Arc<WebhookSender>>) {
        self.means.send_if_modified(|current| {
            let is_new = match (&*current, &means) {
                (Some(old), Some(new)) => !old.are_those_of(new),
                (old, new) => old.is_some() != new.is_some(),
            };
            *current = means;
            is_new
        });
    }

    fn path(&self, id: JobId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn notes(&self) -> Result<Vec<(JobId, Note)>, StateError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("listed", &self.folder)(error)),
        };
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
            self.make_folder()?;
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

    /// Only who is to be told makes the folder.
    fn make_folder(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            Ok(()) => File::open(self.folder.parent().unwrap_or(&self.folder))?.sync_all(),
        }
    }

    fn remove(&self, id: JobId) {
        let path = self.path(id);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(job = %id, %error, "cannot delete the record of a webhook");
        }
    }

    /// Notes whom to tell of a job that is about to be accepted. On the disk when it returns.
    pub(crate) async fn note(
        self: &Arc<Self>,
        id: JobId,
        address: &WebhookUrl,
    ) -> Result<(), StateError> {
        let note = Note { url: address.to_string(), tries: 0 };
        let this = Arc::clone(self);
        let written = spawn_blocking(move || this.write(id, &note)).await;
        written
            .unwrap_or_else(|error| Err(failed("written", &self.folder)(io::Error::other(error))))
    }

    /// The job was accepted: tells of its end when that comes.
    pub(crate) fn follow(self: &Arc<Self>, id: JobId, address: &WebhookUrl) {
        let note = Note { url: address.to_string(), tries: 0 };
        tokio::spawn(Arc::clone(self).run_to_exit(id, note));
    }

    /// The job was not accepted.
    pub(crate) fn forget(&self, id: JobId) {
        self.remove(id);
    }

    async fn run_to_exit(self: Arc<Self>, id: JobId, note: Note) {
        tokio::select! {
            () = self.tell(id, note) => self.remove(id),
            // The note stays for the next run.
            () = self.closing.cancelled() => {}
        }
    }

    /// Returns once there is nothing more to be done.
    async fn tell(&self, id: JobId, mut note: Note) {
        let Some(status) = self.end_of(id).await else { return };
        let Ok(address) = note.url.parse::<WebhookUrl>() else { return };
        let (name, body) = (format!("msg_{id}"), notice(&status));
        let mut changes = self.means.subscribe();
        loop {
            let means = changes.wait_for(Option::is_some).await.ok().and_then(|now| now.clone());
            let Some(means) = means else { return };
            match means.send(&name, &address, &body).await {
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
                tracing::warn!(job = %id, %error, "cannot record the attempts of a webhook");
            }
            tokio::select! {
                () = sleep(Duration::from_secs(*pause)) => {}
                _ = changes.changed() => {}
            }
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
