//! Attempts to communicate.

use super::{Attempt, address, by_name, call, just, one_call};
use bodyscript_protocol::inherited;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, recvmsg,
    sendmsg, socket,
};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

by_name! {
    socket_inet socket_unix socket_netlink socket_packet socketpair_of_datagrams
    connect_to_a_port connect_an_earlier_socket bind_a_port accept_on_an_earlier_socket
    send_a_datagram reach_an_abstract_socket receive_a_file socket_with_sigsys_blocked
}

fn tcp() -> Result<OwnedFd, Errno> {
    socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None)
}

fn socket_inet() -> Attempt {
    just(|| tcp().map(drop))
}

fn socket_unix() -> Attempt {
    just(|| socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).map(drop))
}

fn socket_netlink() -> Attempt {
    one_call(libc::SYS_socket, [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0])
}

fn socket_packet() -> Attempt {
    one_call(libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_RAW.into(), 0])
}

fn socketpair_of_datagrams() -> Attempt {
    let mut pair = [0_i32; 2];
    just(move || {
        let (family, kind) = (libc::AF_UNIX.into(), libc::SOCK_DGRAM.into());
        call(libc::SYS_socketpair, [family, kind, 0, pair.as_mut_ptr() as i64]).map(drop)
    })
}

/// On another descriptor than that over which the files of the job come.
fn receive_a_file() -> Attempt {
    let (one, other) = UnixStream::pair().expect("a pair of sockets");
    let (data, numbers) = ([IoSlice::new(&[0])], [0]);
    let rights = [ControlMessage::ScmRights(&numbers)];
    sendmsg::<UnixAddr>(one.as_raw_fd(), &data, &rights, MsgFlags::empty(), None).expect("room");
    let elsewhere = FcntlArg::F_DUPFD(inherited::FILES_IN + 1);
    let socket = fcntl(&other, elsewhere).expect("descriptors are free");
    just(move || {
        let (mut byte, mut space) = ([0], nix::cmsg_space!([RawFd; 1]));
        let mut data = [IoSliceMut::new(&mut byte)];
        recvmsg::<UnixAddr>(socket, &mut data, Some(&mut space), MsgFlags::empty()).map(drop)
    })
}

/// Loopback's address with this port, as the kernel reads it.
fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

/// One of the calls that take a socket and an address.
fn with_address(number: i64, socket: &OwnedFd, place: &libc::sockaddr_in) -> Result<(), Errno> {
    let size = size_of_val(place) as i64;
    call(number, [socket.as_raw_fd().into(), address(place), size]).map(drop)
}

/// A port on this host that someone listens on, and the listener.
fn port() -> (libc::sockaddr_in, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has free ports");
    let port = listener.local_addr().expect("it is bound").port();
    (loopback(port), listener)
}

fn connect_to_a_port() -> Attempt {
    let (address, listener) = port();
    just(move || {
        let _open = listener;
        with_address(libc::SYS_connect, &tcp()?, &address)
    })
}

/// The socket is created before the confinement, so that neither the new namespace nor socket(2)
/// denies the attempt.
fn connect_an_earlier_socket() -> Attempt {
    let (address, listener) = port();
    let old = tcp().expect("sockets are free");
    just(move || {
        let _open = listener;
        with_address(libc::SYS_connect, &old, &address)
    })
}

fn bind_a_port() -> Attempt {
    just(|| with_address(libc::SYS_bind, &tcp()?, &loopback(0)))
}

fn accept_on_an_earlier_socket() -> Attempt {
    let (address, listener) = port();
    let client = tcp().expect("sockets are free");
    with_address(libc::SYS_connect, &client, &address).expect("someone listens");
    just(move || {
        let _open = client;
        listener.accept().map(drop).map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
    })
}

fn send_a_datagram() -> Attempt {
    just(|| {
        let flags = SockFlag::empty();
        let socket = socket(AddressFamily::Inet, SockType::Datagram, flags, None)?;
        let discard = loopback(9);
        let text = b"x".as_ptr() as i64;
        let (place, size) = (address(&discard), size_of_val(&discard) as i64);
        call(libc::SYS_sendto, [socket.as_raw_fd().into(), text, 1, 0, place, size]).map(drop)
    })
}

fn reach_an_abstract_socket() -> Attempt {
    let name = format!("bodyscript-sandbox-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a short name");
    let listener = UnixListener::bind_addr(&address).expect("a name of our own");
    let address = UnixAddr::new_abstract(name.as_bytes()).expect("a short name");
    just(move || {
        let _open = listener;
        let flags = SockFlag::empty();
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        connect(socket.as_raw_fd(), &address)
    })
}

fn socket_with_sigsys_blocked() -> Attempt {
    just(|| {
        let mut signals = nix::sys::signal::SigSet::empty();
        signals.add(nix::sys::signal::Signal::SIGSYS);
        signals.thread_block()?;
        tcp().map(drop)
    })
}
