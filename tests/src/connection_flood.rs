//! One client that keeps very many connections open: a connection that the service closes is opened again.
//! Called by tests and the benchmark.

use crate::polling::wait_until;
use anyhow::{Context, Result};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Time between two rounds, in each of which every connection is checked.
const ROUND: Duration = Duration::from_secs(1);

/// How a connection is kept open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Nothing is ever sent.
    Idle,
    /// A header that never ends, one byte in each round.
    Header,
    /// The body of an upload, likewise.
    Body,
    /// Responses that are requested and never read.
    Unread,
    /// The stream of events of this job.
    Watch(String),
}

/// The address of a service, and the client as which it is contacted.
#[derive(Debug, Clone)]
pub struct Route {
    /// The service.
    pub to: SocketAddrV4,
    /// The address connections come from.
    pub from: Option<Ipv4Addr>,
    /// The client that a proxy would name in its header.
    pub named: Option<&'static str>,
}

impl Route {
    /// A new connection, with small buffers.
    pub fn connect(&self) -> Result<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(16 << 10)?;
        if let Some(from) = self.from {
            socket.bind(&SocketAddrV4::new(from, 0).into())?;
        }
        socket.connect(&self.to.into())?;
        Ok(socket.into())
    }

    /// A request's first lines.
    pub fn head(&self, request: &str) -> String {
        let named = self.named.map(|name| format!("X-Forwarded-For: {name}\r\n"));
        format!("{request} HTTP/1.1\r\nHost: localhost\r\n{}", named.unwrap_or_default())
    }

    /// Sends a request over a new connection; gives the complete response, empty if there is none.
    pub fn ask(&self, request: &str) -> Result<String> {
        let mut stream = self.connect()?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let asked =
            stream.write_all(format!("{}Connection: close\r\n\r\n", self.head(request)).as_bytes());
        let mut answer = Vec::new();
        match asked.and_then(|()| stream.read_to_end(&mut answer)) {
            Ok(_) => {}
            Err(error)
                if [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error.kind()) => {}
            Err(error) => return Err(error).context("a response that does not end"),
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// The connections; closed when dropped.
#[derive(Debug)]
pub struct ConnectionFlood {
    is_stopped: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    keeper: Option<JoinHandle<()>>,
}

impl ConnectionFlood {
    /// Opens this many connections and keeps them open.
    pub fn start(route: Route, hold: Behaviour, size: usize) -> Result<Self> {
        rlimit::increase_nofile_limit(size as u64 + 1024)
            .context("the limit of open files cannot be raised")?;
        let (is_stopped, opened) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let keeper = thread::spawn({
            let (is_stopped, opened) = (is_stopped.clone(), opened.clone());
            move || keep(&route, &hold, size, (&is_stopped, &opened))
        });
        let flood = Self { is_stopped, opened, keeper: Some(keeper) };
        wait_until("all connections were opened once", || Ok(flood.opened() >= size))?;
        Ok(flood)
    }

    /// How many connections were opened so far, those that were closed included.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for ConnectionFlood {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
        let _ = self.keeper.take().map(JoinHandle::join);
    }
}

fn keep(
    route: &Route,
    hold: &Behaviour,
    size: usize,
    (is_stopped, opened): (&AtomicBool, &AtomicUsize),
) {
    let mut streams: Vec<Option<TcpStream>> = (0..size).map(|_| None).collect();
    while !is_stopped.load(Ordering::Relaxed) {
        for stream in &mut streams {
            if is_stopped.load(Ordering::Relaxed) {
                return;
            }
            if stream.as_mut().is_some_and(|stream| keep_open(stream, hold)) {
                continue;
            }
            *stream = begin(route, hold).ok();
            opened.fetch_add(1, Ordering::Relaxed);
        }
        let until = Instant::now() + ROUND;
        while Instant::now() < until && !is_stopped.load(Ordering::Relaxed) {
            thread::sleep(ROUND / 20);
        }
    }
}

fn begin(route: &Route, hold: &Behaviour) -> Result<TcpStream> {
    let mut stream = route.connect()?;
    let words = match hold {
        Behaviour::Idle => String::new(),
        Behaviour::Header => format!("{}X-", route.head("GET /api")),
        Behaviour::Body => {
            format!("{}Content-Length: 100000\r\n\r\nF", route.head("PUT /api/upload"))
        }
        Behaviour::Unread => format!("{}\r\n", route.head("GET /openapi.json")).repeat(400),
        Behaviour::Watch(job) => format!("{}\r\n", route.head(&format!("GET /api/events/{job}"))),
    };
    stream.set_nonblocking(true)?;
    // As much as the buffers take.
    let _ = stream.write(words.as_bytes());
    Ok(stream)
}

/// Sends what keeps the connection open; gives whether it still is.
fn keep_open(stream: &mut TcpStream, hold: &Behaviour) -> bool {
    if *hold == Behaviour::Unread {
        return matches!(stream.take_error(), Ok(None));
    }
    match stream.read(&mut [0; 4096]) {
        Ok(0) => return false,
        Err(error) if error.kind() != ErrorKind::WouldBlock => return false,
        _ => {}
    }
    match hold {
        Behaviour::Header | Behaviour::Body => stream.write(b"a").is_ok(),
        _ => true,
    }
}
