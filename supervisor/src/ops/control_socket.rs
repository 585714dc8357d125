//! The control socket, over which operators on this host send commands, one JSON object per line.
//!
//! ```text
//! -> {"command":"retry","job":"0123..."}
//! <- {"ok":{...}}   or   {"error":"one sentence"}
//! ```
//!
//! It is in the state folder with mode 0600, and the kernel reports the user of the peer
//! (SO_PEERCRED, unix(7)): only root and the user of the service are accepted. `cli::ctl` is the
//! client. Every wait for a peer has a deadline.

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

/// Maximum length of a command in bytes.
const COMMAND_BYTES_MAX: u64 = 4096;

/// Maximum time to receive a command, and to send a response.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);

/// Maximum number of concurrent connections.
const PEERS_MAX: usize = 16;

/// Pause after a failed accept, usually for lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Why there is no control socket.
#[derive(Debug, Error)]
#[error("cannot open the control socket {}: {source}", path.display())]
pub(crate) struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// The response to a command.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Response {
    /// The command succeeded.
    Ok(Value),
    /// It failed, for this reason.
    Error(String),
}

/// The listening socket; removed when dropped.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the socket in the state folder. The folder is locked by this process, so an existing
    /// socket is a leftover of an earlier run.
    ///
    /// # Errors
    /// If the socket cannot be created, for example because its path is too long (108 bytes).
    pub(crate) fn open(state_dir: &Path) -> Result<Self, ControlError> {
        let path = state_dir.join(SOCKET);
        let open = || {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(&path)?;
            // Until here the mode of the state folder has kept other users out.
            fs::set_permissions(&path, Permissions::from_mode(0o600))?;
            Ok(listener)
        };
        match open() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(ControlError { path, source }),
        }
    }

    /// Accepts connections until it is dropped.
    pub(crate) async fn serve(self, operations: Arc<Operations>) {
        let permits = Arc::new(Semaphore::new(PEERS_MAX));
        loop {
            let permit = permits.clone().acquire_owned().await;
            match self.listener.accept().await {
                Ok((peer, _)) => {
                    let operations = operations.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve_peer(peer, &operations).await {
                            tracing::debug!(%error, "control connection failed");
                        }
                        drop(permit);
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

async fn serve_peer(mut peer: UnixStream, operations: &Operations) -> io::Result<()> {
    let uid = peer.peer_cred()?.uid();
    let (reader, mut writer) = peer.split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(COMMAND_BYTES_MAX);
        let read = timeout(EXCHANGE_MAX, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        // After the read, because closing a socket with unread data can discard the response.
        if !is_allowed(uid, geteuid().as_raw()) {
            tracing::warn!(uid, "control connection of another user refused");
            let refusal = "only root and the user of the service may control it".to_owned();
            return send(&mut writer, &Response::Error(refusal)).await;
        }
        let is_whole = line.ends_with(b"\n");
        let response = match serde_json::from_slice::<OperatorCommand>(&line) {
            Ok(command) => match operations.execute(command).await {
                Ok(value) => Response::Ok(value),
                Err(error) => Response::Error(error),
            },
            Err(error) => Response::Error(format!("invalid command: {error}")),
        };
        send(&mut writer, &response).await?;
        // The rest of a line that was too long must not be read as a command.
        if !is_whole {
            return Ok(());
        }
    }
}

/// Whether a user may control a service that runs as `own`.
const fn is_allowed(peer: u32, own: u32) -> bool {
    peer == 0 || peer == own
}

async fn send(writer: &mut (impl AsyncWriteExt + Unpin), response: &Response) -> io::Result<()> {
    let mut line = serde_json::to_vec(response)?;
    line.push(b'\n');
    timeout(EXCHANGE_MAX, writer.write_all(&line)).await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_and_the_user_of_the_service_are_allowed() {
        assert!(is_allowed(0, 990) && is_allowed(990, 990) && is_allowed(0, 0));
        assert!(!is_allowed(1000, 990) && !is_allowed(1000, 0));
    }

    #[test]
    fn commands_parse_back_and_others_are_refused() {
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
    async fn a_path_too_long_for_a_socket_is_reported() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("d".repeat(120));
        fs::create_dir(&deep).expect("makes");
        let error = Control::open(&deep).expect_err("too long").to_string();
        assert!(error.contains(SOCKET), "{error}");
    }
}
