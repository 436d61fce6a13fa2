use super::*;
use crate::packet::samples::{Sample, samples};
use proptest::prelude::*;

fn syn(six: bool, flags: u8, options: &[u8]) -> Sample {
    Sample {
        six,
        protocol: TCP,
        host: 7,
        tos: 0,
        ttl: 64,
        identification: 9,
        dont_fragment: true,
        sequence: 1,
        acknowledgment: 0,
        flags,
        options: options.to_vec(),
        payload: Vec::new(),
    }
}

fn clamped(packet: &[u8], limit: usize) -> Vec<u8> {
    let mut packet = packet.to_vec();
    clamp(&mut packet, limit, false);
    packet
}

#[test]
fn lowered_to_what_fits_never_raised() {
    for (six, limit, most) in [
        (false, 1220, 1180u16),
        (true, 1220, 1160),
        (false, 68, 28),
        (true, 60, 1),
    ] {
        let says = |mss: u16| {
            let [high, low] = mss.to_be_bytes();
            syn(six, 0x12, &[1, 3, 3, 7, 2, 4, high, low]).packet()
        };
        assert_eq!(clamped(&says(1460), limit), says(most));
        assert_eq!(clamped(&says(most + 1), limit), says(most));
        assert_eq!(clamped(&says(most), limit), says(most));
        assert_eq!(clamped(&says(most - 1), limit), says(most - 1));
    }
}

#[test]
fn at_an_odd_place_the_checksum_is_right_too() {
    let before = syn(false, 2, &[1, 2, 4, 0x05, 0xb4, 0, 0, 0]).packet();
    let after = syn(false, 2, &[1, 2, 4, 0x04, 0xd8, 0, 0, 0]).packet();
    assert_eq!(clamped(&before, 1280), after);
}

#[test]
fn a_partial_checksum_stays_as_it_is() {
    let frame = syn(true, 2, &[2, 4, 0x05, 0xb4]).frame(None);
    let mut packet = frame[10..].to_vec();
    let checksum = packet[56..58].to_vec();
    assert!(clamp(&mut packet, 1280, true));
    assert_eq!(
        (&packet[56..58], &packet[62..64]),
        (&checksum[..], &[0x04, 0xc4][..])
    );
}

#[test]
fn what_is_no_syn_is_not_even_looked_at() {
    for six in [false, true] {
        let packet = syn(six, 0x10, &[2, 4, 0x05, 0xb4]).packet();
        assert!(!may_be_syn(&packet));
        assert_eq!(clamped(&packet, 1280), packet);
        assert!(may_be_syn(&syn(six, 0x02, &[]).packet()));
    }
    let mut hidden = syn(true, 0x02, &[2, 4, 0x05, 0xb4]).packet();
    hidden[6] = 0;
    assert!(may_be_syn(&hidden), "behind an extension header");
}

proptest! {
    #[test]
    fn nothing_is_changed_that_was_not_worth_a_look(sample in samples(40), limit in 0usize..1600) {
        let packet = sample.packet();
        let changed = clamped(&packet, limit);
        prop_assert!(may_be_syn(&packet) || changed == packet);
        prop_assert_eq!(&changed[..sample.headers() - sample.options.len() - 4], &packet[..sample.headers() - sample.options.len() - 4]);
        prop_assert_eq!(&changed[sample.headers()..], &packet[sample.headers()..]);
    }

    #[test]
    fn anything_may_be_looked_at(mut packet in proptest::collection::vec(any::<u8>(), 40..200), limit in 0usize..9000, six: bool, partial: bool) {
        packet[0] = if six { 0x60 } else { 0x45 };
        may_be_syn(&packet);
        clamp(&mut packet, limit, partial);
    }
}
