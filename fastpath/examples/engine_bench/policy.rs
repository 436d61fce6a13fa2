//! Processor time of sealing and opening with an access policy beside none, in rounds that take turns: the ratio is that of
//! a round's two, its median over all rounds. Of 1,000 flows of one device each has a train in turn. The policy has 50
//! classes; that of the device 100 rules, of which the last one allows.

use super::{NOW, engine, packet, place};
use wgnode_fastpath::crypto::choose;
use wgnode_fastpath::engine::session::Session;
use wgnode_fastpath::engine::{Batch, Engine, Outgoing};
use wgnode_fastpath::message::OVERHEAD;
use wgnode_fastpath::packet::inner::Address;
use wgnode_fastpath::packet::vnet::VNET_HEADER;
use wgnode_fastpath::policy::{Class, Policy, Rule};
use wgnode_fastpath::routes::Network;

const FLOWS: usize = 1000;
const CLASSES: u32 = 50;
const RULES: u8 = 100;
const MACHINE: [u8; 4] = [192, 0, 2, 9];
const DEVICE: [u8; 4] = [10, 0, 0, 1];
/// Bytes of IP and TCP header.
const HEADERS: usize = 40;

pub fn compare(rounds: usize) {
    let (suite, _) = choose(None).expect("the default is there");
    for (count, size) in [(45, 1420), (4, 1420), (1, 1420), (1, 128)] {
        let mut sides = [engine(suite), engine(suite)];
        judge(&mut sides[1].0);
        let mut ratios = [vec![], vec![]];
        for round in 0..=rounds {
            let both = [0, 1].map(|at| {
                let (engine, far) = &mut sides[(at + round) % 2];
                [
                    received(engine, far, count, size),
                    sent(engine, count, size),
                ]
            });
            let (none, policy) = (both[round % 2], both[1 - round % 2]);
            if round > 0 {
                ratios[0].push(policy[0] / none[0]);
                ratios[1].push(policy[1] / none[1]);
            }
        }
        assert_eq!(sides[1].0.access.flows.len(), 2 * FLOWS);
        for (way, ratios) in ["receive", "send   "].iter().zip(&mut ratios) {
            ratios.sort_by(f64::total_cmp);
            let (low, high) = (ratios[rounds / 4], ratios[rounds * 3 / 4]);
            let middle = ratios[rounds / 2];
            println!(
                "{way} {suite:?} {count:2} x {size:4} B processor time x {middle:.3} ({low:.3} to {high:.3})"
            );
        }
    }
}

/// Both ways to and from MACHINE, by the last rule.
fn judge(engine: &mut Engine) {
    let rules = || {
        let net = |number| {
            let address = if number + 1 == RULES {
                [192, 0, 2, 0]
            } else {
                [172, 16, number, 0]
            };
            let net = Network::new(Address::V4(address), 24).unwrap();
            Rule::new(&[net], vec![], false, vec![6], vec![(1, u16::MAX)])
        };
        (0..RULES).map(net).collect()
    };
    let class = |number| match number {
        1 => Class {
            outgoing: rules(),
            incoming: rules(),
        },
        _ => Class::default(),
    };
    let policy = Policy::new((0..CLASSES).map(class).collect(), &[], &[]);
    let device = engine.lookup(Address::V4(DEVICE)).unwrap();
    engine.set_policy(Some(policy), &[(device, 1)]);
}

fn of_flow(flow: usize, size: usize, from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    let mut packet = packet(size);
    packet[12..20].copy_from_slice(&[from, to].concat());
    packet[20..22].copy_from_slice(&(flow as u16).to_be_bytes());
    packet[6..8].copy_from_slice(&[0x40, 0]); // DF, and no fragment
    packet
}

/// Seconds of this thread's processor time.
fn used(work: impl FnOnce()) -> f64 {
    let before = processor_time();
    work();
    processor_time() - before
}

fn processor_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes to a timespec of ours.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(done, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn received(engine: &mut Engine, far: &Session, count: usize, size: usize) -> f64 {
    let trains = (0..FLOWS).map(|flow| {
        let packet = of_flow(flow, size, DEVICE, MACHINE);
        let messages = (0..count).flat_map(|_| far.seal(&packet).unwrap());
        messages.collect::<Vec<u8>>()
    });
    let mut trains: Vec<_> = trains.collect();
    let mut delivered = 0;
    let used = used(|| {
        for train in &mut trains {
            let batch = Batch {
                start: 0,
                length: train.len(),
                segment: size + OVERHEAD,
                from: place(),
                ecn: 0,
                congested: false,
            };
            engine.receive(train, batch, NOW, |_, _, _| delivered += 1);
        }
    });
    assert_eq!(delivered, FLOWS * count);
    used
}

fn sent(engine: &mut Engine, count: usize, size: usize) -> f64 {
    let frames: Vec<_> = (0..FLOWS).map(|flow| train(flow, count, size)).collect();
    let mut out = vec![0; count * (size + OVERHEAD)];
    used(|| {
        for frame in &frames {
            let Outgoing::Unsealed(unsealed) = engine.send(frame, &mut out, NOW) else {
                panic!("not sent");
            };
            assert_eq!(unsealed.train.messages, count);
            let all = unsealed.train.total();
            let stride = unsealed.train.stride;
            unsealed.session.send.seal_train(&mut out[..all], stride);
        }
    })
}

/// A frame of the TUN's, with as many packets.
fn train(flow: usize, count: usize, size: usize) -> Vec<u8> {
    let segment = (size - HEADERS) as u16;
    let whole = HEADERS + count * usize::from(segment);
    let mut frame = vec![0; VNET_HEADER];
    if count > 1 {
        frame[..2].copy_from_slice(&[1, 1]); // NEEDS_CSUM, TCPV4
        frame[2] = HEADERS as u8;
        frame[4..6].copy_from_slice(&segment.to_le_bytes());
        (frame[6], frame[8]) = (20, 16);
    }
    let mut packet = of_flow(flow, whole, MACHINE, DEVICE);
    packet[32] = 0x50;
    frame.extend(packet);
    frame
}
