//! Two engines, each with a thread, a socket of the loopback interface, and a pair of sockets in place of a TUN.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use super::*;
use crate::crypto::Suite;
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::peer::PeerId;
use crate::engine::session::Session;
use crate::io::{Sockets, Tun};
use crate::packet::coalesce::Offloads;
use crate::packet::inner::Address;
use crate::routes::Network;

const PATIENCE: Duration = Duration::from_secs(10);

struct Side {
    shared: Arc<Shared>,
    runner: Runner,
    peer: PeerId,
    /// The program's end of the TUN.
    tun: UnixDatagram,
    _fds: (UnixDatagram, UdpSocket),
}

fn side(number: u8, socket: UdpSocket, other: &UdpSocket) -> Side {
    let shared = Arc::new(Shared::default());
    let runner = Runner::start(shared.clone()).unwrap();
    let (tun, inner) = UnixDatagram::pair().unwrap();
    inner.set_nonblocking(true).unwrap();
    socket.set_nonblocking(true).unwrap();
    tun.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut plane = shared.lock();
    let engine = &mut plane.engine;
    engine.mtus = vec![1420];
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
        address: address.ip(),
        port: address.port(),
        scope: 0,
        source: None,
    };
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested: false });
    let io = plane.io.as_mut().unwrap();
    let tun_end = Tun {
        fd: inner.as_raw_fd(),
        vnet_header: false,
    };
    io.set_tun(Some(tun_end), Offloads::default()).unwrap();
    let sockets = Sockets {
        v4: Some(socket.as_raw_fd()),
        v6: None,
        gso: true,
    };
    io.set_sockets(sockets).unwrap();
    drop(plane);
    Side {
        shared,
        runner,
        peer,
        tun,
        _fds: (inner, socket),
    }
}

fn two() -> (Side, Side) {
    let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
    let (one, two) = (bind(), bind());
    let (one_again, two_again) = (one.try_clone().unwrap(), two.try_clone().unwrap());
    (side(1, one, &two_again), side(2, two, &one_again))
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

#[test]
fn packets_go_both_ways_in_order_while_nobody_asks() {
    let (one, two) = two();
    for round in 0..50 {
        for at in 0..8 {
            one.tun.send(&packet(1, 8 * round + at)).unwrap();
            two.tun.send(&packet(2, 8 * round + at)).unwrap();
        }
        for at in 0..8 {
            assert_eq!(number(&two.tun), 8 * round + at);
            assert_eq!(number(&one.tun), 8 * round + at);
        }
    }
}

#[test]
fn what_peers_did_is_told_after_a_while_and_once() {
    let (one, two) = two();
    one.tun.send(&packet(1, 7)).unwrap();
    assert_eq!(number(&two.tun), 7);
    let begin = Instant::now();
    assert!(rings(&one.runner));
    assert!(begin.elapsed() < Duration::from_millis(1500));
    assert_eq!(one.runner.answer(), None);
    let report = one.shared.lock().engine.take_activity();
    assert_eq!((report.len(), report[0].0), (1, one.peer));
    assert_eq!(report[0].1.tx_bytes, 96);
    let poller = Poller::new().unwrap();
    poller.watch(one.runner.fd(), libc::EPOLLIN).unwrap();
    assert!(poller.wait(1.2).unwrap().is_empty());
    one.tun.send(&packet(1, 8)).unwrap();
    assert!(rings(&one.runner), "of what came later it is told as well");
}

#[test]
fn what_the_protocol_has_to_decide_is_told_at_once() {
    let (one, _two) = two();
    one.shared.lock().engine.set_current(one.peer, None);
    let begin = Instant::now();
    one.tun.send(&packet(1, 7)).unwrap();
    assert!(rings(&one.runner));
    assert!(begin.elapsed() < Duration::from_millis(500));
    one.runner.answer();
    assert_eq!(one.shared.lock().engine.take_handed().len(), 1);
}

#[test]
fn while_paused_nothing_moves_and_all_that_is_told_takes_effect_as_one() {
    let (one, two) = two();
    one.shared.pause();
    one.tun.send(&packet(1, 7)).unwrap();
    two.tun
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(two.tun.recv(&mut [0; 100]).is_err());
    one.shared.resume();
    two.tun.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(number(&two.tun), 7);
}

#[test]
fn commands_get_through_while_packets_come_as_fast_as_they_go() {
    let (one, two) = two();
    let ending = Arc::new(AtomicBool::new(false));
    let (stopped, tun) = (ending.clone(), one.tun.try_clone().unwrap());
    let sender = thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            tun.send(&packet(1, 0)).unwrap();
        }
    });
    let drained = two.tun.try_clone().unwrap();
    drained
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let drain = thread::spawn(move || while drained.recv(&mut [0; 100]).is_ok() {});
    let mut waits: Vec<_> = (0..300)
        .map(|_| {
            thread::sleep(Duration::from_millis(1));
            let begin = Instant::now();
            one.shared.lock().engine.lookup(Address::V4([10, 0, 0, 2]));
            begin.elapsed()
        })
        .collect();
    ending.store(true, Ordering::Relaxed);
    sender.join().unwrap();
    drain.join().unwrap();
    waits.sort_unstable();
    assert!(waits[150] < Duration::from_millis(20), "{:?}", waits[150]);
}

#[test]
fn after_stop_the_descriptors_are_used_no_more() {
    let (mut one, two) = two();
    one.runner.stop();
    one.runner.stop();
    assert!(one.shared.lock().io.is_none());
    one.tun.send(&packet(1, 7)).unwrap();
    two.tun
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    assert!(two.tun.recv(&mut [0; 100]).is_err());
    one.runner = Runner::start(one.shared.clone()).unwrap();
    assert!(
        one.shared.lock().io.is_some(),
        "and it may be started again"
    );
}

#[test]
fn it_ends_while_it_is_paused() {
    let (mut one, _two) = two();
    one.shared.pause();
    one.tun.send(&packet(1, 7)).unwrap();
    one.runner.stop();
}

/// In its place a socket whose other end is closed: reading brings an error as well.
#[test]
fn a_tun_that_is_gone_is_told_and_left_alone() {
    let (one, _two) = two();
    let closed = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let gone = UdpSocket::bind("127.0.0.1:0").unwrap();
    gone.connect(closed).unwrap();
    gone.set_nonblocking(true).unwrap();
    let tun = Tun {
        fd: gone.as_raw_fd(),
        vnet_header: false,
    };
    let mut plane = one.shared.lock();
    let io = plane.io.as_mut().unwrap();
    io.set_tun(Some(tun), Offloads::default()).unwrap();
    gone.send(&[0]).unwrap();
    drop(plane);
    assert!(rings(&one.runner));
    assert_eq!(one.runner.answer(), None);
    assert!(one.shared.lock().io.as_ref().unwrap().tun_gone);
    gone.send(&[0]).ok();
    let poller = Poller::new().unwrap();
    poller.watch(one.runner.fd(), libc::EPOLLIN).unwrap();
    assert!(poller.wait(0.05).unwrap().is_empty());
}

/// A runner whose thread does this.
fn running(work: impl FnOnce() -> std::result::Result<(), i32> + Send + 'static) -> Runner {
    let bells = Arc::new(Bells {
        told: Bell::new().unwrap(),
        end: Bell::new().unwrap(),
        ending: AtomicBool::new(false),
        died: Mutex::new(None),
    });
    let of_thread = bells.clone();
    Runner {
        thread: Some(thread::spawn(move || watch(&of_thread, work))),
        shared: Arc::default(),
        bells,
    }
}

#[test]
fn a_thread_that_dies_tells_why() {
    let shared = Arc::new(Shared::default());
    let held = shared.clone();
    let panicking = running(move || {
        let plane = held.lock();
        let peers = plane.engine.peers.reports() as usize;
        panic!("a peer of {peers}")
    });
    assert!(rings(&panicking));
    assert_eq!(panicking.answer().as_deref(), Some("panicked: a peer of 0"));
    assert_eq!(
        shared.lock().engine.sessions(),
        0,
        "who shuts down may still ask"
    );
    let failing = running(|| Err(libc::EBADF));
    assert!(rings(&failing));
    assert!(failing.answer().unwrap().contains("Bad file descriptor"));
}

#[test]
fn one_that_was_stopped_tells_nothing() {
    let mut ending = running(|| Ok(()));
    ending.stop();
    assert_eq!(ending.answer(), None);
}
