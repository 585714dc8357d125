//! A TCP link between a client and a service that fails as a test specifies: after a number of bytes all
//! connections end, or one connection hangs; or nothing arrives for a while, or answers arrive late. Independent of the
//! protocol above TCP.

use crate::server::TestServer;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
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
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The fault, and the number of bytes to the service before it occurs.
    planned_fault: Option<(LinkFault, u64)>,
    is_cut: bool,
    is_held: bool,
    /// How late the first bytes of the service arrive after some of the client.
    delay: Duration,
    /// Bytes forwarded to the service.
    forwarded: u64,
    /// Both ends of each open connection, by its number.
    ends: BTreeMap<u64, [TcpStream; 2]>,
    connections: u64,
}

impl FaultyLink {
    /// A working link to the service's address, also after another service has taken it over.
    pub fn to(server: &TestServer) -> Result<Self> {
        Self::to_address(server.url("").strip_prefix("http://").context("an address")?.parse()?)
    }

    /// A working link to this address.
    pub fn to_address(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let link = Self { address: listener.local_addr()?, shared: Arc::default() };
        let shared = Arc::clone(&link.shared);
        // The thread ends with the test's process.
        thread::spawn(move || {
            listener.incoming().flatten().for_each(|near| join(near, target, &shared));
        });
        Ok(link)
    }

    /// Where clients of the service connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
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
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), WAIT_MAX, waiting);
        let (state, time) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        ensure!(!time.timed_out(), "the planned number of bytes never came");
        Ok(())
    }

    /// Accepts connections again.
    pub fn repair(&self) {
        self.shared.lock().is_cut = false;
    }

    /// Forwards nothing in either direction, as a network does that loses all packets. Connections are accepted.
    pub fn hold(&self) {
        self.shared.lock().is_held = true;
    }

    /// Forwards everything that has arrived meanwhile, and goes on.
    pub fn release(&self) {
        self.shared.lock().is_held = false;
        self.shared.changed.notify_all();
    }

    /// Lets each answer arrive this much later from now on.
    pub fn delay(&self, delay: Duration) {
        self.shared.lock().delay = delay;
    }

    /// How many bytes have been forwarded to the service, or are held.
    pub fn forwarded(&self) -> u64 {
        self.shared.lock().forwarded
    }
}

impl Drop for FaultyLink {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_cut = true;
        state.is_held = false;
        state.end_all();
        self.shared.changed.notify_all();
    }
}

impl State {
    fn end_all(&mut self) {
        for end in std::mem::take(&mut self.ends).into_values().flatten() {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Adds a connection; gives its number.
    fn add(&mut self, ends: [TcpStream; 2]) -> u64 {
        self.connections += 1;
        self.ends.insert(self.connections, ends);
        self.connections
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

    fn await_release(&self) {
        drop(self.changed.wait_while(self.lock(), |state| state.is_held));
    }
}

/// Connects a client's connection with a new one to the service.
fn join(near: TcpStream, target: SocketAddr, shared: &Arc<Shared>) {
    let far = match TcpStream::connect(target) {
        Ok(far) if !shared.lock().is_cut => far,
        _ => return,
    };
    let again = |end: &TcpStream| Ok::<_, std::io::Error>([end.try_clone()?, end.try_clone()?]);
    let (Ok([near_again, near_kept]), Ok([far_again, far_kept])) = (again(&near), again(&far))
    else {
        return;
    };
    let connection = shared.lock().add([near_kept, far_kept]);
    let is_asked = Arc::new(AtomicBool::new(false));
    let (there, back) = (Arc::clone(shared), Arc::clone(shared));
    let is_asked_again = Arc::clone(&is_asked);
    thread::spawn(move || towards_service((near, far), &there, &is_asked));
    thread::spawn(move || {
        towards_client((far_again, near_again), &back, &is_asked_again);
        back.lock().ends.remove(&connection);
    });
}

fn towards_service(
    (mut near, mut far): (TcpStream, TcpStream),
    shared: &Shared,
    is_asked: &AtomicBool,
) {
    let mut buffer = [0; 16 << 10];
    while let Ok(bytes @ 1..) = near.read(&mut buffer) {
        let (through, fault) = shared.lock().forward(bytes);
        shared.await_release();
        is_asked.store(true, Ordering::Relaxed);
        let is_written = far.write_all(&buffer[..through]).is_ok();
        if let Some(fault) = fault {
            if fault == LinkFault::Cut {
                let mut state = shared.lock();
                state.is_cut = true;
                state.end_all();
            }
            shared.changed.notify_all();
            return;
        }
        if !is_written {
            break;
        }
    }
    let _ = far.shutdown(Shutdown::Write);
}

fn towards_client(
    (mut far, mut near): (TcpStream, TcpStream),
    shared: &Shared,
    is_asked: &AtomicBool,
) {
    let mut buffer = [0; 16 << 10];
    while let Ok(bytes @ 1..) = far.read(&mut buffer) {
        if is_asked.swap(false, Ordering::Relaxed) {
            let delay = shared.lock().delay;
            thread::sleep(delay);
        }
        shared.await_release();
        if near.write_all(&buffer[..bytes]).is_err() {
            break;
        }
    }
    let _ = near.shutdown(Shutdown::Both);
}
