//! What `bodyscript doctor` finds about the database of a journal that hosts share.

use crate::cli::finding::{Finding, State, finding};
use crate::config::Config;
use crate::store::{Inspected, TablesSeen, inspect};
use std::time::Duration;

/// The age from which an open transaction in the database of a shared journal is a finding.
const TRANSACTION_AGE_MAX: Duration = Duration::from_secs(60);

/// The difference from which the clocks of this host and of the database are said to differ, in seconds.
const CLOCK_DIFFERENCE_S_MAX: f64 = 1.0;

/// Whether the database of the shared journal, if there is one, can be used.
pub(crate) async fn journal(config: &Config) -> Option<Finding> {
    let (state, detail) = match inspect(config.journal.as_ref()?).await {
        Ok(inspected) => describe(&inspected),
        Err(error) => (State::Bad, error.to_string()),
    };
    Some(finding("journal", state, detail))
}

fn describe(inspected: &Inspected) -> (State, String) {
    let Inspected { server, latency, oldest_transaction, hidden_transactions, .. } = inspected;
    let tables = match inspected.tables {
        TablesSeen::Present(version) => format!("tables of version {version}"),
        TablesSeen::Older(version) => {
            format!("tables of version {version}, which the next start of a host migrates")
        }
        TablesSeen::Absent => "no tables yet: the first start of a host creates them".into(),
        TablesSeen::Forbidden => {
            let detail = format!(
                "PostgreSQL {server} has no tables, and the role of `journal_url` may not create them: \
                 GRANT CREATE ON DATABASE to it"
            );
            return (State::Bad, detail);
        }
    };
    let hosts = match &inspected.hosts[..] {
        [] => "none".into(),
        names => names.join(", "),
    };
    let (latency_ms, age_s) = (latency.as_secs_f64() * 1000.0, oldest_transaction.as_secs());
    let mut detail = format!(
        "PostgreSQL {server} answers in {latency_ms:.1} ms; {tables}; hosts: {hosts}; the oldest open transaction is \
         {age_s} s old"
    );
    let is_old = *oldest_transaction > TRANSACTION_AGE_MAX;
    if is_old {
        detail += &format!(
            ", more than {} s, which slows all hosts down: end it (see the runbook)",
            TRANSACTION_AGE_MAX.as_secs()
        );
    }
    let ahead_s = inspected.clock_ahead_s;
    if ahead_s.abs() > CLOCK_DIFFERENCE_S_MAX {
        let direction = if ahead_s > 0.0 { "ahead of" } else { "behind" };
        detail += &format!(
            "; the clock of this host is {:.1} s {direction} that of the database, by which jobs are dated",
            ahead_s.abs()
        );
    }
    if *hidden_transactions > 0 {
        detail += &format!(
            "; open transactions of other roles, whose age only members of pg_read_all_stats see: \
             {hidden_transactions}"
        );
    }
    (if is_old { State::Weak } else { State::Good }, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected() -> Inspected {
        Inspected {
            server: "15.13".into(),
            latency: Duration::from_micros(430),
            tables: TablesSeen::Present(1),
            hosts: vec!["a".into(), "b".into()],
            oldest_transaction: Duration::from_secs(60),
            hidden_transactions: 0,
            clock_ahead_s: 1.0,
        }
    }

    #[test]
    fn a_database_is_described_and_an_old_transaction_in_it_is_weak() {
        let (state, detail) = describe(&inspected());
        assert_eq!(state, State::Good);
        assert_eq!(
            detail,
            "PostgreSQL 15.13 answers in 0.4 ms; tables of version 1; hosts: a, b; the oldest open transaction is 60 s \
             old"
        );
        let oldest_transaction = Duration::from_secs(61);
        let (state, detail) = describe(&Inspected { oldest_transaction, ..inspected() });
        assert_eq!(state, State::Weak);
        assert!(
            detail.contains("61 s old, more than 60 s, which slows all hosts down"),
            "{detail}"
        );
    }

    #[test]
    fn a_difference_of_the_clocks_is_told_and_no_fault() {
        for (clock_ahead_s, words) in [
            (1.1, "is 1.1 s ahead of that of the database"),
            (-3.0, "is 3.0 s behind that of the database"),
        ] {
            let (state, detail) = describe(&Inspected { clock_ahead_s, ..inspected() });
            assert_eq!(state, State::Good);
            assert!(detail.contains(words), "{detail}");
        }
    }

    #[test]
    fn a_role_that_may_not_create_the_tables_is_a_fault() {
        let (state, detail) = describe(&Inspected { tables: TablesSeen::Forbidden, ..inspected() });
        assert_eq!(state, State::Bad);
        assert!(detail.contains("GRANT CREATE ON DATABASE"), "{detail}");
        let first = Inspected { tables: TablesSeen::Absent, hosts: Vec::new(), ..inspected() };
        assert_eq!(describe(&first).0, State::Good);
    }
}
