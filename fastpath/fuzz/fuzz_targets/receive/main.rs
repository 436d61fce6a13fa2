//! Any batches of messages, some of them sealed by us, through `Engine::receive`: each comes to what `model` says.
#![no_main]

mod model;
mod script;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use model::{Fate, Model, PEERS};
use script::{Given, Script};
use wgnode_fastpath::crypto::{Suite, choose};
use wgnode_fastpath::engine::endpoint::Endpoint;
use wgnode_fastpath::engine::handover::Handed;
use wgnode_fastpath::engine::peer::PeerId;
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::engine::{Batch, Engine};
use wgnode_fastpath::message::{HEADER, OVERHEAD};
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::routes::Network;

const GUARD: [u8; 64] = [0xa5; 64];
const MAC1_KEYS: [[u8; 32]; 2] = [[0xc1; 32], [0xc2; 32]];
/// Receiver index, place in PEERS, seconds of its making, whether the protocol has confirmed it.
const SESSIONS: [(u32, usize, f64, bool); 4] = [
    (0x11, 0, 1000.0, true),
    (0x12, 0, 1100.0, true),
    (0x21, 1, 1000.0, true),
    (0x22, 1, 1100.0, false),
];

fn sessions(suite: Suite) -> Vec<Arc<Session>> {
    let session = |(local, _, created, _): (u32, usize, f64, bool)| {
        let key = [local as u8; 32];
        Arc::new(Session::new((local, 0), (&[0; 32], &key), created, suite))
    };
    SESSIONS.into_iter().map(session).collect()
}

/// With the peers' identifiers.
fn engine(sessions: &[Arc<Session>]) -> (Engine, Vec<PeerId>) {
    let mut engine = Engine::default();
    engine.mac1_keys = MAC1_KEYS.to_vec();
    let ids: Vec<_> = PEERS.iter().map(|_| engine.peers.add()).collect();
    for (id, networks) in ids.iter().zip(PEERS) {
        for (address, length) in networks {
            let address = match address {
                IpAddr::V4(address) => Address::V4(address.octets()),
                IpAddr::V6(address) => Address::V6(address.octets()),
            };
            engine.add_route(Network::new(address, *length).unwrap(), *id);
        }
    }
    for (session, (_, peer, _, confirmed)) in sessions.iter().zip(SESSIONS) {
        engine.add_session(session.clone(), ids[peer], confirmed);
    }
    (engine, ids)
}

fn endpoint(number: u8) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::new(192, 0, 2, number).into(),
        port: 51820,
        scope: 0,
        source: None,
    }
}

/// The batch between guards, opened; what was delivered, each with its place in the batch.
fn receive(engine: &mut Engine, given: &Given, now: f64) -> Vec<(usize, Vec<u8>)> {
    let mut buffer = [&GUARD, &given.bytes[..], &GUARD].concat();
    let batch = Batch {
        start: GUARD.len(),
        length: given.bytes.len(),
        segment: given.segment,
        from: endpoint(given.from),
        ecn: given.ecn,
        congested: false,
    };
    let mut delivered = Vec::new();
    engine.receive(&mut buffer, batch, now, |buffer, offset, length| {
        delivered.push((
            offset - GUARD.len(),
            buffer[offset..offset + length].to_vec(),
        ));
    });
    assert!(buffer.starts_with(&GUARD) && buffer.ends_with(&GUARD));
    delivered
}

/// All that was handed over, traffic and handshakes each in their order.
fn handed(engine: &mut Engine) -> [Vec<Vec<u8>>; 2] {
    let (mut traffic, mut handshakes) = (Vec::new(), Vec::new());
    while !engine.handover.is_empty() {
        let taken = engine.take_handed();
        engine.settle();
        for each in taken {
            let Handed::Datagram(message, _) = each else {
                panic!("nothing was sent")
            };
            if message[0] == 4 {
                traffic.push(message);
            } else {
                handshakes.push(message);
            }
        }
    }
    [traffic, handshakes]
}

fn check_batch(engine: &mut Engine, model: &mut Model, given: &Given, now: f64) {
    let mut delivered = receive(engine, given, now).into_iter();
    let mut expected = [Vec::new(), Vec::new()];
    if given.bytes.is_empty() || given.segment == 0 {
        model.dropped("malformed");
    } else {
        for (number, message) in given.bytes.chunks(given.segment).enumerate() {
            match model.fate(message, given, now) {
                Fate::Ended => {}
                Fate::Handed(queue) => {
                    let queue = &mut expected[queue as usize];
                    if queue.len() < 1024 {
                        queue.push(message.to_vec());
                    } else {
                        model.dropped("overload");
                    }
                }
                Fate::Delivered(inner) => {
                    let (place, packet) = delivered.next().expect("a packet is missing");
                    assert_eq!(place, number * given.segment + HEADER);
                    assert!(packet.len() + OVERHEAD <= message.len());
                    inner.assert_same(&packet);
                }
            }
        }
    }
    assert_eq!(delivered.next(), None, "delivered, but never sealed by us");
    assert_eq!(handed(engine), expected);
    model.settle();
}

/// What is counted of each peer, and what of all together.
fn check_counters(engine: &mut Engine, model: &mut Model, ids: &[PeerId]) {
    let mut counted: Vec<_> = engine.counters.dropped().collect();
    counted.sort_unstable();
    assert_eq!(counted, model.drops());
    let mut heard = model.take_heard();
    assert_eq!(
        std::mem::take(&mut engine.roamed),
        heard.iter().any(|heard| heard.moved)
    );
    for (id, activity, place) in engine.peers.take_activity() {
        let peer = ids.iter().position(|each| *each == id).unwrap();
        let heard = std::mem::take(&mut heard[peer]);
        assert_eq!(activity.rx_bytes, heard.bytes);
        assert_eq!(place, heard.moved.then(|| endpoint(heard.from)));
    }
    assert!(heard.iter().all(|heard| heard.bytes == 0));
}

fuzz_target!(|data: &[u8]| {
    let suite = choose(None).expect("the best there is").0;
    let sessions = sessions(suite);
    let (mut engine, ids) = engine(&sessions);
    let mut model = Model::new();
    let mut script = Script::new(data, &sessions);
    let mut now = 1100.0;
    while let Some(given) = script.batch(&mut model) {
        now += given.wait;
        if given.confirm {
            engine.set_current(ids[SESSIONS[3].1], Some(SESSIONS[3].0));
            model.confirm(SESSIONS[3].0);
        }
        check_batch(&mut engine, &mut model, &given, now);
        check_counters(&mut engine, &mut model, &ids);
    }
});
