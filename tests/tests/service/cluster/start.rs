//! A host starts before its database answers, or with settings that only an operator can mend.

use anyhow::{Context, Result, ensure};
use bodyscript_tests::cluster::STOP_DELAY;
use bodyscript_tests::database::Database;
use bodyscript_tests::polling::wait_until;
use bodyscript_tests::server::TestServer;
use bodyscript_tests::traces::{fault_video, fault_worker};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// In the log of a host that waits for its database.
const WAITS: &str = "the start waits for the database";

/// A host that may not get ready.
struct Host {
    server: TestServer,
    folder: Arc<TempDir>,
}

impl Host {
    /// With the fault worker, a store in its folder, and these flags.
    fn launch(journal: &[String]) -> Result<Self> {
        let folder = Arc::new(tempfile::tempdir()?);
        let store = folder.path().join("store");
        fs::create_dir(&store)?;
        let own = [
            "--artefacts-url".to_owned(),
            format!("file://{}", store.display()),
            STOP_DELAY.to_owned(),
            "0".to_owned(),
        ];
        let flags = [&fault_worker()?[..], &own, journal].concat();
        let flags: Vec<_> = flags.iter().map(String::as_str).collect();
        let server = TestServer::launch(Arc::clone(&folder), &flags, None)?;
        Ok(Self { server, folder })
    }

    /// Checks that both listeners say what it waits for.
    fn check_answers_while_it_waits(&self) -> Result<()> {
        let server = &self.server;
        wait_until("it refuses uploads", || Ok(server.get("/readyz")?.status() == 503))?;
        for live in [server.get("/livez")?, server.operator_get("/livez")?] {
            assert_eq!(live.status(), 200);
        }
        let ready = server.json("/readyz")?;
        assert_eq!(ready["reason"], "the start waits for the database of the journal");
        let refused = server.upload(&fault_video(self.folder.path(), "ok")?, &[])?;
        for name in ["retry-after", "x-request-id"] {
            assert!(refused.headers().contains_key(name), "{name}");
        }
        let refused = (refused.status().as_u16(), refused.json::<Value>()?["code"].clone());
        assert_eq!(refused, (503, "journal_unreachable".into()));
        Ok(())
    }

    /// Waits until it is ready, and lets it run a job.
    fn check_works(mut self) -> Result<()> {
        ensure!(self.server.ready_or_exited()?, "{}", self.server.log());
        let id = self.server.submit(&fault_video(self.folder.path(), "ok")?)?;
        let status = self.server.await_end(&id)?;
        ensure!(status["status"] == "completed", "{status}");
        self.server.stop().map(drop)
    }

    /// Waits for the end of a start that must be refused as a wrong configuration; gives the log.
    fn refusal(mut self) -> Result<String> {
        ensure!(!self.server.ready_or_exited()?, "it is ready: {}", self.server.log());
        assert_eq!(self.server.exit_code()?, Some(2), "{}", self.server.log());
        Ok(self.server.log())
    }
}

#[test]
fn a_host_waits_for_a_database_that_is_not_up() -> Result<()> {
    let Some(mut database) = Database::start()? else { return Ok(()) };
    database.stop()?;
    let host = Host::launch(&database.flags())?;
    host.server.await_log(WAITS)?;
    host.check_answers_while_it_waits()?;
    database.start_again()?;
    host.check_works()
}

#[test]
fn a_host_waits_for_a_database_that_takes_no_more_connections() -> Result<()> {
    let Some(database) = Database::start()? else { return Ok(()) };
    database.query("ALTER ROLE bodyscript CONNECTION LIMIT 0")?;
    let host = Host::launch(&database.flags())?;
    host.server.await_log(WAITS)?;
    host.server.await_log("too many connections")?;
    database.query("ALTER ROLE bodyscript CONNECTION LIMIT -1")?;
    host.check_works()
}

#[test]
fn a_host_that_waits_for_its_database_can_be_stopped() -> Result<()> {
    let Some(mut database) = Database::start()? else { return Ok(()) };
    database.stop()?;
    let host = Host::launch(&database.flags())?;
    host.server.await_log(WAITS)?;
    host.server.signal(Signal::SIGTERM)?;
    host.server.ended().map(drop)
}

/// The flags with another value of one of them.
fn with(flags: &[String], flag: &str, value: &str) -> Result<Vec<String>> {
    let mut flags = flags.to_vec();
    let at = flags.iter().position(|one| one == flag).context("the flag")?;
    flags[at + 1] = value.to_owned();
    Ok(flags)
}

fn write(folder: &Path, text: &str) -> Result<String> {
    let path = folder.join("password");
    fs::write(&path, text)?;
    Ok(path.to_string_lossy().into_owned())
}

#[test]
fn a_start_that_only_an_operator_can_mend_ends_and_names_the_key() -> Result<()> {
    let Some(database) = Database::start()? else { return Ok(()) };
    let (flags, folder) = (database.flags(), tempfile::tempdir()?);
    let wrong = write(folder.path(), "wrong")?;
    let log = Host::launch(&with(&flags, "--journal-password-file", &wrong)?)?.refusal()?;
    for words in ["password authentication failed", "`journal_password_file`"] {
        assert!(log.contains(words), "{log}");
    }
    let other = format!("postgres://bodyscript@{}/other", database.address());
    let log = Host::launch(&with(&flags, "--journal-url", &other)?)?.refusal()?;
    for words in ["database \"other\" does not exist", "`journal_url`"] {
        assert!(log.contains(words), "{log}");
    }
    database.query("REVOKE CREATE ON DATABASE bodyscript FROM bodyscript")?;
    database.query("ALTER DATABASE bodyscript OWNER TO postgres")?;
    let log = Host::launch(&flags)?.refusal()?;
    assert!(log.contains("permission denied") && log.contains("`journal_url`"), "{log}");
    Ok(())
}
