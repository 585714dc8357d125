//! The task that writes a shared journal in the order of its entries, and tells what other hosts change.
//!
//! While the database does not answer, entries wait. A job that is to be accepted, or a request that somebody waits
//! for, is refused after [`ANSWER_WITHIN`]; a job that may have been written nevertheless is removed afterwards.

use crate::policy::host::HostId;
use crate::policy::job::{JobId, Revision};
use crate::store::clock::uptime;
use crate::store::journal::postgres::connection::Address;
use crate::store::journal::postgres::leases::Leases;
use crate::store::journal::postgres::session::{
    Changes, Found, Position, REMOVED_KEPT, Session, Written,
};
use crate::store::journal::postgres::{DatabaseError, SharedJournalConfig, note_run};
use crate::store::journal::{
    JournalEntry, JournalError, JournalEvent, JournalState, RemovedPart, SeenHost, SharedView,
    SharingHost, WebhookRecord, WriteRequest,
};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How long somebody waits for an entry while the database does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long entries may wait when the service stops.
const CLOSE_WITHIN: Duration = Duration::from_secs(10);

/// How many beats there are in a lease.
const BEATS_PER_LEASE: u32 = 5;

/// How often what no host needs any more is deleted.
const PURGE_PERIOD: Duration = Duration::from_secs(3600);

/// What does not change while the task runs.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) shared: SharedJournalConfig,
    pub(crate) memory_budget_bytes: u64,
    /// The file with the present run of this host.
    pub(crate) last_run: PathBuf,
}

/// An entry that is not written yet.
struct Waiting {
    request: WriteRequest,
    since: Instant,
}

/// The channels to the rest of the service.
pub(crate) struct Channels {
    pub(crate) inbox: UnboundedReceiver<WriteRequest>,
    pub(crate) events: UnboundedSender<JournalEvent>,
    pub(crate) webhooks: UnboundedSender<(JobId, WebhookRecord)>,
    pub(crate) state: watch::Sender<JournalState>,
    pub(crate) view: watch::Sender<SharedView>,
}

/// The state of the task.
pub(crate) struct Task {
    settings: Settings,
    inbox: UnboundedReceiver<WriteRequest>,
    events: UnboundedSender<JournalEvent>,
    webhooks: UnboundedSender<(JobId, WebhookRecord)>,
    state: watch::Sender<JournalState>,
    view: watch::Sender<SharedView>,
    session: Option<Session>,
    host: HostId,
    position: Position,
    read_at: Duration,
    leases: Leases,
    beat_at: Option<Duration>,
    purged_at: Instant,
    waiting: VecDeque<Waiting>,
    /// The hosts whose webhooks need not be looked for.
    known: Vec<HostId>,
}

impl Task {
    pub(crate) fn new(
        settings: Settings,
        Channels { inbox, events, webhooks, state, view }: Channels,
        (session, host, position): (Session, HostId, Position),
    ) -> Self {
        Self {
            leases: Leases::new(settings.shared.lease),
            settings,
            inbox,
            events,
            webhooks,
            state,
            view,
            session: Some(session),
            host,
            position,
            read_at: uptime(),
            beat_at: None,
            purged_at: Instant::now(),
            waiting: VecDeque::new(),
            known: Vec::new(),
        }
    }

    pub(crate) async fn run(mut self) {
        let mut ticks = interval(self.settings.shared.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                request = self.inbox.recv() => match request {
                    Some(request) => self.take(request),
                    None => break,
                },
                _ = ticks.tick() => self.follow().await,
            }
            while let Ok(request) = self.inbox.try_recv() {
                self.take(request);
            }
            self.write().await;
        }
        let closing = Instant::now();
        while !self.waiting.is_empty() && closing.elapsed() < CLOSE_WITHIN {
            ticks.tick().await;
            self.follow().await;
            self.write().await;
        }
        let entries = self.waiting.len();
        if entries > 0 {
            tracing::error!(entries, "entries could not be written before the journal was closed");
        }
        if let Some(session) = &self.session
            && let Err(error) = session.forget(self.host).await
        {
            tracing::warn!(%error, "this host stays in the list of hosts until its lease is over");
        }
    }

    fn take(&mut self, request: WriteRequest) {
        self.waiting.push_back(Waiting { request, since: Instant::now() });
    }

    /// Sends an event; the dispatcher may have ended.
    fn tell(&self, event: JournalEvent) {
        let _ = self.events.send(event);
    }
}

/// Writing.
impl Task {
    async fn write(&mut self) {
        while let Some(session) = &self.session
            && let Some(Waiting { request, .. }) = self.waiting.front()
        {
            match session.write(&request.entry, self.host).await {
                Ok(written) => {
                    if let Some(Waiting { request, .. }) = self.waiting.pop_front() {
                        self.answer(request, written);
                    }
                }
                Err(error) if error.may_pass() => self.lose(&error),
                Err(error) => {
                    tracing::error!(%error, "an entry of the journal cannot be written");
                    if let Some(Waiting { request, .. }) = self.waiting.pop_front() {
                        request.answer(Err(Arc::new(error.into())));
                    }
                }
            }
        }
        if self.session.is_none() {
            self.refuse_overdue();
        }
    }

    fn answer(&self, request: WriteRequest, written: Written) {
        match written {
            Written::Done => request.answer(Ok(())),
            Written::KeyTaken(row) => request.answer(Err(Arc::new(JournalError::KeyTaken(row)))),
            Written::Superseded(found) if request.done.is_some() => {
                let row = match found {
                    Some(Found::Job { row, .. }) => Some(row),
                    Some(Found::Removed(_)) | None => None,
                };
                request.answer(Err(Arc::new(JournalError::Superseded(row))));
            }
            Written::Superseded(Some(found)) => {
                let refused = match &request.entry {
                    JournalEntry::Job(row) => Some(row.job.revision),
                    _ => None,
                };
                self.tell(event(found, refused));
            }
            Written::Superseded(None) => {
                if let JournalEntry::Job(row) = &request.entry {
                    self.tell(JournalEvent::Removed(row.job.id));
                }
            }
        }
    }

    /// Refuses what somebody has waited for long enough.
    fn refuse_overdue(&mut self) {
        for Waiting { request, since } in &mut self.waiting {
            let is_acceptance = matches!(&request.entry, JournalEntry::Job(row) if row.job.replaced == Revision::NONE);
            let may_wait = matches!(request.entry, JournalEntry::Job(_)) && !is_acceptance;
            if may_wait || since.elapsed() < ANSWER_WITHIN {
                continue;
            }
            let Some(done) = request.done.take() else { continue };
            let _ = done.send(Err(Arc::new(JournalError::Unreachable)));
            if let JournalEntry::Job(row) = &request.entry {
                let (job, part, why) = (row.job.id, RemovedPart::Job, "it was not accepted");
                request.entry = if row.job.is_repeatable {
                    JournalEntry::Flush
                } else {
                    JournalEntry::Removed { job, part, why, known: None }
                };
            }
        }
    }
}

/// Following.
impl Task {
    async fn follow(&mut self) {
        match self.try_follow().await {
            Ok(()) => {
                if self.state.send_replace(JournalState::Writable) != JournalState::Writable {
                    tracing::info!("the journal is reachable");
                }
            }
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&mut self, error: &DatabaseError) {
        if self.state.send_replace(JournalState::Unreachable) != JournalState::Unreachable {
            tracing::error!(
                %error,
                "the journal does not answer: no job is accepted or started, and results are kept, until it does"
            );
        }
        self.session = None;
        self.waiting
            .retain(|waiting| !matches!(waiting.request.entry, JournalEntry::Progress { .. }));
    }

    async fn try_follow(&mut self) -> Result<(), DatabaseError> {
        let known = self.session.take();
        let is_known = known.is_some();
        let session = match known {
            Some(session) => session,
            None => Session::open(&Address::of(&self.settings.shared)?).await?,
        };
        self.beat(&session).await?;
        self.read(&session, is_known).await?;
        self.observe(&session).await?;
        if self.purged_at.elapsed() > PURGE_PERIOD {
            self.purged_at = Instant::now();
            session.purge().await?;
        }
        self.session = Some(session);
        Ok(())
    }

    /// Shows that this host is there. If the others took it for lost, it goes on as another.
    async fn beat(&mut self, session: &Session) -> Result<(), DatabaseError> {
        let now = uptime();
        let period = self.settings.shared.lease / BEATS_PER_LEASE;
        if self.beat_at.is_some_and(|at| now.saturating_sub(at) < period) {
            return Ok(());
        }
        if !session.beat(self.host).await? {
            let (lost, host) = (self.host, HostId::random());
            let Settings { shared, memory_budget_bytes, last_run } = &self.settings;
            session.register(host, &shared.host_name, *memory_budget_bytes).await?;
            session.move_webhooks(lost, host).await?;
            tracing::warn!(%lost, %host, "the other hosts took this one for lost");
            self.host = host;
            if let Err(error) = note_run(last_run, host) {
                tracing::warn!(%error, "after a crash, the jobs of this host will wait for the end of its lease");
            }
            self.tell(JournalEvent::Renamed(host));
        }
        self.beat_at = Some(now);
        Ok(())
    }

    /// Tells what has changed, then who is there: a host that had started a job by then is in the list.
    async fn read(&mut self, session: &Session, is_known: bool) -> Result<(), DatabaseError> {
        let now = uptime();
        let is_too_late = now.saturating_sub(self.read_at) > REMOVED_KEPT / 2;
        let Changes { mut position, mut found, latency } = session.changes(&self.position).await?;
        self.view.send_modify(|view| view.latency = Some(latency));
        let mut crashes = session.poison(Some(&self.position)).await?;
        let progress = session.progress(&self.position).await?;
        // A database that crashed may have given the numbers of transactions again that it had not written to its log;
        // another database, or an older state of it, has other ones.
        if !is_known || is_too_late || !position.follows(&self.position) {
            (position, found) = session.all().await?;
            crashes = session.poison(None).await?;
            let ids = found.iter().filter_map(|found| match found {
                Found::Job { row, .. } => Some(row.job.id),
                Found::Removed(_) => None,
            });
            self.tell(JournalEvent::All(ids.collect()));
        }
        for found in found {
            self.tell(event(found, None));
        }
        for (execution, crashes) in crashes {
            self.tell(JournalEvent::Poison { execution, crashes });
        }
        for (job, document) in progress {
            self.tell(JournalEvent::Progress { job, document });
        }
        (self.position, self.read_at) = (position, now);
        Ok(())
    }

    /// Removes hosts whose lease is over, and tells who is there.
    async fn observe(&mut self, session: &Session) -> Result<(), DatabaseError> {
        let mut hosts = session.hosts().await?;
        let others = hosts.iter().filter(|(host, _)| host.id != self.host);
        let lost = self.leases.observe(others.map(|(host, beat)| (host.id, *beat)), uptime());
        for (id, beat) in lost {
            if session.forget_lost(id, beat).await? {
                let name =
                    hosts.iter().find(|(host, _)| host.id == id).map(|(host, _)| &*host.name);
                tracing::warn!(host = %id, name, "a host is lost: its jobs are run by others");
                hosts.retain(|(host, _)| host.id != id);
            }
        }
        let ids: Vec<_> = hosts.iter().map(|(host, _)| host.id).collect();
        if ids != self.known {
            for adopted in session.adopt_webhooks(self.host).await? {
                let _ = self.webhooks.send(adopted);
            }
            self.known = ids;
        }
        let hosts: Vec<_> = hosts.into_iter().map(|(host, _)| host).collect();
        self.show(&hosts);
        self.tell(JournalEvent::Hosts(hosts));
        Ok(())
    }

    /// Shows operators who is there.
    fn show(&self, hosts: &[SharingHost]) {
        let now = uptime();
        let seen = hosts.iter().map(|host| {
            let own = self.beat_at.filter(|_| host.id == self.host);
            let beat_at = own.or_else(|| self.leases.seen_at(host.id)).unwrap_or(now);
            SeenHost { host: host.clone(), beat_at }
        });
        let seen = seen.collect();
        self.view.send_modify(|view| (view.host, view.hosts) = (self.host, seen));
    }
}

fn event(found: Found, refused: Option<Revision>) -> JournalEvent {
    match found {
        Found::Job { row, request } => JournalEvent::Job { row, request, refused },
        Found::Removed(id) => JournalEvent::Removed(id),
    }
}
