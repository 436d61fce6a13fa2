//! What the protocol gets, and when, of several jobs at once.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use super::*;
use crate::crypto::Suite;
use crate::engine::Batch;
use crate::engine::endpoint::{Destination, Endpoint};
use crate::engine::peer::PeerId;
use crate::engine::session::Session;
use crate::packet::inner::Address;
use crate::packet::vnet::VNET_HEADER;
use crate::routes::Network;

const NOW: f64 = 100.0;
const KEYS: (&[u8; 32], &[u8; 32]) = (&[1; 32], &[2; 32]);

fn place(port: u16) -> Endpoint {
    Endpoint {
        address: [127, 0, 0, 1].into(),
        port,
        scope: 0,
        source: None,
    }
}

/// With a peer that has 10.0.0.0/8, and its sessions: 1 is confirmed, 3 is not.
fn table(port: u16) -> (Table, PeerId) {
    let table = Table::default();
    let mut engine = table.command();
    let peer = engine.peers.add();
    engine.add_route(Network::new(Address::V4([10, 0, 0, 0]), 8).unwrap(), peer);
    for (local, confirmed) in [(1, true), (3, false)] {
        let session = Session::new((local, local + 1), KEYS, NOW, Suite::Ring);
        engine.add_session(Arc::new(session), peer, confirmed);
    }
    let to = place(port);
    engine.set_current(peer, Some(1));
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested: false });
    drop(engine);
    (table, peer)
}

/// From 10.0.0.1 to 10.0.0.2, a header alone.
fn packet() -> Vec<u8> {
    let mut packet = vec![0; 20];
    packet[..4].copy_from_slice(&[0x45, 0, 0, 20]);
    packet[12..].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    packet
}

fn waits(table: &Table) -> bool {
    !table.command().handover.is_empty()
}

/// Begins two jobs, makes the second ready, and then the first, by these steps of each direction. True: what is for the
/// protocol was there once both were written, and not before.
fn handed_over_last<J: Default>(
    table: &Table,
    begin: impl Fn(&mut J, usize),
    finish: impl Fn(&mut J),
    mut write: impl FnMut(&mut J) -> bool,
) -> bool {
    let sequence = Sequence::of(2);
    let [(one, mut first), (two, mut second)] = [0, 1].map(|number| {
        let (ticket, mut job) = sequence.begin().unwrap();
        begin(&mut job, number);
        (ticket, job)
    });
    finish(&mut second);
    sequence.finish(two, second, &mut write);
    let early = waits(table);
    finish(&mut first);
    sequence.finish(one, first, &mut write);
    !early && waits(table)
}

#[test]
fn a_packet_is_handed_over_once_all_before_it_is_sent() {
    let [near, far] = ["127.0.0.1:0"; 2].map(|at| UdpSocket::bind(at).unwrap());
    let (table, peer) = table(far.local_addr().unwrap().port());
    let mut sockets = Sockets {
        v4: Some(near.as_raw_fd()),
        ..Sockets::default()
    };
    let begin = |job: &mut way_out::Job, number| {
        if number == 1 {
            table.command().set_current(peer, None);
        }
        let mut frames = vec![[vec![0; VNET_HEADER], packet()].concat()];
        job.fill(&table, NOW, |room| {
            let frame = frames.pop()?;
            room[..frame.len()].copy_from_slice(&frame);
            Some(frame.len())
        });
    };
    let send = |job: &mut way_out::Job| job.send(&mut sockets, &table, NOW);
    assert!(handed_over_last(&table, begin, way_out::Job::seal, send));
    assert_eq!(far.recv(&mut [0; 100]).unwrap(), 20 + 32);
}

/// A message to session 1 or 3.
fn datagram(session: u32, buffer: &mut [u8]) -> Batch {
    let far = Session::new((session + 1, session), (KEYS.1, KEYS.0), NOW, Suite::Ring);
    let message = far.seal(&packet()).unwrap();
    buffer[..message.len()].copy_from_slice(&message);
    Batch {
        start: 0,
        length: message.len(),
        segment: message.len(),
        from: place(7),
        ecn: 0,
        congested: false,
    }
}

#[test]
fn a_message_is_handed_over_once_all_before_it_is_delivered() {
    let (table, peer) = table(7);
    let route = Network::new(Address::V4([10, 0, 0, 1]), 32).unwrap();
    table.command().add_route(route, peer);
    let begin = |job: &mut way_in::Job, number| {
        job.fill(&table, NOW, |buffer, batches| {
            batches[0] = Some(datagram([1, 3][number], buffer));
            Ok((1, 0))
        });
    };
    let mut delivery = Delivery::new(Offloads::default());
    let mut delivered = 0;
    let deliver = |job: &mut way_in::Job| {
        job.deliver(&mut delivery, &table, NOW, |_| {
            assert!(!waits(&table));
            delivered += 1;
        });
        true
    };
    assert!(handed_over_last(&table, begin, way_in::Job::open, deliver));
    assert_eq!(delivered, 1);
}

/// A job that holds both: what is delivered is so first, wherever it stands.
#[test]
fn what_a_job_delivers_comes_before_what_it_hands_over() {
    let (table, _) = table(7);
    let mut job = way_in::Job::default();
    job.fill(&table, NOW, |buffer, batches| {
        for (number, session) in [1, 3].into_iter().enumerate() {
            let at = number * LARGEST;
            let batch = datagram(session, &mut buffer[at..]);
            batches[number] = Some(Batch { start: at, ..batch });
        }
        Ok((2, 0))
    });
    job.open();
    let (mut delivery, mut delivered) = (Delivery::new(Offloads::default()), 0);
    job.deliver(&mut delivery, &table, NOW, |_| {
        assert!(!waits(&table));
        delivered += 1;
    });
    assert!(delivered == 1 && waits(&table));
}

#[test]
fn what_waits_for_sockets_that_are_gone_is_lost_and_what_the_protocol_is_owed_is_not() {
    let (table, peer) = table(7);
    let io = Io::new(UdpSocket::bind("127.0.0.1:0").unwrap().as_raw_fd(), 2).unwrap();
    for current in [Some(1), None] {
        table.command().set_current(peer, current);
        let (ticket, mut job) = io.out.begin().unwrap();
        let mut frames = vec![[vec![0; VNET_HEADER], packet()].concat()];
        job.fill(&table, NOW, |room| {
            let frame = frames.pop()?;
            room[..frame.len()].copy_from_slice(&frame);
            Some(frame.len())
        });
        job.seal();
        io.out.finish(ticket, job, |_| false);
        if current.is_some() {
            assert!(io.out.held() && io.out.begin().is_none());
            io.out.release();
        }
    }
    io.set_sockets(Sockets::default(), &table).unwrap();
    assert!(!io.out.held() && io.out.begin().is_some());
    assert_eq!(table.command().take_handed().len(), 1);
}
