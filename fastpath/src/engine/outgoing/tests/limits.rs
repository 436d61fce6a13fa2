//! Frames for a peer whose packets have a limit: trains are cut, the rest is told or fragmented, as single packets are.

use super::*;
use crate::engine::fitting::Limit;
use crate::message::{HEADER, OVERHEAD, TAG};

const DF: u8 = 0x40;

/// UDP datagrams to 10.0.0.2, a train of `segment` bytes each; `flags`: DF or none.
fn datagrams(payload: usize, segment: u16, flags: u8) -> Vec<u8> {
    let length = (28 + payload) as u16;
    let mut frame = vec![0; VNET_HEADER];
    frame[..2].copy_from_slice(&[1, 5]); // NEEDS_CSUM, UDP_L4
    frame[2..4].copy_from_slice(&28u16.to_le_bytes());
    frame[4..6].copy_from_slice(&segment.to_le_bytes());
    frame[6..8].copy_from_slice(&20u16.to_le_bytes());
    frame[8..10].copy_from_slice(&6u16.to_le_bytes());
    let [high, low] = length.to_be_bytes();
    frame.extend([0x45, 0, high, low, 0, 9, flags, 0, 64, 17, 0, 0]);
    frame.extend([10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0, 80, 0, 0, 0, 0]);
    frame.extend((0..payload).map(|at| at as u8));
    frame
}

/// What is sent of a frame: padded packets, and whether they may be fragmented.
fn sent(engine: &mut Engine, frame: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let mut out = vec![0; 1 << 20];
    let trains = match engine.send(frame, &mut out, NOW) {
        Outgoing::Unsealed(train) => vec![train],
        Outgoing::Fitted(trains) => trains,
        _ => panic!("neither sent nor fitted"),
    };
    let (mut packets, mut rest) = (vec![], &out[..]);
    for each in trains {
        let (train, after) = rest.split_at(each.train.total());
        let padded = |message: &[u8]| message[HEADER..message.len() - TAG].to_vec();
        packets.extend(
            train
                .chunks(each.train.stride)
                .map(|message| (padded(message), each.by != By::Whole)),
        );
        rest = after;
    }
    packets
}

fn limited(inner: usize, whole: usize) -> (Engine, PeerId) {
    let (mut engine, peer, _) = engine();
    engine.set_limit(peer, Limit { inner, whole });
    (engine, peer)
}

fn fitted(engine: &Engine) -> Vec<(&'static str, u64)> {
    engine.fitting.fitted().collect()
}

#[test]
fn a_tcp_train_is_cut_at_the_limit_to_the_byte() {
    for inner in [1300, 1301, 1311, 1313] {
        let (mut engine, _) = limited(inner, inner);
        let packets = sent(&mut engine, &frame(6000, Some(1380)));
        let payload: usize = packets
            .iter()
            .map(|(packet, _)| inner::length(packet).unwrap() - 40)
            .sum();
        assert_eq!(payload, 6000);
        assert!(
            packets
                .iter()
                .all(|(packet, long)| packet.len() <= inner && !long)
        );
        assert_eq!(inner::length(&packets[0].0), Some(inner));
        assert!(fitted(&engine).is_empty());
    }
}

#[test]
fn a_train_that_fits_stays_as_it_is() {
    let (mut engine, _) = limited(1420, 1420);
    let packets = sent(&mut engine, &frame(6000, Some(1380)));
    assert_eq!(packets[0].0.len(), 1420);
}

#[test]
fn datagrams_of_a_train_that_are_too_long_are_told_of_one_by_one() {
    let (mut engine, _) = limited(1300, 1300);
    assert!(sent(&mut engine, &datagrams(2800, 1400, DF)).is_empty());
    let told = engine.fitting.take_told();
    assert_eq!(fitted(&engine), [("too_big_told", 2)]);
    for error in told {
        assert_eq!(
            (error[12..16].to_vec(), error[16..20].to_vec()),
            (vec![10, 0, 0, 2], vec![10, 0, 0, 1])
        );
        assert_eq!(
            (&error[20..22], u16::from_be_bytes([error[26], error[27]])),
            (&[3, 4][..], 1300)
        );
        assert_eq!(
            u16::from_be_bytes([error[30], error[31]]),
            1428,
            "of a datagram, not of the train"
        );
    }
}

#[test]
fn the_last_of_a_train_goes_where_it_fits() {
    let (mut engine, _) = limited(1300, 1300);
    let packets = sent(&mut engine, &datagrams(1400 + 100, 1400, DF));
    assert_eq!(packets.len(), 1);
    assert_eq!(inner::length(&packets[0].0), Some(128));
    assert_eq!(fitted(&engine), [("too_big_told", 1)]);
}

#[test]
fn datagrams_without_df_are_fragmented_each() {
    let (mut engine, peer) = limited(1300, 1300);
    let packets = sent(&mut engine, &datagrams(2800, 1400, 0));
    let lengths: Vec<_> = packets
        .iter()
        .map(|(packet, _)| inner::length(packet))
        .collect();
    assert_eq!(lengths, [1300, 148, 1300, 148].map(Some));
    assert_eq!(fitted(&engine), [("fragmented_inside", 2)]);
    let identifications: Vec<u8> = packets.iter().map(|(packet, _)| packet[5]).collect();
    assert_eq!(identifications, [9, 9, 10, 10]);
    let activity = engine.peers.get(peer).unwrap().activity;
    assert_eq!(activity.longest, 1300 + OVERHEAD);
    assert_eq!(activity.tx_bytes, 2 * (1300 + 160 + 2 * OVERHEAD as u64));
}

#[test]
fn counters_of_pieces_are_reserved_once_each() {
    let (mut engine, peer) = limited(1300, 1300);
    sent(&mut engine, &datagrams(2800, 1400, 0));
    let session = engine.peers.get(peer).unwrap().current.clone().unwrap();
    assert_eq!(session.send_counter(), 4);
}

#[test]
fn what_is_longer_than_one_datagram_carries_may_be_fragmented() {
    let (mut engine, _) = limited(1420, 500);
    let long = |engine: &mut Engine, payload| sent(engine, &frame(payload, None))[0].1;
    assert!(!long(&mut engine, 460));
    assert!(long(&mut engine, 461));
}

/// One with a limit of so many bytes, whose peer has IPv6 addresses.
fn six_inside(limit: usize) -> (Engine, PeerId) {
    let (mut engine, peer) = limited(limit, limit);
    let mut network = [0; 16];
    network[0] = 0xfd;
    engine.add_route(Network::new(Address::V6(network), 8).unwrap(), peer);
    (engine, peer)
}

fn six_outside(engine: &mut Engine, peer: PeerId) {
    let to = Endpoint {
        address: std::net::Ipv6Addr::LOCALHOST.into(),
        ..HOME
    };
    let resolved = Destination::Resolved { to, nested: false };
    engine.set_endpoint(peer, Some(to), resolved);
}

/// A datagram of IPv6 with so many bytes altogether, to fd00::2.
fn six(length: usize) -> Vec<u8> {
    let mut frame = vec![0; VNET_HEADER + length];
    let packet = &mut frame[VNET_HEADER..];
    let [high, low] = ((length - 40) as u16).to_be_bytes();
    packet[..8].copy_from_slice(&[0x60, 0, 0, 0, high, low, 17, 64]);
    (packet[8], packet[23], packet[24], packet[39]) = (0xfd, 1, 0xfd, 2);
    frame
}

#[test]
fn what_only_we_could_cut_to_a_size_that_was_found_is_the_protocols() {
    let (mut engine, peer) = six_inside(1200);
    assert_eq!(
        sent(&mut engine, &six(1280)),
        [(six(1280)[VNET_HEADER..].to_vec(), true)]
    );
    six_outside(&mut engine, peer);
    let mut out = vec![0; 4096];
    assert!(matches!(
        engine.send(&six(1200), &mut out, NOW),
        Outgoing::Unsealed(_)
    ));
    assert!(matches!(
        engine.send(&six(1201), &mut out, NOW),
        Outgoing::HandedOver
    ));
    assert_eq!(
        fitted(&engine),
        [("fragmented_outside", 1)],
        "the protocol counts its own"
    );
    assert_eq!(engine.take_handed().len(), 1);
    engine.settle();
    assert!(
        matches!(engine.send(&six(1281), &mut out, NOW), Outgoing::Fitted(none) if none.is_empty())
    );
    let (inner, whole) = (1420, 1200);
    engine.set_limit(peer, Limit { inner, whole });
    assert!(
        matches!(engine.send(&six(1280), &mut out, NOW), Outgoing::Unsealed(unsealed) if unsealed.by == By::Fragmenting)
    );
}

#[test]
fn where_we_cut_and_know_our_address_it_goes_by_that_socket() {
    let (mut engine, peer) = six_inside(1200);
    six_outside(&mut engine, peer);
    let to = Endpoint {
        source: Some(std::net::Ipv6Addr::LOCALHOST.into()),
        address: std::net::Ipv6Addr::LOCALHOST.into(),
        ..HOME
    };
    engine.set_endpoint(peer, Some(to), Destination::Resolved { to, nested: false });
    engine.cutting = true;
    let mut out = vec![0; 4096];
    for length in [1201, 1280] {
        let Outgoing::Fitted(sent) = engine.send(&six(length), &mut out, NOW) else {
            panic!("not sent")
        };
        assert_eq!((sent.len(), sent[0].by), (1, By::Cutting(1280)));
        assert_eq!(sent[0].train.stride, length.next_multiple_of(16) + OVERHEAD);
    }
    assert!(
        matches!(engine.send(&six(1200), &mut out, NOW), Outgoing::Unsealed(whole) if whole.by == By::Whole)
    );
    assert_eq!(fitted(&engine), [("fragmented_outside", 2)]);
    six_outside(&mut engine, peer); // from whatever address the routes say
    assert!(matches!(
        engine.send(&six(1201), &mut out, NOW),
        Outgoing::HandedOver
    ));
}

#[test]
fn padding_ends_at_the_limit_and_follows_the_devices_mtu() {
    let (mut engine, _) = limited(1338, 1338);
    let padded =
        |engine: &mut Engine, length: usize| sent(engine, &frame(length - 40, None))[0].0.len();
    assert_eq!(
        [1322, 1330, 1338].map(|length| padded(&mut engine, length)),
        [1328, 1338, 1338]
    );
    engine.mtus = vec![1334].into();
    assert_eq!(
        [1330, 1338].map(|length| padded(&mut engine, length)),
        [1334, 1338]
    );
}

#[test]
fn without_a_limit_nothing_is_looked_at() {
    let (mut engine, peer) = limited(1300, 1300);
    engine.set_limit(peer, Limit::NONE);
    assert_eq!(sent(&mut engine, &datagrams(2800, 1400, DF)).len(), 2);
    assert!(fitted(&engine).is_empty());
}
