//! The hosts that share the journal, in its tables.

use crate::policy::host::HostId;
use crate::store::journal::SharingHost;
use crate::store::journal::postgres::session::{Result, Session};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

impl Session {
    /// Adds a run of this host.
    pub(crate) async fn register(
        &self,
        host: HostId,
        name: &str,
        memory_budget_bytes: u64,
    ) -> Result<()> {
        let sql =
            "INSERT INTO hosts (id, name, memory_budget_bytes, version) VALUES ($1, $2, $3, $4)
                   ON CONFLICT DO NOTHING";
        let version = env!("CARGO_PKG_VERSION");
        let values: [&(dyn ToSql + Sync); 4] =
            [&host.for_journal(), &name, &(memory_budget_bytes as i64), &version];
        self.execute("registering the host", sql, &values).await.map(drop)
    }

    /// Shows that this run is there; false if the other hosts took it for lost.
    pub(crate) async fn beat(&self, host: HostId) -> Result<bool> {
        let sql = "UPDATE hosts SET beat = beat + 1 WHERE id = $1";
        Ok(self.execute("the beat of the host", sql, &[&host.for_journal()]).await? > 0)
    }

    /// All hosts, with their beats.
    pub(crate) async fn hosts(&self) -> Result<Vec<(SharingHost, i64)>> {
        let sql = "SELECT id, name, memory_budget_bytes, beat, version,
                       (extract(epoch FROM started_at) * 1000)::bigint
                   FROM hosts ORDER BY name, id";
        let rows = self.query("reading the hosts", sql, &[]).await?;
        let host = |row: &Row| {
            let host = SharingHost {
                id: HostId::from_journal(row.get(0)),
                name: row.get(1),
                memory_budget_bytes: row.get::<_, i64>(2) as u64,
                version: row.get(4),
                started_at: Timestamp::from_millisecond(row.get(5)).unwrap_or_default(),
            };
            (host, row.get(3))
        };
        Ok(rows.iter().map(host).collect())
    }

    /// Removes a run, whose jobs can then be run by others.
    pub(crate) async fn forget(&self, host: HostId) -> Result<()> {
        let sql = "DELETE FROM hosts WHERE id = $1";
        self.execute("removing a host", sql, &[&host.for_journal()]).await.map(drop)
    }

    /// Removes a lost host, unless it has shown a sign of itself since this beat; returns whether it did.
    pub(crate) async fn forget_lost(&self, host: HostId, beat: i64) -> Result<bool> {
        let sql = "DELETE FROM hosts WHERE id = $1 AND beat = $2";
        Ok(self.execute("removing a lost host", sql, &[&host.for_journal(), &beat]).await? > 0)
    }
}
