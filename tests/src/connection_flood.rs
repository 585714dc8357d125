//! One client with very many connections, each held for as long as the service lets it: what is
//! closed is opened again. Called by tests and the benchmark; it asks for nothing it needs.

use crate::polling::wait_until;
use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Between two rounds, in each of which every connection is looked after.
const ROUND: Duration = Duration::from_secs(1);

/// What a connection is held with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing is ever sent.
    Idle,
    /// A header that never ends, a byte each round.
    Header,
    /// The body of an upload, likewise.
    Body,
    /// Answers that are asked for and never read.
    Unread,
    /// The stream of events of this job.
    Watch(String),
}

/// Where connections lead, and as whom.
#[derive(Debug, Clone)]
pub struct Route {
    /// The service.
    pub to: SocketAddrV4,
    /// The address connections come from.
    pub from: Option<Ipv4Addr>,
    /// The client a proxy would name.
    pub named: Option<&'static str>,
}

impl Route {
    /// A connection of its own, with small buffers.
    pub fn connect(&self) -> Result<TcpStream> {
        let line = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        line.set_recv_buffer_size(16 << 10)?;
        if let Some(from) = self.from {
            line.bind(&SocketAddrV4::new(from, 0).into())?;
        }
        line.connect(&self.to.into())?;
        Ok(line.into())
    }

    /// A request's first lines.
    pub fn head(&self, request: &str) -> String {
        let named = self.named.map(|name| format!("X-Forwarded-For: {name}\r\n"));
        format!("{request} HTTP/1.1\r\nHost: localhost\r\n{}", named.unwrap_or_default())
    }

    /// Asks over a connection of its own; gives the whole answer, empty if there is none.
    pub fn ask(&self, request: &str) -> Result<String> {
        let mut line = self.connect()?;
        line.set_read_timeout(Some(Duration::from_secs(60)))?;
        let asked =
            line.write_all(format!("{}Connection: close\r\n\r\n", self.head(request)).as_bytes());
        let mut answer = Vec::new();
        match asked.and_then(|()| line.read_to_end(&mut answer)) {
            Ok(_) => {}
            Err(error)
                if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => {}
            Err(error) => return Err(error).context("an answer that does not end"),
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// The connections; closed when dropped.
#[derive(Debug)]
pub struct ConnectionFlood {
    is_over: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    keeper: Option<JoinHandle<()>>,
}

impl ConnectionFlood {
    /// Opens so many connections and keeps at it.
    pub fn gather(way: Route, hold: Behaviour, size: usize) -> Result<Self> {
        rlimit::increase_nofile_limit(size as u64 + 1024).context("no more files may be open")?;
        let (is_over, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let keeper = thread::spawn({
            let (is_over, opened) = (is_over.clone(), opened.clone());
            move || keep(&way, &hold, size, (&is_over, &opened))
        });
        let crowd = Self { is_over, opened, keeper: Some(keeper) };
        wait_until("all connections were opened once", || Ok(crowd.opened() >= size))?;
        Ok(crowd)
    }

    /// How many connections were opened so far, those that were closed included.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionFlood {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = self.keeper.take().map(JoinHandle::join);
    }
}

fn keep(
    way: &Route,
    hold: &Behaviour,
    size: usize,
    (is_over, opened): (&AtomicBool, &AtomicUsize),
) {
    let mut lines: Vec<Option<TcpStream>> = (0..size).map(|_| None).collect();
    while !is_over.load(Ordering::Relaxed) {
        for line in &mut lines {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            if line.as_mut().is_some_and(|line| go_on(line, hold)) {
                continue;
            }
            *line = begin(way, hold).ok();
            opened.fetch_add(1, Ordering::Relaxed);
        }
        let until = Instant::now() + ROUND;
        while Instant::now() < until && !is_over.load(Ordering::Relaxed) {
            thread::sleep(ROUND / 20);
        }
    }
}

fn begin(way: &Route, hold: &Behaviour) -> Result<TcpStream> {
    let mut line = way.connect()?;
    let words = match hold {
        Behaviour::Idle => String::new(),
        Behaviour::Header => format!("{}X-", way.head("GET /api")),
        Behaviour::Body => {
            format!("{}Content-Length: 100000\r\n\r\nF", way.head("PUT /api/upload"))
        }
        Behaviour::Unread => format!("{}\r\n", way.head("GET /openapi.json")).repeat(400),
        Behaviour::Watch(job) => format!("{}\r\n", way.head(&format!("GET /api/events/{job}"))),
    };
    line.set_nonblocking(true)?;
    // As much as fits.
    let _ = line.write(words.as_bytes());
    Ok(line)
}

/// Whether the connection is still there, once it is looked after.
fn go_on(line: &mut TcpStream, hold: &Behaviour) -> bool {
    if *hold == Behaviour::Unread {
        return matches!(line.take_error(), Ok(None));
    }
    match line.read(&mut [0; 4096]) {
        Ok(0) => return false,
        Err(error) if error.kind() != ErrorKind::WouldBlock => return false,
        _ => {}
    }
    match hold {
        Behaviour::Header | Behaviour::Body => line.write(b"a").is_ok(),
        _ => true,
    }
}
