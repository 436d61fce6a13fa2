use proptest::prelude::*;

use super::*;
use crate::packet::icmp;
use crate::packet::samples::{Sample, samples};

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];

fn four(protocol: u8, fragment: u16, upper: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IPV4_HEADER];
    packet[0] = 0x45;
    write_u16(
        &mut packet,
        ipv4::TOTAL_LENGTH,
        (IPV4_HEADER + upper.len()) as u16,
    );
    write_u16(&mut packet, ipv4::IDENTIFICATION, 0x1234);
    write_u16(&mut packet, ipv4::FRAGMENT, fragment);
    packet[ipv4::PROTOCOL] = protocol;
    packet[ipv4::ADDRESSES..].copy_from_slice(&[A, B].concat());
    packet.extend(upper);
    packet
}

fn six(next: u8, upper: &[u8]) -> Vec<u8> {
    let mut packet = vec![0; IPV6_HEADER];
    packet[0] = 0x60;
    write_u16(&mut packet, ipv6::PAYLOAD_LENGTH, upper.len() as u16);
    packet[ipv6::NEXT_HEADER] = next;
    (packet[23], packet[39]) = (1, 2);
    packet.extend(upper);
    packet
}

/// From A to B.
fn tuple(protocol: u8, ports: (u16, u16)) -> Tuple {
    Tuple {
        source: Address::V4(A),
        destination: Address::V4(B),
        protocol,
        ports,
    }
}

fn datagram(protocol: u8) -> Datagram {
    Datagram {
        source: Address::V4(A),
        destination: Address::V4(B),
        protocol,
        identification: 0x1234,
    }
}

const UPPER: [u8; 20] = [
    0, 7, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x12, 0, 0, 0, 0, 0, 0,
];

proptest! {
    /// What is looked at alone for simple packets says the same as what all headers say.
    #[test]
    fn a_short_look_says_what_a_long_one_does(sample in samples(40), cut in 0usize..80) {
        let packet = sample.packet();
        prop_assert_eq!(subject(&packet), read_all(&packet));
        let short = &packet[..cut.max(if sample.six { 40 } else { 20 }).min(packet.len())];
        if let Subject::Whole(tuple) = subject(short) {
            prop_assert_eq!(Subject::Whole(tuple), read_all(&packet));
        }
    }

    #[test]
    fn both_directions_are_one_flow(sample in samples(40)) {
        let Subject::Whole(tuple) = subject(&sample.packet()) else { panic!() };
        prop_assert_eq!(tuple.either_way(), tuple.turned().either_way());
        prop_assert!([tuple, tuple.turned()].contains(&tuple.either_way()));
        prop_assert_eq!(tuple.turned().turned(), tuple);
    }

    #[test]
    fn nothing_makes_it_panic(mut packet in proptest::collection::vec(any::<u8>(), 20..120), six in any::<bool>()) {
        packet[0] = if six { 0x60 } else { 0x40 | packet[0] & 0xf };
        if !six || packet.len() >= 40 {
            subject(&packet);
            tcp_flags(&packet, TCP);
        }
    }
}

#[test]
fn ports_of_tcp_and_udp_and_none_of_others() {
    for (protocol, ports) in [(TCP, (7, 9)), (UDP, (7, 9)), (47, (0, 0))] {
        let whole = Subject::Whole(tuple(protocol, ports));
        assert_eq!(subject(&four(protocol, 0, &UPPER)), whole);
    }
    assert_eq!(subject(&four(TCP, 0, &UPPER[..3])), Subject::Unreadable);
}

#[test]
fn options_and_extension_headers_are_passed_over() {
    let mut options = four(TCP, 0, &[&[0; 4][..], &UPPER].concat());
    options[0] = 0x46;
    assert_eq!(subject(&options), Subject::Whole(tuple(TCP, (7, 9))));
    assert_eq!(tcp_flags(&options, TCP), 0x12);
    let extended = six(
        0,
        &[
            &[60, 0, 0, 0, 0, 0, 0, 0, TCP, 0, 0, 0, 0, 0, 0, 0][..],
            &UPPER,
        ]
        .concat(),
    );
    let Subject::Whole(read) = subject(&extended) else {
        panic!()
    };
    assert_eq!((read.protocol, read.ports), (TCP, (7, 9)));
    assert_eq!(tcp_flags(&extended, TCP), 0x12);
}

#[test]
fn later_fragments_have_what_the_first_has() {
    let first = Subject::First(tuple(UDP, (7, 9)), datagram(UDP));
    assert_eq!(subject(&four(UDP, ipv4::MORE_FRAGMENTS, &UPPER)), first);
    let later = Subject::Later(datagram(UDP));
    assert_eq!(subject(&four(UDP, 2, &UPPER)), later);
    let of = |field: [u8; 2], next| {
        six(
            44,
            &[&[next, 0, field[0], field[1], 1, 2, 3, 4][..], &UPPER].concat(),
        )
    };
    let Subject::First(_, first) = subject(&of([0, 1], UDP)) else {
        panic!()
    };
    // In a later one the first header behind the fragment's own stands, which may be another than the upper layer's.
    assert_eq!(subject(&of([0, 0x50], 60)), Subject::Later(first));
    assert_eq!(first.identification, 0x0102_0304);
}

#[test]
fn a_packet_in_one_piece_with_a_fragment_header_is_whole() {
    let atomic = six(44, &[&[UDP, 0, 0, 0, 1, 2, 3, 4][..], &UPPER].concat());
    assert!(matches!(subject(&atomic), Subject::Whole(read) if read.ports == (7, 9)));
}

#[test]
fn an_echos_answer_is_its_question_turned_round_and_a_question_back_is_not() {
    let echo = |kind| four(ICMP, 0, &[kind, 0, 0, 0, 0xab, 0xcd, 0, 1]);
    let (ask, answer) = (subject(&echo(8)), subject(&echo(0)));
    assert_eq!(ask, Subject::Whole(tuple(ICMP, (0xabcd, 8))));
    assert_eq!(answer, Subject::Whole(tuple(ICMP, (8, 0xabcd))));
    assert_eq!(
        subject(&echo(13)),
        Subject::Whole(tuple(ICMP, (0, 13 << 8)))
    );
    assert_eq!(
        subject(&four(ICMP, 0, &[8, 0, 0, 0, 1])),
        Subject::Unreadable
    );
}

/// From B to A, about a packet of A's.
fn error(kind: u8, cited: &[u8]) -> Vec<u8> {
    let message = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], cited].concat();
    icmp::packet(Address::V4(B), Address::V4(A), 0, &message).unwrap()
}

#[test]
fn an_error_is_of_the_flow_that_it_cites() {
    let mut cited = four(TCP, 0, &UPPER);
    write_u16(&mut cited, ipv4::TOTAL_LENGTH, 1500);
    let of = Subject::Error(Some(tuple(TCP, (7, 9))));
    assert_eq!(subject(&error(3, &cited)), of);
    assert_eq!(subject(&error(3, &cited[..28])), of);
    assert_eq!(subject(&error(11, &cited[..24])), of);
    assert_eq!(subject(&error(3, &cited[..23])), Subject::Error(None));
    assert_eq!(subject(&error(3, &[])), Subject::Error(None));
}

#[test]
fn an_error_for_another_than_the_sender_or_about_an_error_is_nobodys() {
    let mut others = four(TCP, 0, &UPPER);
    others[ipv4::ADDRESSES + 3] = 9;
    assert_eq!(subject(&error(3, &others)), Subject::Error(None));
    let mut about_an_error = error(3, &four(TCP, 0, &UPPER));
    about_an_error[ipv4::ADDRESSES..][..8].copy_from_slice(&[A, B].concat());
    assert_eq!(subject(&error(3, &about_an_error)), Subject::Error(None));
    assert_eq!(
        subject(&error(3, &four(UDP, 2, &UPPER))),
        Subject::Error(None)
    );
}

#[test]
fn of_ipv6_errors_are_below_128() {
    let cited = |kind| {
        let mut cited = six(UDP, &UPPER);
        (cited[23], cited[39]) = (2, 1);
        subject(&six(
            ICMPV6,
            &[&[kind, 0, 0, 0, 0, 0, 0, 0][..], &cited].concat(),
        ))
    };
    assert!(matches!(cited(1), Subject::Error(Some(read)) if read.ports == (7, 9)));
    assert!(matches!(cited(2), Subject::Error(Some(_))));
    assert!(matches!(cited(128), Subject::Whole(read) if read.ports == (0, 8)));
}

#[test]
fn samples_are_of_the_ports_that_they_say() {
    let sample = Sample {
        six: true,
        protocol: TCP,
        host: 1,
        tos: 0,
        ttl: 64,
        identification: 0,
        dont_fragment: true,
        sequence: 1,
        acknowledgment: 2,
        flags: 0x11,
        options: vec![],
        payload: vec![],
    };
    assert_eq!(tcp_flags(&sample.packet(), TCP), 0x11);
    assert_eq!(tcp_flags(&sample.packet(), UDP), 0);
}
