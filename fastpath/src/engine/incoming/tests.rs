//! Marks of congestion on what is delivered, and the order of what is handed over.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::*;
use crate::crypto::{MAX_TRAIN, Suite};
use crate::engine::Outgoing;
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::session::Session;
use crate::packet::ecn;
use crate::packet::inner::Address;
use crate::packet::vnet::VNET_HEADER;
use crate::routes::Network;

const NOW: f64 = 100.0;
const PACKET: usize = 20;
const FROM: Endpoint = Endpoint {
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    port: 1,
    scope: 0,
    source: None,
};

/// An engine with a peer that has 10.0.0.0/8 and a session, and the session's other end.
fn engine() -> (Engine, Session) {
    let mut engine = Engine::default();
    let peer = engine.peers.add();
    let (one, two) = (&[1; 32], &[2; 32]);
    let session = Arc::new(Session::new((1, 2), (one, two), NOW, Suite::Ring));
    engine.add_route(Network::new(Address::V4([10, 0, 0, 0]), 8).unwrap(), peer);
    engine.add_session(session, peer, true);
    (engine, Session::new((2, 1), (two, one), NOW, Suite::Ring))
}

/// A header alone, from 10.0.0.1.
fn packet(ecn: u8) -> [u8; PACKET] {
    let mut packet = [0; PACKET];
    packet[..4].copy_from_slice(&[0x45, ecn, 0, PACKET as u8]);
    packet[12..16].copy_from_slice(&[10, 0, 0, 1]);
    packet
}

/// The ECN fields of what is delivered of a batch of `count` packets with the field `inner`.
fn delivered(
    engine: &mut Engine,
    far: &Session,
    count: usize,
    inner: u8,
    congested: bool,
) -> Vec<u8> {
    let mut buffer: Vec<u8> = (0..count)
        .flat_map(|_| far.seal(&packet(inner)).unwrap())
        .collect();
    let batch = Batch {
        start: 0,
        length: buffer.len(),
        segment: buffer.len() / count,
        from: FROM,
        ecn: inner,
        congested,
    };
    let mut fields = vec![];
    engine.receive(&mut buffer, batch, NOW, |buffer, offset, _| {
        fields.push(buffer[offset + 1] & 3)
    });
    fields
}

#[test]
fn of_a_congested_batch_the_first_message_alone_is_marked() {
    let (mut engine, far) = engine();
    let many = MAX_TRAIN + 2;
    let mut expected = vec![ecn::ECT_0; many];
    assert_eq!(
        delivered(&mut engine, &far, many, ecn::ECT_0, false),
        expected
    );
    expected[0] = ecn::CE;
    assert_eq!(
        delivered(&mut engine, &far, many, ecn::ECT_0, true),
        expected
    );
}

#[test]
fn of_a_congested_batch_the_first_message_is_dropped_where_it_can_not_be_marked() {
    let (mut engine, far) = engine();
    let fields = delivered(&mut engine, &far, 3, ecn::NOT_ECT, true);
    assert_eq!(fields, [ecn::NOT_ECT; 2]);
    let dropped: Vec<_> = engine.counters.dropped().collect();
    assert_eq!(dropped, [("not_ecn_capable", 1)]);
}

#[test]
fn nothing_overtakes_what_the_protocol_has_still_to_deliver() {
    let (mut engine, far) = engine();
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let (one, two) = (&[3; 32], &[4; 32]);
    let session = Arc::new(Session::new((5, 6), (one, two), NOW, Suite::Ring));
    engine.add_session(session, peer, false);
    let next = Session::new((6, 5), (two, one), NOW, Suite::Ring);
    let both = |engine: &mut Engine, far: &Session| {
        delivered(engine, far, 1, ecn::NOT_ECT, false).len()
            + delivered(engine, far, 3, ecn::NOT_ECT, false).len()
    };
    assert_eq!(both(&mut engine, &far), 4);
    assert_eq!(both(&mut engine, &next), 0);
    engine.confirm_session(5);
    assert_eq!(
        both(&mut engine, &next),
        0,
        "the first are still in the queue"
    );
    assert_eq!(both(&mut engine, &far), 0);
    assert_eq!(engine.take_handed().len(), 12);
    engine.settle();
    assert_eq!(both(&mut engine, &next) + both(&mut engine, &far), 8);
}

/// The runs of a batch of one message.
fn sorted(engine: &mut Engine, message: &[u8]) -> Vec<Run> {
    let batch = Batch {
        start: 0,
        length: message.len(),
        segment: message.len(),
        from: FROM,
        ecn: 0,
        congested: false,
    };
    let mut runs = vec![];
    engine.sort(message, batch, NOW, &mut runs);
    runs
}

/// A session that is not confirmed, and its other end.
fn next(engine: &mut Engine) -> Session {
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let (one, two) = (&[3; 32], &[4; 32]);
    let session = Arc::new(Session::new((5, 6), (one, two), NOW, Suite::Ring));
    engine.add_session(session, peer, false);
    Session::new((6, 5), (two, one), NOW, Suite::Ring)
}

#[test]
fn what_is_sorted_after_what_the_protocol_will_get_follows_it() {
    let (mut engine, far) = engine();
    let mut first = next(&mut engine).seal(&packet(0)).unwrap();
    let mut runs = sorted(&mut engine, &first);
    runs[0].open(&mut first);
    assert!(
        engine.handover.is_empty(),
        "what is before it may not be delivered yet"
    );
    engine.confirm_session(5);
    let mut second = far.seal(&packet(0)).unwrap();
    let mut later = sorted(&mut engine, &second);
    later[0].open(&mut second);
    assert!(!later[0].is_opened_here());
    engine.hand_over_run(&first, &runs[0]);
    assert_eq!(engine.take_handed().len(), 1);
    engine.settle();
    let third = far.seal(&packet(0)).unwrap();
    assert!(
        !sorted(&mut engine, &third)[0].is_opened_here(),
        "the second is owed"
    );
    engine.hand_over_run(&second, &later[0]);
    assert_eq!(engine.take_handed().len(), 1);
}

#[test]
fn what_the_protocol_does_not_get_is_not_owed() {
    let (mut engine, far) = engine();
    let mut forged = next(&mut engine).seal(&packet(0)).unwrap();
    forged[20] ^= 1;
    let mut runs = sorted(&mut engine, &forged);
    runs[0].open(&mut forged);
    engine.hand_over_run(&forged, &runs[0]);
    assert!(engine.handover.is_empty());
    let message = far.seal(&packet(0)).unwrap();
    assert!(sorted(&mut engine, &message)[0].is_opened_here());
    let dropped: Vec<_> = engine.counters.dropped().collect();
    assert_eq!(dropped, [("bad_transport", 1)]);
}

#[test]
fn what_was_opened_for_a_peer_that_is_removed_meanwhile_is_dropped() {
    let (mut engine, far) = engine();
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let mut message = far.seal(&packet(0)).unwrap();
    let mut runs = sorted(&mut engine, &message);
    runs[0].open(&mut message);
    engine.remove_peer(peer);
    let other = engine.peers.add();
    engine.add_route(Network::new(Address::V4([10, 0, 0, 0]), 8).unwrap(), other);
    assert_eq!(other.slot, peer.slot, "it has the place of the other");
    engine.admit(&mut message, &runs[0], NOW, &mut |_, _, _| {
        panic!("delivered for another")
    });
    let dropped: Vec<_> = engine.counters.dropped().collect();
    assert_eq!(dropped, [("unknown_index", 1)]);
}

/// An echo reply from 10.0.0.1 to 10.0.0.2, as long as a probe's.
fn reply() -> [u8; 36] {
    let mut packet = [0; 36];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 36]);
    packet[9] = 1;
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

#[test]
fn replies_are_kept_as_long_as_the_protocol_may_be_bothered_and_else_delivered() {
    let (mut engine, far) = engine();
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let addresses = [[10, 0, 0, 2], [10, 0, 0, 1]].map(Address::V4);
    engine.set_echo(peer, Some(addresses.into()));
    for second in [NOW, NOW + 1.0] {
        let (mut kept, mut delivered) = (0, 0);
        for _ in 0..1000 {
            let mut message = far.seal(&reply()).unwrap();
            let batch = Batch {
                start: 0,
                length: message.len(),
                segment: message.len(),
                from: FROM,
                ecn: 0,
                congested: false,
            };
            engine.receive(&mut message, batch, second, |_, _, _| delivered += 1);
            kept += engine.fitting.take_echoes().len();
        }
        assert_eq!((kept, delivered), (256, 744));
    }
}

/// Where a packet to the peer goes, as long as nothing is handed over.
fn sent_to(engine: &mut Engine) -> Option<(Endpoint, bool)> {
    let mut frame = vec![0; VNET_HEADER];
    frame.extend(packet(ecn::NOT_ECT));
    frame[VNET_HEADER + 16..].copy_from_slice(&[10, 0, 0, 1]);
    match engine.send(&frame, &mut [0; 100], NOW) {
        Outgoing::Unsealed(unsealed) => Some((unsealed.to, engine.handover.is_empty())),
        _ => None,
    }
}

#[test]
fn packets_follow_a_peer_that_has_roamed_at_once_and_only_where_they_went_somewhere() {
    let elsewhere = Endpoint { port: 2, ..FROM };
    for known in [Destination::Unknown, Destination::Unresolved] {
        let (mut engine, far) = engine();
        let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
        engine.mtus = vec![1420].into();
        engine.set_current(peer, Some(1));
        engine.set_endpoint(peer, Some(elsewhere), known);
        delivered(&mut engine, &far, 1, ecn::NOT_ECT, false);
        assert_eq!(sent_to(&mut engine), None, "the way has to be worked out");
        assert!(!engine.handover.is_empty());
    }
    let (mut engine, far) = engine();
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    engine.mtus = vec![1420].into();
    engine.set_current(peer, Some(1));
    let to = elsewhere;
    let known = Destination::Resolved { to, nested: false };
    engine.set_endpoint(peer, Some(elsewhere), known);
    assert_eq!(sent_to(&mut engine), Some((elsewhere, true)));
    delivered(&mut engine, &far, 1, ecn::NOT_ECT, false);
    assert_eq!(sent_to(&mut engine), Some((FROM, true)));
    assert!(
        engine.waits_for_protocol(),
        "it is told, and may know a better way"
    );
}

#[test]
fn tunnels_in_tunnels_are_handed_over_after_a_peer_has_roamed() {
    let (mut engine, far) = engine();
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let to = Endpoint { port: 2, ..FROM };
    let known = Destination::Resolved { to, nested: false };
    engine.mtus = vec![1420].into();
    engine.set_current(peer, Some(1));
    engine.set_endpoint(peer, Some(to), known);
    let mut frame = vec![0; VNET_HEADER];
    frame.extend([
        0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1,
    ]);
    frame.extend([0, 9, 0, 9, 0, 12, 0, 0, 4, 0, 0, 0]); // a transport message's type
    let send = |engine: &mut Engine| engine.send(&frame, &mut [0; 100], NOW);
    assert!(matches!(send(&mut engine), Outgoing::Unsealed(_)));
    delivered(&mut engine, &far, 1, ecn::NOT_ECT, false);
    assert!(matches!(send(&mut engine), Outgoing::HandedOver));
}
