//! The control socket: operators on this host give orders over it, one JSON object a line.
//!
//! ```text
//! -> {"command":"retry","job":"0123..."}
//! <- {"ok":{...}}   or   {"error":"one sentence"}
//! ```
//!
//! It lies in the state folder with mode 0600, and the kernel says who is at the other end
//! (SO_PEERCRED, unix(7)): root and the service's own user are heard, nobody else. `cli::ctl` is
//! the other end. It must never wait for a peer without a deadline.

use crate::ops::commands::OperatorCommand;
use crate::ops::operations::Operations;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Name of the socket in the state folder.
pub(crate) const SOCKET: &str = "control.sock";

/// Longest order, in bytes.
const ORDER_BYTES_MAX: u64 = 4096;

/// How long a peer may take to say a line, or to hear one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Peers served at once.
const PEERS_MAX: usize = 16;

/// Pause after a peer could not be accepted: out of descriptors, most of the time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no control socket: the operator's to mend.
#[derive(Debug, Error)]
#[error("cannot open the control socket {}: {source}", path.display())]
pub(crate) struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// What is answered.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Answer {
    /// It was done; what there is to tell.
    Ok(Value),
    /// It was not; why.
    Error(String),
}

/// The socket; removed when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the socket in the state folder, which nobody else uses: what an earlier run left
    /// there has no one behind it.
    ///
    /// # Errors
    /// When it cannot be made there, for example because the path is too long (108 bytes).
    pub(crate) fn open(state_dir: &Path) -> Result<Self, ControlError> {
        let path = state_dir.join(SOCKET);
        let open = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            // Until now the folder, which is the service's alone, kept others out.
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match open() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(ControlError { path, source }),
        }
    }

    /// Serves until it is dropped.
    pub(crate) async fn serve(self, operations: Arc<Operations>) {
        let places = Arc::new(Semaphore::new(PEERS_MAX));
        loop {
            let place = places.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((peer, _)) => {
                    let operations = operations.clone();
                    tokio::spawn(async move {
                        if let Err(error) = converse(peer, &operations).await {
                            tracing::debug!(%error, "control connection failed");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a control connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

async fn converse(mut peer: UnixStream, operations: &Operations) -> io::Result<()> {
    let uid = peer.peer_cred()?.uid();
    let (reader, mut writer) = peer.split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(ORDER_BYTES_MAX);
        let read = timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        // Only now, because an answer to an order that nobody took is lost.
        if !is_heard(uid, geteuid().as_raw()) {
            tracing::warn!(uid, "control connection of another user refused");
            let refusal = "only root and the user of the service may control it".to_owned();
            return say(&mut writer, &Answer::Error(refusal)).await;
        }
        let is_whole = line.ends_with(b"\n");
        let answer = match serde_json::from_slice::<OperatorCommand>(&line) {
            Ok(command) => match operations.carry_out(command).await {
                Ok(value) => Answer::Ok(value),
                Err(error) => Answer::Error(error),
            },
            Err(error) => Answer::Error(format!("invalid command: {error}")),
        };
        say(&mut writer, &answer).await?;
        // What follows a line that was too long is not the beginning of another.
        if !is_whole {
            return Ok(());
        }
    }
}

/// Whether a peer of this user may give orders to a service of that one.
const fn is_heard(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

async fn say(writer: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(PATIENCE, writer.write_all(&line)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_service_itself_are_heard() {
        assert!(is_heard(0, 990) && is_heard(990, 990) && is_heard(0, 0));
        assert!(!is_heard(1000, 990) && !is_heard(1000, 0));
    }

    #[test]
    fn orders_are_read_as_they_are_written_and_nothing_else_is() {
        let command = OperatorCommand::Retry { job: "a".into() };
        let text = serde_json::to_string(&command).expect("plain");
        assert_eq!(text, r#"{"command":"retry","job":"a"}"#);
        assert_eq!(serde_json::from_str::<OperatorCommand>(&text).expect("reads back"), command);
        for wrong in [r#"{"command":"dance"}"#, r#"{"command":"retry"}"#, "[]", ""] {
            assert!(serde_json::from_str::<OperatorCommand>(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_the_new_one_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(SOCKET)).expect("binds"));
        let control = Control::open(folder.path()).expect("replaces it");
        let mode = fs::metadata(&control.path).expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let path = control.path.clone();
        drop(control);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_path_too_long_for_a_socket_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir(&deep).expect("makes");
        let error = Control::open(&deep).expect_err("too long").to_string();
        assert!(error.contains(SOCKET), "{error}");
    }
}
