//! Nanoseconds a message through the engine in memory, both ways, minima and medians of many runs.
//! `cargo run --release --no-default-features --example engine_bench`; with `limited` the peer has a limit, which all of
//! the packets keep to. `count RUNS WAY SIZE` only runs, so that instructions can be counted (tests/bench/pathmtu).
//! `policy ROUNDS` instead compares what an access policy costs: see engine_bench/policy.rs.

#[path = "engine_bench/policy.rs"]
mod policy;

use std::sync::Arc;
use std::time::Instant;

use wgnode_fastpath::crypto::Suite;
use wgnode_fastpath::engine::endpoint::{Destination, Endpoint};
use wgnode_fastpath::engine::fitting::Limit;
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::engine::{Batch, Engine, Outgoing};
use wgnode_fastpath::message::OVERHEAD;
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::packet::vnet::VNET_HEADER;
use wgnode_fastpath::routes::Network;

const RUNS: usize = 4001;
const NOW: f64 = 100.0;
const PEERS: u32 = 1000;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word == "count") {
        let (runs, way, size) = (&words[at + 1], &words[at + 2], &words[at + 3]);
        return count(runs.parse().unwrap(), way, size.parse().unwrap());
    }
    if let Some(at) = words.iter().position(|word| word == "policy") {
        return policy::compare(words[at + 1].parse().unwrap());
    }
    for suite in [Suite::Ring, Suite::Batch] {
        for (count, size) in [(45, 1420), (45, 128), (4, 1420), (1, 1420), (1, 128)] {
            report(
                "receive",
                suite,
                count,
                size,
                receive(suite, count, size, RUNS),
            );
            report(
                "send   ",
                suite,
                count,
                size,
                send(suite, count, size, RUNS),
            );
        }
    }
}

/// Single packets.
fn count(runs: usize, way: &str, size: usize) {
    match way {
        "send" => drop(send(Suite::Ring, 1, size, runs)),
        "receive" => drop(receive(Suite::Ring, 1, size, runs)),
        "seal" => drop(seal(size, runs)),
        other => {
            panic!("{other}: there are send, receive, and seal, of which the latter is a part")
        }
    }
}

fn place() -> Endpoint {
    Endpoint {
        address: [192, 0, 2, 1].into(),
        port: 51820,
        scope: 0,
        source: None,
    }
}

/// An engine with many peers, and the other end of the session of the one that has 10.0.0.0/24.
fn engine(suite: Suite) -> (Engine, Session) {
    let mut engine = Engine::default();
    engine.mtus = vec![1420].into();
    let (one, two) = (&[1; 32], &[2; 32]);
    for number in 0..PEERS {
        let peer = engine.peers.add();
        let [_, _, high, low] = number.to_be_bytes();
        engine.add_route(
            Network::new(Address::V4([10, high, low, 0]), 24).unwrap(),
            peer,
        );
        let local = number.wrapping_mul(0x9e37_79b9);
        let session = Session::new((local, 7), (one, two), NOW, suite);
        engine.add_session(Arc::new(session), peer, true);
        engine.set_current(peer, Some(local));
        let (to, nested) = (place(), false);
        engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested });
    }
    if std::env::args().any(|argument| argument == "limited") {
        limit(&mut engine);
    }
    (engine, Session::new((7, 0), (two, one), NOW, suite))
}

fn limit(engine: &mut Engine) {
    let peer = engine.lookup(Address::V4([10, 0, 0, 1])).unwrap();
    let (inner, whole) = (1420, 1420);
    engine.set_limit(peer, Limit { inner, whole });
    let addresses = [[10, 9, 0, 1], [10, 9, 0, 2]].map(Address::V4);
    engine.set_echo(peer, Some(addresses.into()));
}

/// Of TCP, in the middle of a connection.
fn packet(size: usize) -> Vec<u8> {
    let mut packet = vec![7; size];
    packet[..4].copy_from_slice(&[0x45, 0, (size >> 8) as u8, size as u8]);
    (packet[9], packet[33]) = (6, 0x10);
    packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

fn report(what: &str, suite: Suite, count: usize, size: usize, mut times: Vec<f64>) {
    times.sort_by(f64::total_cmp);
    println!(
        "{what} {suite:?} {count:2} x {size:4} B {:8.1} ns least {:8.1} ns median",
        times[0],
        times[times.len() / 2]
    );
}

fn receive(suite: Suite, count: usize, size: usize, runs: usize) -> Vec<f64> {
    let (mut engine, far) = engine(suite);
    let packet = packet(size);
    let run = |_| {
        let message = |_| far.seal(&packet).unwrap();
        let mut train: Vec<u8> = (0..count).flat_map(message).collect();
        let batch = Batch {
            start: 0,
            length: train.len(),
            segment: size + OVERHEAD,
            from: place(),
            ecn: 0,
            congested: false,
        };
        let mut delivered = 0;
        let start = Instant::now();
        engine.receive(&mut train, batch, NOW, |_, _, _| delivered += 1);
        let each = start.elapsed().as_nanos() as f64 / count as f64;
        assert_eq!(delivered, count);
        each
    };
    (0..runs).map(run).collect()
}

/// What the other end does in `receive`.
fn seal(size: usize, runs: usize) -> Vec<usize> {
    let (_, far) = engine(Suite::Ring);
    let packet = packet(size);
    let sealed = (0..runs).map(|_| far.seal(&packet).unwrap().len());
    sealed.collect()
}

fn send(suite: Suite, count: usize, size: usize, runs: usize) -> Vec<f64> {
    let (mut engine, _) = engine(suite);
    let mut frame = vec![0; VNET_HEADER];
    frame.extend(packet(size));
    let mut out = vec![0; count * (size + OVERHEAD)];
    let run = |_| {
        let start = Instant::now();
        let mut sealing = None;
        for room in out.chunks_mut(size + OVERHEAD) {
            match engine.send(&frame, room, NOW) {
                Outgoing::Unsealed(unsealed) => sealing = Some(unsealed.session),
                _ => panic!("not sent"),
            }
        }
        let session = sealing.expect("there is one at least");
        session.send.seal_train(&mut out, size + OVERHEAD);
        start.elapsed().as_nanos() as f64 / count as f64
    };
    (0..runs).map(run).collect()
}
