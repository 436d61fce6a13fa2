//! Numbered packets of many flows, both ways at once, while sessions are renewed and a peer roams, and a protocol that
//! deals with what is handed over: each flow arrives in the order in which it was given, and whole.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::engine::handover::Handed;
use crate::message::{HEADER, TAG, receiver};

const FLOWS: u32 = 16;
const PACKETS: u32 = 10_000;
/// Packets that may be on their way, so that no buffer is too small for them.
const AHEAD: u32 = 100;

type Sessions = Mutex<HashMap<u32, Arc<Session>>>;

/// What wgnode/protocol does, for one peer.
struct Protocol<'a> {
    side: &'a Side,
    sessions: Sessions,
    /// Messages and packets that were handed over.
    handed: AtomicU32,
}

impl Protocol<'_> {
    fn new(side: &Side) -> Protocol<'_> {
        Protocol {
            side,
            sessions: Mutex::default(),
            handed: AtomicU32::new(0),
        }
    }

    /// `near` and `far` are indices, and each the key of what is sent to it.
    fn add(&self, near: u32, far: u32, confirmed: bool) {
        let key = |index: u32| [index as u8; 32];
        let keys = (&key(far), &key(near));
        let session = Arc::new(Session::new((near, far), keys, clock::now(), Suite::Ring));
        self.sessions.lock().unwrap().insert(near, session.clone());
        let mut engine = self.side.shared.engine();
        engine.add_session(session, self.side.peer, confirmed);
    }

    fn run(&self, ending: &AtomicBool) {
        let poller = Poller::new().unwrap();
        poller.watch(self.side.runner.fd(), libc::EPOLLIN).unwrap();
        while !ending.load(Ordering::Relaxed) {
            poller.wait(0.005).unwrap();
            self.hear();
        }
    }

    fn hear(&self) {
        let (shared, peer) = (&self.side.shared, self.side.peer);
        assert_eq!(self.side.runner.answer(), None);
        let mut engine = shared.engine();
        let (handed, activity) = (engine.take_handed(), engine.take_activity());
        if engine.waits_for_protocol() {
            self.side.runner.ring();
        }
        drop(engine);
        for to in activity.into_iter().filter_map(|(_, _, moved)| moved) {
            let resolved = Destination::Resolved { to, nested: false };
            shared.engine().set_endpoint(peer, Some(to), resolved);
        }
        let ways = handed.iter().any(|each| matches!(each, Handed::Packet(_)));
        for each in handed {
            self.handed.fetch_add(1, Ordering::Relaxed);
            match each {
                Handed::Packet(packet) => self.send(&packet),
                Handed::Datagram(message, _) => self.receive(message),
            }
        }
        if ways {
            let to = shared.engine().peers.get(peer).unwrap().endpoint.unwrap();
            let resolved = Destination::Resolved { to, nested: false };
            shared.engine().set_endpoint(peer, Some(to), resolved);
        }
        shared.engine().settle();
    }

    fn send(&self, packet: &[u8]) {
        let engine = self.side.shared.engine();
        let peer = engine.peers.get(self.side.peer).unwrap();
        let (session, to) = (peer.current.clone().unwrap(), peer.endpoint.unwrap());
        drop(engine);
        let message = session.seal(packet).unwrap();
        let socket = &self.side._fds.1;
        socket.send_to(&message, (to.address, to.port)).unwrap();
    }

    fn receive(&self, mut message: Vec<u8>) {
        let index = receiver(&message);
        let session = self.sessions.lock().unwrap()[&index].clone();
        session.open(&mut message).unwrap();
        let packet = &message[HEADER..message.len() - TAG];
        self.side._fds.0.send(packet).unwrap();
        let mut engine = self.side.shared.engine();
        engine.set_current(self.side.peer, Some(index));
    }
}

/// Packets on their way from one side to the other.
struct Flows<'a> {
    from: &'a Side,
    to: &'a Side,
    arrived: AtomicU32,
}

impl<'a> Flows<'a> {
    fn new(from: &'a Side, to: &'a Side) -> Flows<'a> {
        to.tun
            .set_read_timeout(Some(Duration::from_millis(20)))
            .unwrap();
        let arrived = AtomicU32::new(0);
        Flows { from, to, arrived }
    }

    /// How many have arrived, or were more than the protocol is bothered with in a second: these are counted.
    fn done(&self) -> u32 {
        let engine = self.from.shared.engine();
        let staged = engine.counters.dropped().map(|(why, count)| {
            assert_eq!(why, "staged");
            count as u32
        });
        self.arrived.load(Ordering::Acquire) + staged.sum::<u32>()
    }

    /// Waits while too much is on its way, but not for ever.
    fn feed(&self, number: u8) {
        let begin = Instant::now();
        for each in 0..PACKETS {
            while each - self.done() > AHEAD {
                assert!(begin.elapsed() < 6 * PATIENCE, "something was lost");
                thread::yield_now();
            }
            self.from.tun.send(&packet(number, each)).unwrap();
        }
    }

    /// None of a flow is overtaken by another of it.
    fn check(&self) {
        let begin = Instant::now();
        let (mut next, mut packet) = ([0; FLOWS as usize], [0; 100]);
        while self.done() < PACKETS {
            assert!(begin.elapsed() < 7 * PATIENCE, "something was lost");
            let Ok(64) = self.to.tun.recv(&mut packet) else {
                continue;
            };
            let number = u32::from_be_bytes(packet[60..64].try_into().unwrap());
            let (flow, number) = ((number % FLOWS) as usize, number / FLOWS);
            let expected = std::mem::replace(&mut next[flow], number + 1);
            assert!(
                number >= expected,
                "{number} after {expected} of flow {flow}"
            );
            self.arrived.fetch_add(1, Ordering::Release);
        }
    }
}

/// The initiator sends with a new session at once, the responder once it has heard of it; and that one roams.
fn renew(initiator: &Protocol, responder: &Protocol, round: u32) {
    let (near, far) = (2 * round, 2 * round + 1);
    responder.add(far, near, false);
    initiator.add(near, far, true);
    let Protocol { side, .. } = initiator;
    side.shared.engine().set_current(side.peer, Some(near));
    let Protocol { side, .. } = responder;
    let mut engine = side.shared.engine();
    let mut to = engine.peers.get(side.peer).unwrap().endpoint.unwrap();
    let at = Some(to);
    to.source = Some([127, 0, 0, 1 + (round % 3) as u8].into());
    engine.set_endpoint(side.peer, at, Destination::Resolved { to, nested: false });
}

/// All packets arrive or are counted, each flow in order. `each` is called with the number of each renewal.
fn keep_order(threads: usize, initiator: &Protocol, responder: &Protocol, each: impl Fn(u32)) {
    let (one, two) = (initiator.side, responder.side);
    let flows = [Flows::new(one, two), Flows::new(two, one)];
    let ending = AtomicBool::new(false);
    thread::scope(|scope| {
        let (ending, [there, back]) = (&ending, &flows);
        let protocols = [initiator, responder].map(|each| scope.spawn(|| each.run(ending)));
        let moving = [
            scope.spawn(|| there.feed(1)),
            scope.spawn(|| back.feed(2)),
            scope.spawn(|| there.check()),
            scope.spawn(|| back.check()),
        ];
        let mut round = 10;
        while !moving.iter().all(|each| each.is_finished()) {
            renew(initiator, responder, round);
            each(round);
            round += 1;
            thread::sleep(Duration::from_micros(500));
        }
        let failed = moving.map(|each| each.join().is_err());
        ending.store(true, Ordering::Relaxed);
        assert_eq!(failed, [false; 4], "{threads} threads");
        assert!(protocols.into_iter().all(|each| each.join().is_ok()));
    });
    for side in [one, two] {
        let engine = side.shared.engine();
        assert_eq!(engine.counters.refused().collect::<Vec<_>>(), []);
    }
}

#[test]
fn flows_keep_their_order_while_sessions_are_renewed_and_follow_a_peer_that_roams_at_once() {
    for threads in NUMBERS {
        let (one, two) = two(threads);
        let (initiator, responder) = (Protocol::new(&one), Protocol::new(&two));
        keep_order(threads, &initiator, &responder, |_| {});
        let handed = [&initiator, &responder].map(|each| each.handed.load(Ordering::Relaxed));
        assert_eq!(
            handed[0], 0,
            "where the other has roamed to is known at once"
        );
        assert!(
            handed[1] > 0,
            "the first message of each session is the protocol's"
        );
        for side in [&one, &two] {
            let engine = side.shared.engine();
            assert_eq!(engine.counters.dropped().collect::<Vec<_>>(), []);
        }
    }
}

#[test]
fn flows_keep_their_order_while_the_protocol_is_asked_for_the_way_again_and_again() {
    let (one, two) = two(2);
    let (initiator, responder) = (Protocol::new(&one), Protocol::new(&two));
    keep_order(2, &initiator, &responder, |round| {
        if round.is_multiple_of(20) {
            one.shared.engine().forget_destinations();
        }
    });
    assert!(initiator.handed.load(Ordering::Relaxed) > 0);
}
