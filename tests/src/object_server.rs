//! A store that speaks S3, for one test on loopback: moto, as `make python-tools` installs it. It keeps its objects in
//! memory.

use crate::polling::wait_until;
use crate::report;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::Client;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The bucket that a store has at its start.
const BUCKET: &str = "videos";

/// Of any user: the store accepts all.
const CREDENTIALS: &str = "[default]\naws_access_key_id = test\naws_secret_access_key = test\n";

/// A running store.
#[derive(Debug)]
pub struct ObjectServer {
    child: Child,
    endpoint: String,
    client: Client,
}

impl ObjectServer {
    /// Starts a store with an empty bucket; none, which counts as a skip, if it is not installed.
    pub fn start() -> Result<Option<Self>> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = here.join("../target/object_server/bin/moto_server");
        if !program.exists() {
            report::skipped("object-server", "moto is not installed; run `make python-tools`");
            return Ok(None);
        }
        // The port was free a moment ago; if another process takes it, the bucket cannot be created.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the store cannot be started")?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let server = Self { child, endpoint, client: Client::new() };
        wait_until("the store has a bucket", || {
            let answer = server.client.put(format!("{}/{BUCKET}", server.endpoint)).send();
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })?;
        Ok(Some(server))
    }

    /// Its address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The flags of a service with its files in this store, below the prefix `a`. The folder gets a file with credentials.
    pub fn flags(&self, folder: &Path) -> Result<Vec<String>> {
        let credentials = folder.join("credentials");
        fs::write(&credentials, CREDENTIALS)?;
        Ok(vec![
            "--artefacts-url".into(),
            format!("s3://{BUCKET}/a"),
            "--artefacts-endpoint".into(),
            self.endpoint.clone(),
            "--artefacts-credentials-file".into(),
            credentials.to_string_lossy().into_owned(),
        ])
    }

    /// The names of all objects, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let url = format!("{}/{BUCKET}?list-type=2", self.endpoint);
        let list = self.client.get(url).send()?.error_for_status()?.text()?;
        ensure!(list.contains("<IsTruncated>false<"), "{list}");
        let keys = list.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
        let mut names: Vec<_> = keys.map(|(key, _)| key.to_owned()).collect();
        names.sort();
        Ok(names)
    }

    /// Stops it without ending it: connections are accepted, and nothing is answered.
    pub fn suspend(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id() as i32), Signal::SIGSTOP)?)
    }

    /// Continues it.
    pub fn resume(&self) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id() as i32), Signal::SIGCONT)?)
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
