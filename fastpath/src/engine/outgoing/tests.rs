//! Counters, what is handed over, and what is left when something is removed.

use super::*;
use crate::crypto::Suite;
use crate::engine::handover::Handed;
use crate::message::{REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME, counter};
use crate::packet::inner::Address;
use crate::routes::Network;

mod limits;

const NOW: f64 = 100.0;
const HOME: Endpoint = Endpoint {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)),
    port: 51820,
    scope: 0,
    source: None,
};

/// An engine with a peer that has 10.0.0.0/8 and a session made at NOW.
fn engine() -> (Engine, PeerId, Arc<Session>) {
    let mut engine = Engine {
        mtus: vec![1420].into(),
        ..Engine::default()
    };
    let peer = engine.peers.add();
    let session = Arc::new(Session::new((1, 2), (&[1; 32], &[2; 32]), NOW, Suite::Ring));
    engine.add_route(Network::new(Address::V4([10, 0, 0, 0]), 8).unwrap(), peer);
    engine.add_session(session.clone(), peer, true);
    engine.set_current(peer, Some(1));
    engine.set_endpoint(
        peer,
        Some(HOME),
        Destination::Resolved {
            to: HOME,
            nested: false,
        },
    );
    (engine, peer, session)
}

/// A TCP packet to 10.0.0.2, as one or as a train of `segment` bytes each.
fn frame(payload: usize, segment: Option<u16>) -> Vec<u8> {
    let length = (40 + payload) as u16;
    let mut frame = vec![0; VNET_HEADER];
    if let Some(segment) = segment {
        frame[..2].copy_from_slice(&[1, 1]); // NEEDS_CSUM, TCPV4
        frame[2..4].copy_from_slice(&40u16.to_le_bytes());
        frame[4..6].copy_from_slice(&segment.to_le_bytes());
        frame[6..8].copy_from_slice(&20u16.to_le_bytes());
        frame[8..10].copy_from_slice(&16u16.to_le_bytes());
    }
    frame.extend([
        0x45,
        0,
        (length >> 8) as u8,
        length as u8,
        0,
        0,
        0x40,
        0,
        64,
        6,
        0,
        0,
    ]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    frame.extend([
        0, 80, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
    ]);
    frame.resize(VNET_HEADER + usize::from(length), 7);
    frame
}

fn counters(engine: &mut Engine, frame: &[u8]) -> Vec<u64> {
    let mut out = vec![0; 8 << 20];
    let Outgoing::Unsealed(unsealed) = engine.send(frame, &mut out, NOW) else {
        panic!("not sent")
    };
    out[..unsealed.train.total()]
        .chunks(unsealed.train.stride)
        .map(counter)
        .collect()
}

#[test]
fn no_counter_comes_twice_whatever_the_segments() {
    let (mut engine, _, session) = engine();
    let mut next = 0;
    for segment in [1, 2, 7, 8, 36, 48, 100, 536, 1380, 1460, 60_000] {
        for payload in [1, 7, 1380, 1381, 20_000, 65_495] {
            let seen = counters(&mut engine, &frame(payload, Some(segment)));
            assert_eq!(seen.len(), payload.div_ceil(segment.into()));
            assert_eq!(seen, (next..next + seen.len() as u64).collect::<Vec<_>>());
            next += seen.len() as u64;
            session.seal(b"").unwrap(); // plain Python sends in between
            next += 1;
        }
    }
}

#[test]
fn a_train_never_goes_beyond_the_last_counter() {
    let (mut engine, _, session) = engine();
    session.skip_to(REJECT_AFTER_MESSAGES - 10);
    let mut out = vec![0; 1 << 20];
    assert!(matches!(
        engine.send(&frame(20_000, Some(100)), &mut out, NOW),
        Outgoing::HandedOver
    ));
    engine.take_handed();
    engine.settle();
    assert_eq!(
        counters(&mut engine, &frame(100, None)),
        [REJECT_AFTER_MESSAGES - 10]
    );
    assert_eq!(session.send_counter(), REJECT_AFTER_MESSAGES - 9);
}

#[test]
fn what_has_no_session_any_more_is_handed_over_whole() {
    let (mut engine, ..) = engine();
    let mut out = vec![0; 1 << 20];
    let late = NOW + REJECT_AFTER_TIME;
    assert!(matches!(
        engine.send(&frame(3000, Some(1000)), &mut out, late - 0.1),
        Outgoing::Unsealed(_)
    ));
    assert!(matches!(
        engine.send(&frame(3000, Some(1000)), &mut out, late),
        Outgoing::HandedOver
    ));
    let handed = engine.take_handed();
    assert_eq!(handed.len(), 3);
    assert!(
        handed
            .iter()
            .all(|each| matches!(each, Handed::Packet(packet) if packet.len() == 1040))
    );
}

#[test]
fn the_queue_for_the_protocol_is_bounded() {
    let (mut engine, peer, _) = engine();
    engine.set_current(peer, None);
    let mut out = vec![0; 1 << 20];
    for _ in 0..3000 {
        engine.send(&frame(100, None), &mut out, NOW);
    }
    assert_eq!(engine.take_handed().len(), 256);
    let dropped: Vec<_> = engine.counters.dropped().collect();
    assert_eq!(dropped, [("staged", 3000 - 256)]);
    engine.send(&frame(100, None), &mut out, NOW + 1.0);
    assert_eq!(engine.take_handed().len(), 1);
}

#[test]
fn a_removed_peer_and_a_removed_session_leave_nothing() {
    let (mut engine, peer, session) = engine();
    engine.remove_session(1);
    engine.set_current(peer, None);
    assert_eq!(
        Arc::strong_count(&session),
        1,
        "the last reference erases the keys"
    );
    engine.remove_peer(peer);
    assert_eq!((engine.route_count(), engine.sessions()), (0, 0));
    assert!(matches!(
        engine.send(&frame(1, None), &mut [0; 2000], NOW),
        Outgoing::Dropped
    ));
}

#[test]
fn nothing_overtakes_what_the_protocol_has_still_to_send() {
    let (mut engine, peer, _) = engine();
    let mut out = vec![0; 1 << 20];
    let mut send = |engine: &mut Engine| {
        matches!(
            engine.send(&frame(100, None), &mut out, NOW),
            Outgoing::HandedOver
        )
    };
    engine.set_current(peer, None);
    assert!(send(&mut engine));
    engine.set_current(peer, Some(1));
    assert!(send(&mut engine), "one is still in the queue");
    assert_eq!(engine.take_handed().len(), 2);
    assert!(send(&mut engine), "two are on their way");
    engine.settle();
    assert!(send(&mut engine), "one came meanwhile");
    assert_eq!(engine.take_handed().len(), 2);
    engine.settle();
    assert!(!send(&mut engine));
}

#[test]
fn what_is_planned_after_what_the_protocol_will_get_follows_it() {
    let (mut engine, peer, _) = engine();
    let frame = frame(100, None);
    let plan = |engine: &mut Engine| engine.plan(&frame, 2000, NOW);
    engine.set_current(peer, None);
    let Planned::HandOver(first) = plan(&mut engine) else {
        panic!("there is no session")
    };
    engine.set_current(peer, Some(1));
    let Planned::HandOver(second) = plan(&mut engine) else {
        panic!("the first is not even handed over")
    };
    assert!(
        engine.handover.is_empty(),
        "what is before it may not be sent yet"
    );
    engine.hand_over(&first, &frame);
    assert_eq!(engine.take_handed().len(), 1);
    engine.settle();
    assert!(
        matches!(plan(&mut engine), Planned::HandOver(_)),
        "the second is owed"
    );
    engine.hand_over(&second, &frame);
}

#[test]
fn of_a_peer_that_is_removed_meanwhile_nothing_is_handed_over() {
    let (mut engine, peer, _) = engine();
    let frame = frame(100, None);
    engine.set_current(peer, None);
    let Planned::HandOver(handing) = engine.plan(&frame, 2000, NOW) else {
        panic!("there is no session")
    };
    engine.remove_peer(peer);
    engine.hand_over(&handing, &frame);
    assert!(engine.handover.is_empty());
}

#[test]
fn another_frame_is_not_split_with_these_counters() {
    let (mut engine, ..) = engine();
    let (planned, other) = (frame(3000, Some(1000)), frame(3000, Some(999)));
    for (given, fits) in [(&planned, true), (&other, false)] {
        let Planned::Seal(sealing) = engine.plan(&planned, 4000, NOW) else {
            panic!("not sent")
        };
        let mut out = vec![0; sealing.total()];
        assert_eq!(sealing.split(given, &mut out, &[1420]).is_ok(), fits);
    }
}
