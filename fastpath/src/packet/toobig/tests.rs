use super::*;
use crate::packet::samples::{Sample, naive_checksum};
use proptest::prelude::*;

const OURS: Address = Address::V4([10, 9, 0, 1]);
const OURS6: Address = Address::V6([0xfd; 16]);

fn large(six: bool, size: usize) -> Vec<u8> {
    Sample {
        six,
        protocol: UDP,
        host: 7,
        tos: 0,
        ttl: 64,
        identification: 9,
        dont_fragment: true,
        sequence: 1,
        acknowledgment: 0,
        flags: 0,
        options: vec![],
        payload: vec![5; size - if six { 48 } else { 28 }],
    }
    .packet()
}

#[test]
fn ipv4_is_told_the_limit_and_quoted_what_it_sent() {
    let packet = large(false, 1400);
    let error = too_big(&packet, 1220, OURS).unwrap();
    assert_eq!(error.len(), MOST_IPV4);
    assert_eq!((error[1], error[9]), (0xc0, ICMP));
    assert_eq!(
        (&error[12..16], &error[16..20]),
        (&[10, 9, 0, 1][..], &packet[12..16])
    );
    assert_eq!((&error[20..22], read_u16(&error, 26)), (&[3, 4][..], 1220));
    assert_eq!(error[28..], packet[..548]);
    assert_eq!(
        (
            naive_checksum(&[&error[..20]]),
            naive_checksum(&[&error[20..]])
        ),
        (0, 0)
    );
}

#[test]
fn ipv6_is_told_the_limit_and_quoted_what_it_sent() {
    let packet = large(true, 1400);
    let error = too_big(&packet, 1300, OURS6).unwrap();
    assert_eq!(error.len(), MOST_IPV6);
    assert_eq!((&error[40..42], read_u32(&error, 44)), (&[2, 0][..], 1300));
    assert_eq!(error[48..], packet[..1232]);
    let mut pseudo = error[8..40].to_vec();
    pseudo.extend([0, 0, (1240u16 >> 8) as u8, 1240u16 as u8, 0, 0, 0, ICMPV6]);
    assert_eq!(naive_checksum(&[&pseudo, &error[40..]]), 0);
}

#[test]
fn what_fits_is_no_error() {
    for (six, source, limit) in [(false, OURS, 1220), (true, OURS6, 1300)] {
        assert!(too_big(&large(six, limit), limit, source).is_none());
        assert!(too_big(&large(six, limit + 1), limit, source).is_some());
    }
}

#[test]
fn no_host_is_told_to_go_below_what_all_take() {
    assert!(too_big(&large(true, 1280), 1000, OURS6).is_none());
    assert_eq!(
        read_u32(&too_big(&large(true, 1281), 1000, OURS6).unwrap(), 44),
        1280
    );
    assert_eq!(
        read_u16(&too_big(&large(false, 100), 40, OURS).unwrap(), 26),
        68
    );
}

#[test]
fn nobody_is_told_of_what_is_nobodys() {
    let tells = |at: usize, bytes: &[u8]| {
        let mut packet = large(false, 1400);
        packet[at..at + bytes.len()].copy_from_slice(bytes);
        too_big(&packet, 1220, OURS).is_some()
    };
    assert!(tells(12, &[10]));
    for first in [0, 127, 224, 255] {
        assert!(!tells(12, &[first]), "from {first}.");
    }
    assert!(!tells(16, &[224]), "to many");
    assert!(!tells(6, &[0]), "without DF");
    assert!(!tells(6, &[0x40, 1]), "a later fragment");
    for (kind, told) in [(3, false), (11, false), (8, true), (0, true)] {
        let mut packet = large(false, 1400);
        (packet[9], packet[20]) = (ICMP, kind);
        assert_eq!(
            too_big(&packet, 1220, OURS).is_some(),
            told,
            "about ICMP {kind}"
        );
    }
    assert!(
        too_big(&large(false, 1400), 1220, OURS6).is_none(),
        "from an address of the other version"
    );
    let mut six = large(true, 1400);
    six[24] = 0xff;
    assert!(too_big(&six, 1280, OURS6).is_none());
}

proptest! {
    #[test]
    fn anything_may_be_asked(mut packet in proptest::collection::vec(any::<u8>(), 0..1600), limit in 0usize..1600, six: bool) {
        if let Some(first) = packet.first_mut() {
            *first = if six { 0x60 } else { 0x45 };
        }
        let error = too_big(&packet, limit, if six { OURS6 } else { OURS });
        prop_assert!(error.is_none_or(|error| error.len() <= MOST_IPV6));
    }
}
