//! A TCP link between a client and a service that fails as a test specifies: after a number of bytes all
//! connections end, or one connection hangs. Independent of the protocol above TCP.

use crate::server::TestServer;
use anyhow::{Context, Result, ensure};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Longest wait for anything; far beyond what the slowest machine needs.
const WAIT_MAX: Duration = Duration::from_secs(240);

/// How a link fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// All connections end, and new ones too, until the link is repaired.
    Cut,
    /// The connection that sent the last byte hangs for ever; others are not affected.
    Hang,
}

/// A link to one service.
#[derive(Debug)]
pub struct FaultyLink {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    failed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The fault, and the number of bytes to the service before it occurs.
    planned_fault: Option<(LinkFault, u64)>,
    is_cut: bool,
    /// Bytes forwarded to the service.
    forwarded: u64,
    /// Both ends of each connection so far.
    ends: Vec<TcpStream>,
}

impl FaultyLink {
    /// A working link to the service's address, also after another service has taken it over.
    pub fn to(server: &TestServer) -> Result<Self> {
        let target = server.url("").strip_prefix("http://").context("an address")?.parse()?;
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let link = Self { address: listener.local_addr()?, shared: Arc::default() };
        let shared = Arc::clone(&link.shared);
        // The thread ends with the test's process.
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|near| join(near, target, &shared));
        });
        Ok(link)
    }

    /// The address of a path, through the link.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Fails once this many more bytes have been forwarded to the service.
    pub fn fail_after(&self, bytes: u64, fault: LinkFault) {
        self.shared.lock().planned_fault = Some((fault, bytes));
    }

    /// Waits until the planned fault has occurred.
    pub fn await_failure(&self) -> Result<()> {
        let waiting = |state: &mut State| state.planned_fault.is_some();
        let waited = self.shared.failed.wait_timeout_while(self.shared.lock(), WAIT_MAX, waiting);
        let (state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        ensure!(!time.timed_out(), "the planned number of bytes never came");
        Ok(())
    }

    /// Accepts connections again.
    pub fn repair(&self) {
        self.shared.lock().is_cut = false;
    }

    /// How many bytes have been forwarded to the service.
    pub fn forwarded(&self) -> u64 {
        self.shared.lock().forwarded
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_cut = true;
        state.end_all();
    }
}

impl State {
    fn end_all(&mut self) {
        for end in self.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// How many of these bytes are forwarded, and the fault that occurs after them.
    fn forward(&mut self, bytes: usize) -> (usize, Option<LinkFault>) {
        let (through, fault) = match self.planned_fault {
            Some((fault, left)) if left <= bytes as u64 => (left as usize, Some(fault)),
            _ => (bytes, None),
        };
        self.forwarded += through as u64;
        self.planned_fault = match (self.planned_fault, fault) {
            (Some((fault, left)), None) => Some((fault, left - through as u64)),
            _ => None,
        };
        (through, fault)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Connects a client's connection with a new one to the service.
fn join(near: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    let far = match TcpStream::connect(target) {
        Ok(far) if !shared.lock().is_cut => far,
        _ => return,
    };
    let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { return };
    shared.lock().ends.extend([&near, &far].into_iter().flat_map(TcpStream::try_clone));
    let shared = Arc::clone(shared);
    thread::spawn(move || towards_service(near, far, &shared));
    thread::spawn(move || towards_client(far_again, near_again));
}

fn towards_service(mut near: TcpStream, mut far: TcpStream, shared: &Shared) {
    let mut buffer = [0; 16 << 10];
    while let Ok(bytes @ 1..) = near.read(&mut buffer) {
        let (through, fault) = shared.lock().forward(bytes);
        let is_written = far.write_all(&buffer[..through]).is_ok();
        if let Some(fault) = fault {
            if fault == LinkFault::Cut {
                let mut state = shared.lock();
                state.is_cut = true;
                state.end_all();
            }
            shared.failed.notify_all();
            return;
        }
        if !is_written {
            break;
        }
    }
    let _ = far.shutdown(Shutdown::Write);
}

fn towards_client(mut far: TcpStream, mut near: TcpStream) {
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(Shutdown::Both);
}
