//! Against packets that are each built alone, and at every limit.

mod shorter;

use super::*;
use crate::packet::fields::{TCP, UDP};
use crate::packet::samples::{Sample, hostile_frames, samples};
use proptest::prelude::*;

const TEMPLATE: Template<'static> = Template {
    receiver: 0x0403_0201,
    counter: 7,
    bounds: Bounds::of(&[1420]),
};

/// Plaintexts with their padding, the headers checked and the tags' room left out.
fn plaintexts(out: &[u8], train: &Train, template: &Template<'_>) -> Vec<Vec<u8>> {
    let messages = out[..train.total()].chunks(train.stride);
    assert_eq!(messages.len(), train.messages);
    let one = |(index, message): (usize, &[u8])| {
        let mut header = vec![4, 0, 0, 0];
        header.extend(template.receiver.to_le_bytes());
        header.extend((template.counter + index as u64).to_le_bytes());
        assert_eq!(message[..16], header);
        message[16..message.len() - 16].to_vec()
    };
    messages.enumerate().map(one).collect()
}

fn split_whole(frame: &[u8], template: &Template<'_>) -> Result<Vec<Vec<u8>>, SplitError> {
    let mut out = vec![0xa5; 1 << 18];
    let train = split(frame, &mut out, template)?;
    assert_eq!(train.messages, Plan::new(frame, &Aim::ANY)?.messages());
    Ok(plaintexts(&out, &train, template))
}

fn with_padding(mut packet: Vec<u8>, mtu: usize) -> Vec<u8> {
    while !packet.len().is_multiple_of(16) && packet.len() < mtu {
        packet.push(0);
    }
    packet
}

fn sample(protocol: u8, size: usize) -> Sample {
    Sample {
        six: false,
        protocol,
        host: 1,
        tos: 0,
        ttl: 64,
        identification: 0xfffe,
        dont_fragment: true,
        sequence: 0xffff_fff0,
        acknowledgment: 5,
        flags: 0x10,
        options: Vec::new(),
        payload: (0..size).map(|at| at as u8).collect(),
    }
}

proptest! {
    #[test]
    fn a_train_is_split_as_if_each_packet_were_built_alone(
        sample in samples(4000), segment in prop_oneof![20u16..1500, 1u16..=u16::MAX], mtu in 0usize..1600,
    ) {
        let bounds = Bounds::of(std::slice::from_ref(&mtu));
        let template = Template { bounds, ..TEMPLATE };
        let expected: Vec<_> =
            sample.train(segment).into_iter().map(|packet| with_padding(packet, mtu)).collect();
        prop_assert_eq!(split_whole(&sample.frame(Some(segment)), &template), Ok(expected));
    }

    #[test]
    fn a_single_packet_gets_its_checksum(sample in samples(1500), mtu in 0usize..1600) {
        let bounds = Bounds::of(std::slice::from_ref(&mtu));
        let template = Template { bounds, ..TEMPLATE };
        let expected = vec![with_padding(sample.packet(), mtu)];
        prop_assert_eq!(split_whole(&sample.frame(None), &template), Ok(expected));
    }

    #[test]
    fn the_slow_path_sees_the_same_packets(sample in samples(3000), segment in 1u16..1500) {
        let mut packets = Vec::new();
        let frame = sample.frame(Some(segment));
        for_each_packet(&frame, &mut Vec::new(), |packet| packets.push(packet.to_vec())).unwrap();
        prop_assert_eq!(packets, sample.train(segment));
    }

    #[test]
    fn nothing_panics_and_nothing_is_written_beyond_the_train(frame in hostile_frames(), room in 0usize..20000) {
        let mut out = vec![0xa5; room];
        if let Ok(train) = split(&frame, &mut out, &TEMPLATE) {
            prop_assert_eq!(Ok(train.messages), Plan::new(&frame, &Aim::ANY).map(|plan| plan.messages()));
            prop_assert!(train.last <= train.stride);
            prop_assert!(out[train.total()..].iter().all(|byte| *byte == 0xa5));
        }
        let _ = for_each_packet(&frame, &mut Vec::new(), |_| ());
    }

    #[test]
    fn a_complete_packet_passes_as_it_is(packet in proptest::collection::vec(any::<u8>(), 40..200), six: bool) {
        let mut frame = [&VnetHeader::PLAIN.to_bytes()[..], &packet].concat();
        frame[VNET_HEADER] = if six { 0x60 } else { 0x45 };
        let expected = with_padding(frame[VNET_HEADER..].to_vec(), 1420);
        prop_assert_eq!(split_whole(&frame, &TEMPLATE), Ok(vec![expected]));
    }
}

#[test]
fn counters_are_reserved_for_every_segment_size_down_to_one() {
    for size in [0, 1, 2, 63, 64, 65, 1000, 2047] {
        for protocol in [TCP, UDP] {
            let sample = sample(protocol, size);
            for segment in 1..=2048 {
                let frame = sample.frame(Some(segment));
                let mut count = 0;
                for_each_packet(&frame, &mut Vec::new(), |_| count += 1).unwrap();
                assert_eq!(count, size.div_ceil(segment.into()).max(1) as u64);
                let plan = Plan::new(&frame, &Aim::ANY).unwrap();
                assert_eq!(count, plan.messages() as u64, "{size} bytes by {segment}");
            }
        }
    }
    let largest = sample(TCP, 65535 - 40).frame(Some(1));
    let plan = Plan::new(&largest, &Aim::ANY).unwrap();
    assert_eq!(plan.messages(), 65495);
}

#[test]
fn a_message_more_than_fits_is_too_long() {
    let frame = sample(TCP, 3000).frame(Some(1000));
    let mut out = vec![0; 3 * (1040 + 32)];
    out.pop();
    assert_eq!(split(&frame, &mut out, &TEMPLATE), Err(SplitError::TooLong));
    out.push(0);
    let expected = Train {
        messages: 3,
        stride: 1072,
        last: 1072,
    };
    assert_eq!(split(&frame, &mut out, &TEMPLATE), Ok(expected));
}

#[test]
fn padding_ends_at_the_mtu_and_a_longer_packet_has_none() {
    let sizes = [
        (1, 1420, 16),
        (16, 1420, 16),
        (1409, 1420, 1420),
        (1420, 1420, 1420),
        (1421, 1420, 1421),
    ];
    assert_eq!(Bounds::of(&[1299, 1420]).padded(1297), 1299);
    assert_eq!(Bounds::of(&[1299, 1420]).padded(1300), 1312);
    assert_eq!(Bounds::of(&[1299, 1420]).padded(1290), 1296);
    for (length, mtu, expected) in sizes {
        assert_eq!(Bounds::of(&[mtu]).padded(length), expected, "{length}");
    }
}

#[test]
fn a_udp_checksum_of_zero_is_sent_as_ones() {
    let mut sample = Sample {
        six: true,
        ..sample(UDP, 20)
    };
    sample.payload[..2].fill(0);
    let check = sample.packet()[46..48].to_vec();
    sample.payload[..2].copy_from_slice(&check);
    for segment in [None, Some(20)] {
        let plaintext = &split_whole(&sample.frame(segment), &TEMPLATE).unwrap()[0];
        assert_eq!(plaintext[46..48], [0xff, 0xff]);
    }
}

#[test]
fn cwr_stays_with_the_first_and_fin_and_psh_with_the_last() {
    let sample = Sample {
        flags: 0x99,
        ..sample(TCP, 30)
    };
    let flags: Vec<_> = split_whole(&sample.frame(Some(10)), &TEMPLATE)
        .unwrap()
        .iter()
        .map(|p| p[33])
        .collect();
    assert_eq!(flags, [0x90, 0x10, 0x19]);
}

#[test]
fn a_train_behind_ipv6_extension_headers_is_split() {
    let frame = Sample {
        six: true,
        ..sample(TCP, 100)
    }
    .frame(Some(60));
    let mut extended = frame[..VNET_HEADER + 40].to_vec();
    extended[6..8].copy_from_slice(&48u16.to_le_bytes());
    extended[VNET_HEADER + 6] = 60;
    extended[VNET_HEADER + 4..VNET_HEADER + 6].copy_from_slice(&128u16.to_be_bytes());
    extended.extend([TCP, 0, 1, 4, 0, 0, 0, 0]);
    extended.extend(&frame[VNET_HEADER + 40..]);
    let packets = split_whole(&extended, &TEMPLATE).unwrap();
    let plain = split_whole(&frame, &TEMPLATE).unwrap();
    assert_eq!(packets.len(), 2);
    for (packet, plain, payload) in [(&packets[0], &plain[0], 60), (&packets[1], &plain[1], 40)] {
        assert_eq!(packet[48..68 + payload], plain[40..60 + payload]);
        assert_eq!(packet[4..6], (28 + payload as u16).to_be_bytes());
    }
}

#[test]
fn what_no_tun_gives_is_malformed() {
    let good = sample(TCP, 100).frame(Some(40));
    assert!(split_whole(&good, &TEMPLATE).is_ok());
    let spoil = |at: usize, byte: u8| {
        let mut frame = good.clone();
        frame[at] = byte;
        split_whole(&frame, &TEMPLATE)
    };
    let spoilt = [
        (1, 3, "a kind that we never asked for"),
        (1, 4, "IPv6's kind with IPv4"),
        (1, 5, "UDP's kind with TCP"),
        (4, 0, "no segment size"),
        (6, 21, "the checksum starts elsewhere"),
        (VNET_HEADER, 0x44, "a header too short for IPv4"),
        (VNET_HEADER, 0x75, "another version"),
        (VNET_HEADER + 32, 0x40, "a header too short for TCP"),
    ];
    for (at, byte, what) in spoilt {
        assert_eq!(spoil(at, byte), Err(SplitError::Malformed), "{what}");
    }
    assert_eq!(
        split_whole(&good[..VNET_HEADER + 39], &TEMPLATE),
        Err(SplitError::Malformed)
    );
    assert!(split_whole(&good[..VNET_HEADER + 40], &TEMPLATE).is_ok());
    assert_eq!(split_whole(&[0; 9], &TEMPLATE), Err(SplitError::Malformed));
}

#[test]
fn a_packet_longer_than_its_length_field_can_say_is_malformed() {
    for (version, longest) in [(0x45, 65535), (0x60, 65575)] {
        let mut frame = vec![0; VNET_HEADER + longest];
        frame[VNET_HEADER] = version;
        assert!(split_whole(&frame, &TEMPLATE).is_ok());
        frame.push(0);
        assert_eq!(split_whole(&frame, &TEMPLATE), Err(SplitError::Malformed));
    }
}

#[test]
fn a_checksum_beyond_the_packet_is_malformed() {
    let mut frame = sample(UDP, 1).frame(None);
    assert!(split_whole(&frame, &TEMPLATE).is_ok());
    frame[8] = 8;
    assert_eq!(split_whole(&frame, &TEMPLATE), Err(SplitError::Malformed));
    frame[6..10].fill(0xff);
    assert_eq!(split_whole(&frame, &TEMPLATE), Err(SplitError::Malformed));
}
