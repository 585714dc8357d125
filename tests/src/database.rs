//! A PostgreSQL server for one test, from Debian's packages as `make database-tools` unpacks them. What it
//! has confirmed survives a crash, as in production: only what concerns speed is configured otherwise.

use crate::leftovers::{descendants, is_alive};
use crate::polling::wait_until;
use crate::report;
use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use std::env::consts::ARCH;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The role of the services, and the database that it owns.
const NAME: &str = "bodyscript";

/// The role of the tests.
const SUPERUSER: &str = "postgres";

/// Services need their password; the tests connect through the socket in the server's folder.
const ACCESS: &str = "local all all trust\nhost all all samenet scram-sha-256\n";

/// The server refuses to run as root.
const UNPRIVILEGED_USER: &str = "nobody";

/// Without compiled queries, whose library is not unpacked; without time zones, which a host may lack; and with one call
/// for all files where a start after a crash would sync a thousand, one by one.
const SETTINGS: [&str; 6] = [
    "jit=off",
    "max_connections=100",
    "timezone=GMT",
    "log_timezone=GMT",
    "shared_buffers=32MB",
    "recovery_init_sync_method=syncfs",
];

/// Transactions of several connections at the same time.
#[derive(Debug, Clone, Copy)]
pub struct Load<'a> {
    /// The statements of one, as pgbench(1) reads them.
    pub script: &'a str,
    /// How many connections.
    pub clients: usize,
    /// How many transactions of each.
    pub transactions: usize,
    /// Names and values for the script.
    pub variables: &'a [(&'a str, &'a str)],
}

/// A server, which may be stopped.
#[derive(Debug)]
pub struct Database {
    child: Child,
    address: SocketAddr,
    programs: Programs,
    folder: TempDir,
}

impl Database {
    /// Starts a server with an empty database on loopback; none, which counts as a skip, if its programs are not
    /// unpacked.
    pub fn start() -> Result<Option<Self>> {
        Self::start_at(Ipv4Addr::LOCALHOST)
    }

    /// The same, on some port of this address.
    pub fn start_at(address: Ipv4Addr) -> Result<Option<Self>> {
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/database");
        if !tools.join(".unpacked").exists() {
            report::skipped("database", "PostgreSQL is not unpacked; run `make database-tools`");
            return Ok(None);
        }
        let folder = tempfile::tempdir()?;
        let programs = Programs::new(tools.join("usr"), folder.path())?;
        programs.create_data()?;
        // The port was free a moment ago; if another process takes it, the start fails.
        let address = TcpListener::bind((address, 0))?.local_addr()?;
        let child = programs.launch(address)?;
        let database = Self { child, address, programs, folder };
        database.await_ready()?;
        database.create_role()?;
        Ok(Some(database))
    }

    /// The role and its password, which is in a file that only the user of this process reads.
    fn create_role(&self) -> Result<()> {
        let password = format!("{:032x}", fastrand::u128(..));
        let mut file = File::options();
        let file = file.write(true).create_new(true).mode(0o600).open(self.password_file());
        file?.write_all(password.as_bytes())?;
        self.psql(SUPERUSER, &format!("CREATE ROLE {NAME} LOGIN PASSWORD '{password}'"))?;
        self.psql(SUPERUSER, &format!("CREATE DATABASE {NAME} OWNER {NAME}"))?;
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The file with the password of the services.
    pub fn password_file(&self) -> PathBuf {
        self.folder.path().join("password")
    }

    /// The flags of a service with its journal in this database.
    pub fn flags(&self) -> Vec<String> {
        self.flags_at(self.address)
    }

    /// The same, for a service that reaches it at this address.
    pub fn flags_at(&self, address: SocketAddr) -> Vec<String> {
        let password_file = self.password_file().to_string_lossy().into_owned();
        // It has no certificate, which services ask for unless it is on loopback.
        let tls = if address.ip().is_loopback() { "" } else { "?sslmode=disable" };
        let url = format!("postgres://{NAME}@{address}/{NAME}{tls}");
        vec!["--journal-url".into(), url, "--journal-password-file".into(), password_file]
    }

    /// The rows of a query of a superuser, one a line, their columns separated by `|`.
    pub fn query(&self, sql: &str) -> Result<String> {
        self.psql(NAME, sql)
    }

    fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = self.client("psql", database);
        command.args(["--no-psqlrc", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        self.output(command.args(["--command", sql])).with_context(|| sql.to_owned())
    }

    /// A program that connects as a superuser.
    fn client(&self, program: &str, database: &str) -> Command {
        let mut command = self.programs.command(program);
        command
            .env("PGHOST", self.folder.path())
            .env("PGPORT", self.address.port().to_string())
            .env("PGUSER", SUPERUSER)
            .env("PGDATABASE", database)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGOPTIONS", "-c search_path=bodyscript,public");
        command
    }

    fn output(&self, command: &mut Command) -> Result<String> {
        let output = command.output().context("a program of the database cannot be run")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}; log: {}", error.trim(), self.log());
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Executes statements of a superuser, each in a transaction of its own.
    pub fn run_script(&self, sql: &str) -> Result<()> {
        let mut command = self.client("psql", NAME);
        command.args(["--no-psqlrc", "--quiet", "--output=/dev/null", "--set=ON_ERROR_STOP=1"]);
        self.output(command.arg("--file").arg(self.write_script(sql)?)).map(drop)
    }

    /// Executes a load, as a superuser; gives the transactions per second.
    pub fn run_load(&self, load: &Load<'_>) -> Result<f64> {
        let mut command = self.client("pgbench", NAME);
        command.args(["--no-vacuum", "--protocol=prepared", "--jobs=2"]);
        command.args(["--client", &load.clients.to_string()]);
        command.args(["--transactions", &load.transactions.to_string()]);
        for (name, value) in load.variables {
            command.args(["--define", &format!("{name}={value}")]);
        }
        let output = self.output(command.arg("--file").arg(self.write_script(load.script)?))?;
        ensure!(output.contains("number of failed transactions: 0 "), "{output}");
        let rate = output.split_once("tps = ").and_then(|(_, rest)| rest.split(' ').next());
        rate.with_context(|| output.clone())?.parse().context("a rate")
    }

    fn write_script(&self, text: &str) -> Result<PathBuf> {
        let path = self.folder.path().join("script");
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Ends the server without a checkpoint, as a crash does: its next start recovers from the log of its writes.
    /// (SIGKILL would leave its child processes.)
    pub fn crash(&mut self) -> Result<()> {
        self.end(Signal::SIGQUIT)
    }

    /// Ends the server in order. Connections are closed at once.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGINT)
    }

    /// Starts a server that has ended, at the same address and with its data.
    pub fn start_again(&mut self) -> Result<()> {
        ensure!(self.is_over()?, "the database still runs");
        self.child = self.programs.launch(self.address)?;
        self.await_ready()
    }

    /// Stops it without ending it: connections are accepted by the kernel, and nothing is answered.
    pub fn suspend(&self) -> Result<()> {
        self.signal_all(Signal::SIGSTOP)
    }

    /// Continues it.
    pub fn resume(&self) -> Result<()> {
        self.signal_all(Signal::SIGCONT)
    }

    /// Everything the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The server first, which creates no more processes after that. They are in no process group of it.
    fn signal_all(&self, signal: Signal) -> Result<()> {
        kill(self.pid(), signal)?;
        for pid in descendants(self.pid().as_raw()) {
            // It may have exited meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        ensure!(!self.is_over()?, "the database has ended; log: {}", self.log());
        // A suspended process acts on no other signal.
        self.resume()?;
        kill(self.pid(), signal)?;
        self.child.wait()?;
        Ok(())
    }

    fn is_over(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    fn await_ready(&self) -> Result<()> {
        let answers = || {
            ensure!(is_alive(self.pid().as_raw()), "the database has ended");
            Ok(self.psql(SUPERUSER, "SELECT 1").is_ok())
        };
        wait_until("the database answers", answers).with_context(|| self.log())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.crash();
        }
    }
}

/// The programs, and the folder and the user with which they run.
#[derive(Debug)]
struct Programs {
    unpacked: PathBuf,
    folder: PathBuf,
    /// None if it is the user of this process.
    user: Option<User>,
}

impl Programs {
    fn new(unpacked: PathBuf, folder: &Path) -> Result<Self> {
        let mut programs = Self { unpacked, folder: folder.to_owned(), user: None };
        if geteuid().is_root() {
            let user = User::from_name(UNPRIVILEGED_USER)?;
            let user = user.with_context(|| format!("there is no user {UNPRIVILEGED_USER}"))?;
            chown(folder, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            programs.user = Some(user);
        }
        let probe = programs.command("postgres").arg("--version").output();
        if probe.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            programs.copy()?;
        }
        Ok(programs)
    }

    /// Copies them to where the user can read them: the source tree may be in a folder of root.
    fn copy(&mut self) -> Result<()> {
        let copy = self.folder.join("programs");
        let copied = Command::new("cp").arg("--archive").args([&self.unpacked, &copy]).output()?;
        ensure!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));
        self.unpacked = copy;
        Ok(())
    }

    /// A program without the environment of the tests, which may name another server.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.unpacked.join("lib/postgresql/15/bin").join(name));
        command
            .current_dir(&self.folder)
            .env_clear()
            .env("LC_ALL", "C")
            .env("LD_LIBRARY_PATH", self.unpacked.join(format!("lib/{ARCH}-linux-gnu")))
            .stdin(Stdio::null());
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn create_data(&self) -> Result<()> {
        let output = self
            .command("initdb")
            // What a test survives are crashes of the server, not of the host.
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .args(["--username", SUPERUSER, "--pgdata"])
            .arg(self.data())
            .output()
            .context("initdb cannot be run")?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "initdb ended with {}: {error}", output.status);
        Ok(fs::write(self.data().join("pg_hba.conf"), ACCESS)?)
    }

    fn launch(&self, address: SocketAddr) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        self.command("postgres")
            .args(["-c", &format!("listen_addresses={}", address.ip())])
            .args(["-p", &address.port().to_string()])
            .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
            .arg("-k")
            .arg(&self.folder)
            .arg("-D")
            .arg(self.data())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("the database cannot be started")
    }
}
