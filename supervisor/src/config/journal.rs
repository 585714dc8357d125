//! Settings of the journal that hosts share.

use crate::config::defaults::{credential, host_name};
use crate::config::values::{Result, Values, refused};
use crate::store::SharedJournalConfig;
use std::time::Duration;

/// The value of `journal_url` for a journal in `state_dir`.
const LOCAL: &str = "sqlite:";

/// Longest name of a host, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Reads the settings; none if the journal is in `state_dir`.
pub(crate) fn read(values: &mut Values) -> Result<Option<SharedJournalConfig>> {
    let url = values.text("journal_url", |text| {
        let is_accepted = text == LOCAL
            || ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
        // It would be shown wherever the configuration is.
        let has_password = text.split_once("://").is_some_and(|(_, rest)| {
            rest.split_once('@').is_some_and(|(user, _)| user.contains(':'))
        });
        if has_password {
            let accepted = "a URL without a password, which belongs in journal_password_file";
            return Err(refused("journal_url", "one with a password", accepted));
        }
        if !is_accepted {
            return Err(refused("journal_url", text, "sqlite: or postgres://user@host/database"));
        }
        Ok(text.to_owned())
    })?;
    let password_file = values.file("journal_password_file", || credential("journal-password"))?;
    if !values.is_given("host_name") {
        values.set_default("host_name", host_name());
    }
    let host_name = values.text("host_name", |text| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if text.is_empty() || text.len() > NAME_CHARS_MAX || !text.chars().all(is_plain) {
            return Err(refused("host_name", text, "up to 64 letters, digits, `-`, `_` and `.`"));
        }
        Ok(text.to_owned())
    })?;
    let lease = values.seconds("lease_s")?;
    let poll = Duration::from_millis(values.number("journal_poll_ms")?.into());
    if poll * 4 > lease {
        let accepted = format!("at most a quarter of lease_s, which is {} s", lease.as_secs());
        return Err(refused("journal_poll_ms", poll.as_millis(), accepted));
    }
    let shared = SharedJournalConfig { url, password_file, host_name, lease, poll };
    Ok((shared.url != LOCAL).then_some(shared))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, RawConfig};

    const SHARED: &str = "artefacts_url = \"file:///a\"\njournal_url = \"postgres://b@c/d\"";

    fn resolve(text: &str) -> Result<Config, String> {
        Config::resolve(RawConfig::of(text)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_journal_is_local_unless_a_database_is_named() {
        assert!(resolve("").expect("valid").journal.is_none());
        let journal = resolve(SHARED).expect("valid").journal.expect("shared");
        assert_eq!((journal.lease.as_secs(), journal.poll.as_millis()), (20, 250));
        assert!(!journal.host_name.is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        for (text, refusal) in [
            (
                "journal_url = \"mysql://a\"",
                "`journal_url` is mysql://a; expected sqlite: or postgres://user@host/database",
            ),
            (
                "journal_url = \"postgres://a:b@c/d\"",
                "`journal_url` is one with a password; expected a URL without a password, which belongs in \
                 journal_password_file",
            ),
            (
                "journal_url = \"postgres://a@b/c\"",
                "`artefacts_url` is local; expected a store that hosts share, because journal_url names a \
                 database that they share",
            ),
            (
                "lease_s = 2\njournal_poll_ms = 501",
                "`journal_poll_ms` is 501; expected at most a quarter of lease_s, which is 2 s",
            ),
            (
                "host_name = \"a b\"",
                "`host_name` is a b; expected up to 64 letters, digits, `-`, `_` and `.`",
            ),
        ] {
            assert_eq!(resolve(text).err().as_deref(), Some(refusal));
        }
    }
}
