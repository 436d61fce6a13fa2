//! What a train, a removed device and a fragment do to flows. Verdicts packet by packet are tested on both planes at once:
//! tests/unit/policy.

use std::net::{IpAddr, Ipv4Addr};
use std::slice::from_ref;
use std::sync::Arc;

use super::*;
use crate::crypto::Suite;
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::session::Session;
use crate::engine::{Batch, Engine, Outgoing};
use crate::packet::fields::{UDP, tcp};
use crate::packet::vnet::VNET_HEADER;
use crate::policy::flows::Limits;
use crate::policy::{Class, Rule};
use crate::routes::Network;

const NOW: f64 = 100.0;
const HOME: Endpoint = Endpoint {
    address: IpAddr::V4(Ipv4Addr::LOCALHOST),
    port: 1,
    scope: 0,
    source: None,
};
const DEVICE: [u8; 4] = [10, 1, 0, 130];
const MACHINE: [u8; 4] = [10, 1, 0, 20];
const ELSEWHERE: [u8; 4] = [10, 3, 0, 1];

/// Both ways to the LAN.
fn policy() -> Policy {
    let rule = || {
        let lan = Network::new(Address::V4([10, 1, 0, 0]), 24).unwrap();
        vec![Rule::new(&[lan], vec![], false, vec![], vec![])]
    };
    let (outgoing, incoming) = (rule(), rule());
    Policy::new(
        vec![Class::default(), Class { outgoing, incoming }],
        &[],
        &[],
    )
}

/// An engine with a device of class 1, and the other end of its session.
fn engine() -> (Engine, PeerId, Session) {
    let mut engine = Engine {
        mtus: vec![1420].into(),
        ..Engine::default()
    };
    let (one, two) = (&[1; 32], &[2; 32]);
    let device = engine.peers.add();
    let session = Session::new((1, 2), (one, two), NOW, Suite::Ring);
    engine.add_route(Network::new(Address::V4(DEVICE), 32).unwrap(), device);
    engine.add_session(Arc::new(session), device, true);
    engine.set_current(device, Some(1));
    let (to, nested) = (HOME, false);
    engine.set_endpoint(device, Some(HOME), Destination::Resolved { to, nested });
    engine.set_policy(Some(policy()), &[(device, 1)]);
    (
        engine,
        device,
        Session::new((2, 1), (two, one), NOW, Suite::Ring),
    )
}

/// UDP to port 9 with this fragment field; later fragments have no ports, but whatever is there.
fn packet(source: [u8; 4], destination: [u8; 4], port: u16, fragment: u16) -> Vec<u8> {
    let mut packet = vec![0; 48];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 48]);
    packet[6..8].copy_from_slice(&fragment.to_be_bytes());
    packet[9] = UDP;
    packet[12..20].copy_from_slice(&[source, destination].concat());
    packet[20..24].copy_from_slice(&[(port >> 8) as u8, port as u8, 0, 9]);
    packet
}

/// How many of these, which come as one train, are delivered.
fn received(engine: &mut Engine, far: &Session, packets: &[Vec<u8>]) -> usize {
    let mut train: Vec<u8> = packets
        .iter()
        .flat_map(|it| far.seal(it).unwrap())
        .collect();
    let batch = Batch {
        start: 0,
        length: train.len(),
        segment: train.len() / packets.len(),
        from: HOME,
        ecn: 0,
        congested: false,
    };
    let mut delivered = 0;
    engine.receive(&mut train, batch, NOW, |_, _, _| delivered += 1);
    delivered
}

fn flow(engine: &mut Engine, packet: &[u8]) -> Option<[u64; 2]> {
    let (Subject::Whole(tuple) | Subject::First(tuple, _)) = subject(packet) else {
        panic!("it has no ports");
    };
    let id = engine.access.flows.find(&tuple)?;
    let flow = engine.access.flows.get(id)?;
    Some(flow.traffic.map(|way| way.packets))
}

#[test]
fn of_a_train_of_several_flows_each_is_judged_and_counted() {
    let (mut engine, _, far) = engine();
    let (one, two) = (packet(DEVICE, MACHINE, 1, 0), packet(DEVICE, MACHINE, 2, 0));
    let denied = packet(DEVICE, ELSEWHERE, 1, 0);
    let train = [&one, &one, &two, &denied, &denied, &one].map(Vec::clone);
    assert_eq!(received(&mut engine, &far, &train), 4);
    assert_eq!(flow(&mut engine, &one), Some([3, 0]));
    assert_eq!(flow(&mut engine, &two), Some([1, 0]));
    assert_eq!(flow(&mut engine, &denied), None);
    let told = engine.take_denials();
    assert_eq!((told.len(), told[0].1), (1, 2));
    assert_eq!(
        engine.counters.dropped().collect::<Vec<_>>(),
        [("denied", 2)]
    );
    assert!(engine.take_denials().is_empty());
}

#[test]
fn a_train_to_a_device_is_judged_once_and_counted_by_packets() {
    let (mut engine, _, _) = engine();
    let frame = |source| {
        let mut frame = vec![0; VNET_HEADER];
        frame[..2].copy_from_slice(&[1, 5]); // NEEDS_CSUM, UDP_L4
        frame[2..8].copy_from_slice(&[28, 0, 10, 0, 20, 0]);
        frame[8] = 6;
        frame.extend(packet(source, DEVICE, 7, 0));
        frame
    };
    let mut out = [0; 1000];
    let sent = engine.send(&frame(MACHINE), &mut out, NOW);
    assert!(matches!(sent, Outgoing::Unsealed(unsealed) if unsealed.train.messages == 2));
    assert_eq!(
        flow(&mut engine, &packet(MACHINE, DEVICE, 7, 0)),
        Some([2, 0])
    );
    let denied = engine.send(&frame(ELSEWHERE), &mut out, NOW);
    assert!(matches!(denied, Outgoing::Dropped));
    assert_eq!(engine.access.denials.packets, 2);
}

#[test]
fn fragments_follow_the_first_and_none_that_has_gone() {
    let (mut engine, device, far) = engine();
    let first = packet(DEVICE, MACHINE, 1, 0x2000);
    let later = packet(DEVICE, MACHINE, 0, 2);
    assert_eq!(received(&mut engine, &far, from_ref(&later)), 0);
    assert_eq!(
        received(&mut engine, &far, &[first.clone(), later.clone()]),
        2
    );
    engine.end_flows(device);
    assert_eq!(received(&mut engine, &far, from_ref(&later)), 0);
    let one = packet(DEVICE, MACHINE, 1, 0);
    assert_eq!(
        received(&mut engine, &far, &[one, later]),
        1,
        "another flow of the same ends"
    );
}

#[test]
fn of_fragmented_packets_those_that_began_last_are_remembered() {
    let mut fragments = Fragments::default();
    let mut flows = Flows::default();
    let Subject::First(tuple, of) = subject(&packet(DEVICE, MACHINE, 1, 0x2000)) else {
        panic!()
    };
    let device = Peers::default().add();
    let flow = flows
        .open(Flow::new(tuple, (device, None), true, 0), 0.0)
        .unwrap();
    let number = |identification| crate::packet::tuple::Datagram {
        identification,
        ..of
    };
    for identification in 0..fragments::MOST as u32 {
        fragments.keep(number(identification), flow, 0.0);
    }
    fragments.keep(number(0), flow, 1.0);
    fragments.keep(number(9999), flow, 1.0);
    assert_eq!(fragments.get(&number(1), 2.0), None);
    assert_eq!(fragments.get(&number(0), 30.9), Some(flow));
    assert_eq!(fragments.get(&number(2), 29.9), Some(flow));
    assert_eq!(fragments.get(&number(2), 30.0), None);
}

#[test]
fn with_the_device_its_flows_and_denials_go_and_without_a_policy_nothing_is_judged() {
    let (mut engine, device, far) = engine();
    let (one, denied) = (
        packet(DEVICE, MACHINE, 1, 0),
        packet(DEVICE, ELSEWHERE, 1, 0),
    );
    assert_eq!(
        received(&mut engine, &far, &[one.clone(), denied.clone()]),
        1
    );
    engine.set_policy(None, &[(device, 1)]);
    assert!(engine.access.flows.is_empty());
    assert_eq!(received(&mut engine, &far, from_ref(&denied)), 1);
    assert!(engine.access.flows.is_empty());
    engine.set_policy(Some(policy()), &[(device, 1)]);
    assert_eq!(received(&mut engine, &far, &[one, denied]), 1);
    engine.remove_peer(device);
    assert!(engine.access.flows.is_empty() && engine.take_denials().is_empty());
}

#[test]
fn in_a_full_table_flows_that_run_go_on_and_new_ones_are_refused() {
    let (mut engine, device, far) = engine();
    engine.access.flows = Flows::with_limits(Limits { all: 9, device: 2 });
    let [one, two, three] = [1, 2, 3].map(|port| packet(DEVICE, MACHINE, port, 0));
    let all = [one.clone(), two.clone(), three, one.clone()];
    assert_eq!(received(&mut engine, &far, &all), 3);
    assert_eq!((engine.access.refused, engine.access.flows.len()), (1, 2));
    assert_eq!(engine.take_denials()[0].0.why, Reason::Full);
    assert_eq!(flow(&mut engine, &one), Some([2, 0]));
    engine.end_flows(device);
    assert_eq!(received(&mut engine, &far, &[two]), 1);
}

#[test]
fn different_denials_are_bounded_and_the_rest_told_together() {
    let (mut denials, device) = (Denials::default(), Peers::default().add());
    for port in 0..denials::MOST as u16 + 5 {
        let packet = &packet(DEVICE, ELSEWHERE, port, 0);
        let mut of = Crossing {
            device,
            outgoing: true,
            packet,
            packets: 1,
            now: NOW,
        };
        denials.count(&of, Reason::NothingAllows); // to one port
        let mut other = packet.clone();
        other[22..24].copy_from_slice(&port.to_be_bytes());
        of.packet = &other;
        denials.count(&of, Reason::NothingAllows);
    }
    let told = denials.take();
    let together = told.iter().filter(|(what, _)| what.why == Reason::More);
    assert_eq!(
        together.map(|(_, packets)| *packets).collect::<Vec<_>>(),
        [5]
    );
    assert_eq!(told.len(), denials::MOST + 1);
    assert_eq!(
        told.iter().map(|(_, packets)| packets).sum::<u64>(),
        denials.packets
    );
}

#[test]
fn a_flow_is_over_after_its_time() {
    let device = Peers::default().add();
    let idle = |protocol, port, notes: &[(u8, bool)]| {
        let opened = Tuple {
            source: Address::V4(DEVICE),
            destination: Address::V4(MACHINE),
            protocol,
            ports: (7, port),
        };
        let mut flow = Flow::new(opened, (device, None), true, 0);
        for (flags, turned) in notes {
            let (packets, bytes) = (1, 100);
            flow.note(Traffic { packets, bytes }, *flags, *turned);
        }
        let over = [60, 120, 240, 300, 7440].into_iter();
        over.map(f64::from)
            .find(|seconds| flow.is_over(*seconds) && !flow.is_over(seconds - 0.1))
            .unwrap()
    };
    let (syn, ack) = (tcp::SYN, tcp::ACK);
    let shake = [(syn, false), (syn | ack, true), (ack, false)];
    assert_eq!(idle(6, 443, &shake), 7440.0);
    assert_eq!(idle(6, 443, &shake[..1]), 240.0);
    for flag in [tcp::FIN, tcp::RST] {
        let closing = [shake[0], shake[1], (flag, true)];
        assert_eq!(idle(6, 443, &closing), 240.0);
        assert_eq!(
            idle(6, 443, &[&closing[..], &[(syn, true)]].concat()),
            240.0
        );
        assert_eq!(
            idle(6, 443, &[&closing[..], &[(syn, false)]].concat()),
            7440.0
        );
    }
    assert_eq!((idle(UDP, 443, &[]), idle(UDP, 53, &[])), (300.0, 120.0));
    assert_eq!(
        (idle(1, 8, &[]), idle(58, 8, &[]), idle(47, 0, &[])),
        (60.0, 60.0, 300.0)
    );
}
