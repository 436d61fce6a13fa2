//! Two engines, each with threads, a socket of the loopback interface, and a pair of sockets in place of a TUN.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::*;
use crate::clock;
use crate::crypto::Suite;
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::peer::PeerId;
use crate::engine::session::Session;
use crate::io::{Poller, Sending};
use crate::packet::inner::Address;
use crate::routes::Network;

mod ending;
mod judged;
mod moving;
mod order;

const PATIENCE: Duration = Duration::from_secs(10);

struct Side {
    shared: Arc<Shared>,
    runner: Runner,
    peer: PeerId,
    /// The program's end of the TUN.
    tun: UnixDatagram,
    _fds: (UnixDatagram, UdpSocket),
}

fn side(threads: usize, number: u8, socket: UdpSocket, other: &UdpSocket) -> Side {
    let shared = Arc::new(Shared::default());
    let runner = Runner::start(shared.clone(), threads).unwrap();
    let (tun, inner) = UnixDatagram::pair().unwrap();
    inner.set_nonblocking(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    tun.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut engine = shared.engine();
    engine.mtus = vec![1420].into();
    let peer = engine.peers.add();
    engine.add_route(
        Network::new(Address::V4([10, 0, 0, 3 - number]), 32).unwrap(),
        peer,
    );
    let keys = [[1; 32], [2; 32]];
    let (send, receive) = (
        &keys[usize::from(number - 1)],
        &keys[usize::from(2 - number)],
    );
    let (near, far) = (u32::from(number), u32::from(3 - number));
    let session = Session::new((near, far), (send, receive), clock::now(), Suite::Ring);
    engine.add_session(Arc::new(session), peer, true);
    engine.set_current(peer, Some(near));
    let address = other.local_addr().unwrap();
    let to = Endpoint {
        address: [127, 0, 0, 1].into(),
        port: address.port(),
        scope: 0,
        source: None,
    };
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested: false });
    drop(engine);
    let tun_end = Tun {
        fd: inner.as_raw_fd(),
        vnet_header: false,
    };
    runner.set_tun(Some(tun_end), Offloads::default()).unwrap();
    let sockets = Sockets::new((Some(socket.as_raw_fd()), None), Sending::default(), true);
    runner.set_sockets(sockets).unwrap();
    Side {
        shared,
        runner,
        peer,
        tun,
        _fds: (inner, socket),
    }
}

/// Threads of each side.
const NUMBERS: [usize; 3] = [1, 2, 4];

fn two(threads: usize) -> (Side, Side) {
    let bind = || UdpSocket::bind("0.0.0.0:0").unwrap();
    let (one, two) = (bind(), bind());
    let (one_again, two_again) = (one.try_clone().unwrap(), two.try_clone().unwrap());
    (
        side(threads, 1, one, &two_again),
        side(threads, 2, two, &one_again),
    )
}

/// From a side's address to the other's, with a number in it.
fn packet(from: u8, number: u32) -> Vec<u8> {
    let mut packet = vec![0; 64];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 64]);
    (packet[8], packet[9]) = (64, 17);
    packet[12..20].copy_from_slice(&[10, 0, 0, from, 10, 0, 0, 3 - from]);
    packet[60..].copy_from_slice(&number.to_be_bytes());
    packet
}

fn number(tun: &UnixDatagram) -> u32 {
    let mut packet = [0; 100];
    assert_eq!(tun.recv(&mut packet).unwrap(), 64);
    u32::from_be_bytes(packet[60..64].try_into().unwrap())
}

/// Whether the bell rings soon.
fn rings(runner: &Runner) -> bool {
    let poller = Poller::new().unwrap();
    poller.watch(runner.fd(), libc::EPOLLIN).unwrap();
    !poller.wait(PATIENCE.as_secs_f64()).unwrap().is_empty()
}
