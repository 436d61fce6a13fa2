//! What a packet that comes alone costs two engines with threads, of the loopback interface: from one's TUN to the other's.
//! `cargo run --release --no-default-features --example lone_bench -- [--threads 1] [--packets 20000] [--rounds 7]`.
//!
//! Under `valgrind --tool=callgrind` it tells instructions, which other work on the machine does not change: run it with
//! `--rounds 1` and two numbers of packets, and take the difference.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;

use wgnode_fastpath::clock;
use wgnode_fastpath::crypto::Suite;
use wgnode_fastpath::engine::endpoint::{Destination, Endpoint};
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::io::{Sending, Sockets, Tun};
use wgnode_fastpath::packet::coalesce::Offloads;
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::routes::Network;
use wgnode_fastpath::runner::{Runner, Shared};

fn main() {
    let option = |name: &str, otherwise: usize| {
        let mut given = std::env::args().skip_while(|each| each != name).skip(1);
        given
            .next()
            .map_or(otherwise, |value| value.parse().expect(name))
    };
    let (packets, rounds) = (option("--packets", 20_000), option("--rounds", 7));
    let (one, two) = two(option("--threads", 1));
    for _ in 0..rounds {
        let before = usage();
        for _ in 0..packets / 2 {
            one.tun.send(&packet(1)).expect("room");
            two.tun.recv(&mut [0; 100]).expect("a packet");
            two.tun.send(&packet(2)).expect("room");
            one.tun.recv(&mut [0; 100]).expect("a packet");
        }
        let after = usage();
        let each = |at: fn(&Usage) -> f64| (at(&after) - at(&before)) / packets as f64 * 1e6;
        println!(
            "{:.3} us a packet of the processor, {:.3} of them the program's",
            each(|usage| usage.all),
            each(|usage| usage.user)
        );
    }
}

struct Side {
    /// The program's end of the TUN.
    tun: UnixDatagram,
    _runner: Runner,
    _fds: (UnixDatagram, UdpSocket),
}

fn two(threads: usize) -> (Side, Side) {
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (one, two) = (bind(), bind());
    let port = |socket: &UdpSocket| socket.local_addr().expect("it is bound").port();
    let ports = (port(&one), port(&two));
    (
        side(threads, 1, one, ports.1),
        side(threads, 2, two, ports.0),
    )
}

fn side(threads: usize, number: u8, socket: UdpSocket, other: u16) -> Side {
    let shared = Arc::new(Shared::default());
    let runner = Runner::start(shared.clone(), threads).expect("threads");
    let (tun, inner) = UnixDatagram::pair().expect("a pair");
    inner.set_nonblocking(true).expect("it can be");
    socket.set_nonblocking(true).expect("it can be");
    let mut engine = shared.engine();
    engine.mtus = vec![1420].into();
    let peer = engine.peers.add();
    let network = Network::new(Address::V4([10, 0, 0, 3 - number]), 32);
    engine.add_route(network.expect("a network"), peer);
    let (near, far) = (u32::from(number), u32::from(3 - number));
    let keys = (&[number; 32], &[3 - number; 32]);
    let session = Session::new((near, far), keys, clock::now(), Suite::Ring);
    engine.add_session(Arc::new(session), peer, true);
    engine.set_current(peer, Some(near));
    let (to, nested) = (place(other), false);
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested });
    drop(engine);
    let tun_end = Tun {
        fd: inner.as_raw_fd(),
        vnet_header: false,
    };
    let sockets = Sockets::new((Some(socket.as_raw_fd()), None), Sending::default(), true);
    let offloads = Offloads::default();
    runner.set_tun(Some(tun_end), offloads).expect("a TUN");
    runner.set_sockets(sockets).expect("sockets");
    Side {
        tun,
        _runner: runner,
        _fds: (inner, socket),
    }
}

fn place(port: u16) -> Endpoint {
    Endpoint {
        address: [127, 0, 0, 1].into(),
        port,
        scope: 0,
        source: None,
    }
}

/// UDP in IPv4, from a side's address to the other's.
fn packet(from: u8) -> [u8; 64] {
    let mut packet = [0; 64];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 64]);
    (packet[8], packet[9]) = (64, 17);
    packet[12..20].copy_from_slice(&[10, 0, 0, from, 10, 0, 0, 3 - from]);
    packet
}

/// Seconds of the processor.
struct Usage {
    all: f64,
    user: f64,
}

/// Of this process.
fn usage() -> Usage {
    // SAFETY: all zeros is a valid rusage, which getrusage writes to.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 * 1e-6;
    let (user, system) = (seconds(usage.ru_utime), seconds(usage.ru_stime));
    Usage {
        all: user + system,
        user,
    }
}
