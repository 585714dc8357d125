//! A journal in PostgreSQL, which hosts share.
//!
//! Every host has all jobs in its own memory, and asks several times a second for those that were changed. A change is
//! written only if the job is still at the revision that the host knows ([`crate::policy::job::Revision`]), so of two
//! hosts that start the same job one is refused, and a host that was taken for lost ([`leases`]) can end nothing that
//! another has started meanwhile. See docs/adr/0025-a-journal-that-hosts-share.md.

mod connection;
mod document;
mod error;
mod hosts;
mod inspection;
mod leases;
mod schema;
mod session;
mod task;
mod uploads;
mod webhooks;

use crate::policy::host::HostId;
use crate::store::artefacts::StateDir;
use crate::store::clock::Clock;
use crate::store::error::StateError;
use crate::store::fs_atomic::replace;
use crate::store::journal::{
    Engine, FILE, Journal, JournalError, JournalState, OpenedJournal, SharedView, WriteRequest,
};
use connection::Address;
pub(crate) use error::DatabaseError;
pub(crate) use inspection::{Inspected, TablesSeen, inspect};
use session::{Found, Session};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use task::{Channels, Task};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
pub(crate) use uploads::{Creation, NewPart, NewUpload, UploadTable};

/// File in the state folder with the last run of this host, whose jobs need not wait for the end of a lease.
const LAST_RUN: &str = "host";

/// Settings of a journal that hosts share.
#[derive(Debug, Clone)]
pub(crate) struct SharedJournalConfig {
    /// `postgres://user@host/database`.
    pub url: String,
    /// File with the password.
    pub password_file: Option<PathBuf>,
    /// Name of this host, for operators.
    pub host_name: String,
    /// Time without a sign of a host after which its jobs are run elsewhere.
    pub lease: Duration,
    /// How often changes of other hosts are read.
    pub poll: Duration,
}

/// The task that writes and follows the journal, as its callers see it.
#[derive(Debug)]
struct Requests(UnboundedSender<WriteRequest>);

impl Engine for Requests {
    fn write(&self, request: WriteRequest) {
        if self.0.send(request).is_err() {
            tracing::error!("the task of the journal has ended");
        }
    }
}

impl Journal {
    /// Opens the journal that this host shares with others. The task ends once every handle is dropped and everything
    /// is written.
    ///
    /// # Errors
    /// If the database cannot be used; an operator has to solve it.
    pub(crate) async fn open_shared(
        settings: SharedJournalConfig,
        memory_budget_bytes: u64,
        folder: &StateDir,
    ) -> Result<(OpenedJournal, JoinHandle<()>), JournalError> {
        let own = folder.root().join(FILE);
        if own.exists() {
            return Err(DatabaseError::OwnJournal(own).into());
        }
        let session = Session::open(&Address::of(&settings)?).await?;
        let host = HostId::random();
        let last_run = folder.root().join(LAST_RUN);
        if let Some(last) = last_run_of(&last_run) {
            session.forget(last).await?;
        }
        note_run(&last_run, host)?;
        let clock = Clock::shared(session.now_ms().await?);
        session.register(host, &settings.host_name, memory_budget_bytes).await?;
        let (position, found) = session.all().await?;
        let mut jobs = Vec::new();
        let mut removed = HashSet::new();
        for found in found {
            match found {
                Found::Job { row, .. } => jobs.push(*row),
                Found::Removed(id) => drop(removed.insert(id)),
            }
        }
        let poison = session.poison(None).await?;
        let (state_sender, state) = watch::channel(JournalState::Writable);
        let (requests, inbox) = unbounded_channel();
        let (events_sender, events) = unbounded_channel();
        let (webhooks_sender, webhooks) = unbounded_channel();
        let (view_sender, view) = watch::channel(SharedView::blank(host, &settings.host_name));
        let task = Task::new(
            task::Settings { shared: settings, memory_budget_bytes, last_run },
            Channels {
                inbox,
                events: events_sender,
                webhooks: webhooks_sender,
                state: state_sender,
                view: view_sender,
            },
            (session, host, position),
        );
        let journal = Self { engine: Arc::new(Requests(requests)), state, view: Some(view) };
        let opened = OpenedJournal {
            journal,
            clock,
            jobs,
            poison,
            removed,
            lost: None,
            host,
            events,
            webhooks,
        };
        Ok((opened, tokio::spawn(task.run())))
    }
}

fn last_run_of(path: &Path) -> Option<HostId> {
    let text = std::fs::read_to_string(path).ok()?;
    text.trim().parse().ok().map(HostId::from_journal)
}

fn note_run(path: &Path, host: HostId) -> Result<(), StateError> {
    replace(path, format!("{}\n", host.for_journal()).as_bytes())
}
