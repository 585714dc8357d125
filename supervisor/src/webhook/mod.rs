//! Delivers a signed webhook to the URL of the client when a job ends, with retries.
//!
//! The record ([`crate::store::WebhookRecords`]) is written before the job is accepted and is deleted after delivery, so
//! neither a restart nor the loss of a host loses a webhook. It may repeat one, which the receiver detects by
//! `webhook-id`. One task per
//! record waits for the end of the job, then tries until the receiver accepts or the tries are used
//! up. It pauses while webhooks are not configured, and retries at once when their configuration
//! changes. The payload is the status document, in the format of Standard Webhooks 1.0
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

pub(crate) mod address;
pub(crate) mod post;
pub(crate) mod sender;
pub(crate) mod sign;

use crate::dispatcher::Dispatcher;
use crate::dispatcher::status::Status;
use crate::policy::job::JobId;
use crate::store::{RecordError, StateError, WebhookRecord, WebhookRecords};
use address::WebhookUrl;
pub(crate) use sender::WebhookSender;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// Pauses between tries; after the last try the webhook is given up.
const PAUSES_S: [u64; 7] = [5, 30, 120, 600, 1800, 3600, 7200];

/// Why webhooks can't be used as configured.
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
    /// The certificates that the host trusts can't be used.
    #[error("cannot use the certificates of this host: {0}")]
    Certificates(String),
}

/// All pending webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    records: WebhookRecords,
    /// None while webhooks are not configured.
    sender: watch::Sender<Option<Arc<WebhookSender>>>,
    dispatcher: Dispatcher,
    closing: CancellationToken,
}

impl Webhooks {
    /// Resumes the pending webhooks of an earlier run, and takes over those of lost hosts.
    ///
    /// # Errors
    /// If the folder can't be read.
    pub(crate) fn open(
        sender: Option<Arc<WebhookSender>>,
        records: WebhookRecords,
        mut adopted: UnboundedReceiver<(JobId, WebhookRecord)>,
        dispatcher: &Dispatcher,
        closing: &CancellationToken,
    ) -> Result<Arc<Self>, StateError> {
        let webhooks = Arc::new(Self {
            records,
            sender: watch::Sender::new(sender),
            dispatcher: dispatcher.clone(),
            closing: closing.clone(),
        });
        for (id, pending) in webhooks.records.left()? {
            tokio::spawn(Arc::clone(&webhooks).deliver_and_remove(id, pending));
        }
        let this = Arc::clone(&webhooks);
        tokio::spawn(async move {
            while let Some(Some((id, pending))) =
                this.closing.run_until_cancelled(adopted.recv()).await
            {
                tokio::spawn(Arc::clone(&this).deliver_and_remove(id, pending));
            }
        });
        Ok(webhooks)
    }

    /// Whether webhooks may be sent to this URL, as far as it tells without resolving a name; none if webhooks are not
    /// configured.
    pub(crate) fn may_send_to(&self, url: &WebhookUrl) -> Option<bool> {
        self.sender.borrow().as_ref().map(|sender| sender.may_send_to(url))
    }

    /// Replaces the sender after a reload; none pauses all webhooks.
    pub(crate) fn set_sender(&self, sender: Option<Arc<WebhookSender>>) {
        self.sender.send_if_modified(|current| {
            let is_changed = match (&*current, &sender) {
                (Some(old), Some(new)) => !old.is_equivalent_to(new),
                (old, new) => old.is_some() != new.is_some(),
            };
            *current = sender;
            is_changed
        });
    }

    /// Records the webhook of a job that is about to be accepted. It survives a crash on return.
    pub(crate) async fn record(&self, id: JobId, address: &WebhookUrl) -> Result<(), RecordError> {
        self.records.write(id, &WebhookRecord { url: address.to_string(), tries: 0 }).await
    }

    /// Starts the delivery for an accepted job, at its end.
    pub(crate) fn deliver_at_end(self: &Arc<Self>, id: JobId, address: &WebhookUrl) {
        let pending = WebhookRecord { url: address.to_string(), tries: 0 };
        tokio::spawn(Arc::clone(self).deliver_and_remove(id, pending));
    }

    /// Deletes the record of a job that was not accepted.
    pub(crate) async fn discard(&self, id: JobId) {
        self.records.remove(id).await;
    }

    async fn deliver_and_remove(self: Arc<Self>, id: JobId, pending: WebhookRecord) {
        tokio::select! {
            () = self.deliver(id, pending) => self.records.remove(id).await,
            // The record is kept for the next run.
            () = self.closing.cancelled() => {}
        }
    }

    /// Returns when the webhook is delivered, given up or no longer needed.
    async fn deliver(self: &Arc<Self>, id: JobId, mut pending: WebhookRecord) {
        let Some(status) = self.end_of(id).await else { return };
        let Ok(address) = pending.url.parse::<WebhookUrl>() else { return };
        let (name, body) = (format!("msg_{id}"), payload(&status));
        let mut changes = self.sender.subscribe();
        loop {
            let sender = changes.wait_for(Option::is_some).await.ok().and_then(|now| now.clone());
            let Some(sender) = sender else { return };
            match sender.send(&name, &address, &body).await {
                Ok(status) if (200..300).contains(&status) => {
                    tracing::info!(job = %id, status, tries = pending.tries + 1, "webhook delivered");
                    return;
                }
                // In the standard, 410 means that the receiver wants no more webhooks.
                Ok(410) => {
                    tracing::info!(job = %id, "webhook no longer wanted by its receiver");
                    return;
                }
                Ok(status) => tracing::warn!(job = %id, status, "webhook refused"),
                Err(error) => tracing::warn!(job = %id, %error, "webhook failed"),
            }
            let Some(pause) = PAUSES_S.get(pending.tries) else {
                tracing::warn!(job = %id, "webhook given up");
                return;
            };
            pending.tries += 1;
            if let Err(error) = self.records.write(id, &pending).await {
                tracing::warn!(job = %id, %error, "cannot record the attempts of a webhook");
            }
            tokio::select! {
                () = sleep(Duration::from_secs(*pause)) => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits for the end of a job; none if it is deleted before.
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

fn payload(status: &Status) -> Vec<u8> {
    let payload = json!({
        "type": format!("job.{}", status.status),
        "timestamp": status.completed_at,
        "data": status,
    });
    payload.to_string().into_bytes()
}
