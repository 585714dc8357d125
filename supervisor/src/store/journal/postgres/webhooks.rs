//! Webhooks that are not delivered yet, in the tables of a shared journal. Each is delivered by one host.

use crate::policy::host::HostId;
use crate::policy::job::JobId;
use crate::store::journal::WebhookRecord;
use crate::store::journal::postgres::session::{Result, Session};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

impl Session {
    /// Writes the webhook of a job, which this host delivers; none removes it.
    pub(crate) async fn write_webhook(
        &self,
        job: JobId,
        record: Option<&WebhookRecord>,
        host: HostId,
    ) -> Result<()> {
        let job = job.to_string();
        let Some(WebhookRecord { url, tries }) = record else {
            let sql = "DELETE FROM webhooks WHERE job = $1";
            return self.execute("removing a webhook", sql, &[&job]).await.map(drop);
        };
        let sql = "INSERT INTO webhooks (job, url, tries, host) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (job) DO UPDATE SET tries = excluded.tries, host = excluded.host";
        let values: [&(dyn ToSql + Sync); 4] =
            [&job, url, &i32::try_from(*tries).unwrap_or(i32::MAX), &host.for_journal()];
        self.execute("recording a webhook", sql, &values).await.map(drop)
    }

    /// Takes over the webhooks of hosts that are no longer there.
    pub(crate) async fn adopt_webhooks(&self, host: HostId) -> Result<Vec<(JobId, WebhookRecord)>> {
        let sql = "UPDATE webhooks SET host = $1 WHERE host NOT IN (SELECT id FROM hosts)
                   RETURNING job, url, tries";
        let rows = self.query("taking over webhooks", sql, &[&host.for_journal()]).await?;
        let adopted = |row: &Row| {
            let tries = usize::try_from(row.get::<_, i32>(2)).unwrap_or(0);
            Some((row.get::<_, &str>(0).parse().ok()?, WebhookRecord { url: row.get(1), tries }))
        };
        Ok(rows.iter().filter_map(adopted).collect())
    }

    /// Keeps the webhooks of this host, which has another id now.
    pub(crate) async fn move_webhooks(&self, before: HostId, now: HostId) -> Result<()> {
        let sql = "UPDATE webhooks SET host = $2 WHERE host = $1";
        let values: [&(dyn ToSql + Sync); 2] = [&before.for_journal(), &now.for_journal()];
        self.execute("keeping webhooks", sql, &values).await.map(drop)
    }
}
