//! A store that speaks S3, for one test: moto, as `make python-tools` installs it, which keeps its objects in
//! memory, or the one that `OBJECT_SERVER` names.

use crate::polling::wait_until;
use crate::report;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::blocking::Client;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The variable that names the program.
const CHOICE: &str = "OBJECT_SERVER";

/// The bucket that a store has at its start.
const BUCKET: &str = "videos";

/// Of the user of the store; moto accepts any.
const KEY: &str = "test";

/// The program that is the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Engine {
    Moto,
    /// Keeps its objects as files; `make object-server` builds it.
    S3sFs,
}

impl Engine {
    fn chosen() -> Result<Self> {
        match std::env::var(CHOICE).as_deref() {
            Err(_) | Ok("moto") => Ok(Self::Moto),
            Ok("s3s-fs") => Ok(Self::S3sFs),
            Ok(other) => bail!("{CHOICE}={other} is neither moto nor s3s-fs"),
        }
    }

    /// The program below `target`, and what makes it.
    const fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Moto => ("object_server/bin/moto_server", "make python-tools"),
            Self::S3sFs => ("s3s-fs/bin/s3s-fs", "make object-server"),
        }
    }

    fn command(self, program: &Path, address: SocketAddr, folder: &Path) -> Command {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let mut command = Command::new(program);
        match self {
            Self::Moto => command.args(["-H", &ip, "-p", &port]),
            Self::S3sFs => command
                .args(["--host", &ip, "--port", &port])
                .args(["--access-key", KEY, "--secret-key", KEY])
                .arg(folder),
        };
        command
    }
}

/// A running store.
#[derive(Debug)]
pub struct ObjectServer {
    engine: Engine,
    child: Child,
    address: SocketAddr,
    client: Client,
    /// Has a folder of each bucket, if the store keeps files.
    folder: TempDir,
}

impl ObjectServer {
    /// Starts a store with an empty bucket on loopback; none, which counts as a skip, if it is not installed.
    pub fn start() -> Result<Option<Self>> {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same, on some port of this address.
    pub fn start_at(address: Ipv4Addr) -> Result<Option<Self>> {
        let engine = Engine::chosen()?;
        let (program, made_by) = engine.program();
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target").join(program);
        if !program.exists() {
            let reason = format!("{} is not there; run `{made_by}`", program.display());
            report::skipped("object-server", &reason);
            return Ok(None);
        }
        // The port was free a moment ago; if another process takes it, the bucket cannot be created.
        let address = TcpListener::bind((address, 0))?.local_addr()?;
        let folder = tempfile::tempdir()?;
        let child = engine
            .command(&program, address, folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("the store cannot be started")?;
        let server = Self { engine, child, address, client: Client::new(), folder };
        server.create_bucket()?;
        Ok(Some(server))
    }

    fn create_bucket(&self) -> Result<()> {
        if self.engine == Engine::S3sFs {
            fs::create_dir(self.folder.path().join(BUCKET))?;
            let connects = || Ok(TcpStream::connect(self.address).is_ok());
            return wait_until("the store takes connections", connects);
        }
        wait_until("the store has a bucket", || {
            let answer = self.client.put(format!("{}/{BUCKET}", self.endpoint())).send();
            Ok(answer.is_ok_and(|answer| answer.status().is_success()))
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The flags of a service with its files in this store, below the prefix `a`. The folder gets a file with
    /// credentials.
    pub fn flags(&self, folder: &Path) -> Result<Vec<String>> {
        self.flags_at(self.address, folder)
    }

    /// The same, for a service that reaches it at this address.
    pub fn flags_at(&self, address: SocketAddr, folder: &Path) -> Result<Vec<String>> {
        let credentials = folder.join("credentials");
        let lines = format!("aws_access_key_id = {KEY}\naws_secret_access_key = {KEY}\n");
        fs::write(&credentials, format!("[default]\n{lines}"))?;
        Ok(vec![
            "--artefacts-url".into(),
            format!("s3://{BUCKET}/a"),
            "--artefacts-endpoint".into(),
            format!("http://{address}"),
            "--artefacts-credentials-file".into(),
            credentials.to_string_lossy().into_owned(),
        ])
    }

    /// The names of all objects, sorted.
    pub fn names(&self) -> Result<Vec<String>> {
        let mut names = match self.engine {
            Engine::Moto => self.listed()?,
            Engine::S3sFs => files_below(&self.folder.path().join(BUCKET))?,
        };
        names.sort();
        Ok(names)
    }

    /// The names that the store lists, from all pages of the list.
    fn listed(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        loop {
            let after = names.last().map_or("", String::as_str);
            let url = format!("{}/{BUCKET}?list-type=2&start-after={after}", self.endpoint());
            let list = self.client.get(url).send()?.error_for_status()?.text()?;
            let keys = list.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
            let page: Vec<_> = keys.map(|(key, _)| key.to_owned()).collect();
            let is_last = list.contains("<IsTruncated>false<");
            ensure!(is_last || !page.is_empty(), "{list}");
            names.extend(page);
            if is_last {
                return Ok(names);
            }
        }
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

/// The paths of all files below a folder, from there on.
fn files_below(root: &Path) -> Result<Vec<String>> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        // Another request may have removed it.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            }
        }
    }
    Ok(files)
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
