//! Packets of a device, judged by whichever thread: what is allowed arrives in order, and each is counted once, while the
//! policy is given again and again.

use super::*;
use crate::packet::tuple::{Subject, subject};
use crate::policy::{Class, Policy, Rule};

const FLOWS: u16 = 8;
const ALLOWED: u16 = 4;
const PACKETS: u32 = 40;
const ROUNDS: u32 = 50;

/// The other side's ports up to ALLOWED.
fn judge(side: &Side) {
    let lan = Network::new(Address::V4([10, 0, 0, 0]), 24).unwrap();
    let rule = Rule::new(&[lan], vec![], false, vec![17], vec![(0, ALLOWED - 1)]);
    let class = Class {
        outgoing: vec![rule],
        incoming: vec![],
    };
    let policy = Policy::new(vec![Class::default(), class], &[], &[]);
    let mut engine = side.shared.engine();
    engine.set_policy(Some(policy), &[(side.peer, 1)]);
}

fn of_flow(number: u32) -> Vec<u8> {
    let mut packet = packet(1, number);
    packet[22..24].copy_from_slice(&port(number).to_be_bytes());
    packet
}

fn port(number: u32) -> u16 {
    number as u16 % FLOWS
}

#[test]
fn on_any_number_of_threads_each_packet_is_judged_and_counted_once() {
    for threads in NUMBERS {
        let (device, gateway) = two(threads);
        for round in 0..ROUNDS {
            judge(&gateway);
            let numbers = round * PACKETS..(round + 1) * PACKETS;
            for sent in numbers.clone() {
                device.tun.send(&of_flow(sent)).unwrap();
            }
            for allowed in numbers.filter(|sent| port(*sent) < ALLOWED) {
                assert_eq!(number(&gateway.tun), allowed);
            }
        }
        let last = of_flow(FLOWS.into());
        device.tun.send(&last).unwrap();
        number(&gateway.tun); // all before it was judged
        let mut engine = gateway.shared.engine();
        let all = u64::from(PACKETS * ROUNDS);
        assert_eq!(engine.access.denials.packets, all / 2);
        assert_eq!(engine.access.flows.len(), usize::from(ALLOWED));
        let packets = (0..ALLOWED).map(|port| {
            let Subject::Whole(tuple) = subject(&of_flow(port.into())) else {
                panic!("it has ports");
            };
            let found = engine.access.flows.find(&tuple).unwrap();
            engine.access.flows.get(found).unwrap().traffic[0].packets
        });
        assert_eq!(packets.sum::<u64>(), all / 2 + 1);
        engine.end_flows(gateway.peer);
        assert!(engine.access.flows.is_empty());
    }
}
