//! Which headers two packets must share to join.

use super::*;

#[test]
fn flags_other_than_ack_and_psh_never_join() {
    for flag in [0x01, 0x02, 0x04, 0x20, 0x40, 0x80] {
        let odd = Sample {
            flags: tcp::ACK | flag,
            ..sample()
        };
        assert_eq!(
            sizes(&[odd.packet(), next(&odd, 100).packet()]),
            [1, 1],
            "{flag:#x}"
        );
        let behind = Sample {
            flags: tcp::ACK | flag,
            ..next(&sample(), 100)
        };
        assert_eq!(
            sizes(&[sample().packet(), behind.packet()]),
            [1, 1],
            "{flag:#x}"
        );
    }
    let mut reserved = train(&sample(), 2);
    for packet in &mut reserved {
        packet[32] |= 1;
        // The sum stays what it was.
        packet[34] -= 1;
    }
    assert_eq!(sizes(&reserved), [1, 1]);
    let without = Sample {
        flags: 0,
        ..sample()
    };
    assert_eq!(
        sizes(&[without.packet(), next(&without, 100).packet()]),
        [1, 1]
    );
}

#[test]
fn psh_ends_a_train() {
    let mut packets = train(&sample(), 2);
    packets.push(
        Sample {
            flags: tcp::ACK | tcp::PSH,
            ..next(&next(&sample(), 100), 100)
        }
        .packet(),
    );
    packets.push(next(&next(&next(&sample(), 100), 100), 100).packet());
    assert_eq!(sizes(&packets), [3, 1]);
    assert_eq!(coalesce(&packets)[0][VNET_HEADER + 33], tcp::ACK | tcp::PSH);
}

#[test]
fn headers_must_be_the_same() {
    let behind = next(&sample(), 100);
    let others = [
        Sample {
            ttl: 63,
            ..behind.clone()
        },
        Sample {
            tos: 3,
            ..behind.clone()
        },
        Sample {
            dont_fragment: false,
            ..behind.clone()
        },
        Sample {
            sequence: behind.sequence + 1,
            ..behind.clone()
        },
        Sample {
            acknowledgment: 6,
            ..behind.clone()
        },
        Sample {
            options: vec![1; 12],
            ..behind.clone()
        },
        Sample {
            options: vec![],
            ..behind.clone()
        },
        Sample {
            payload: vec![7; 101],
            ..behind.clone()
        },
        Sample {
            payload: vec![],
            ..behind.clone()
        },
    ];
    assert_eq!(sizes(&[sample().packet(), behind.packet()]), [2]);
    for other in others {
        assert_eq!(
            sizes(&[sample().packet(), other.packet()]),
            [1, 1],
            "{other:?}"
        );
    }
    let six = Sample {
        six: true,
        ..sample()
    };
    for other in [
        Sample {
            ttl: 63,
            ..next(&six, 100)
        },
        Sample {
            tos: 3,
            ..next(&six, 100)
        },
    ] {
        assert_eq!(sizes(&[six.packet(), other.packet()]), [1, 1], "{other:?}");
    }
}

#[test]
fn identifications_count_up_unless_fragments_are_forbidden() {
    for (dont_fragment, expected) in [(true, vec![2]), (false, vec![1, 1])] {
        let first = Sample {
            dont_fragment,
            ..sample()
        };
        let second = Sample {
            identification: 7,
            ..next(&first, 100)
        };
        assert_eq!(sizes(&[first.packet(), second.packet()]), expected);
        assert_eq!(sizes(&[first.packet(), next(&first, 100).packet()]), [2]);
    }
}

#[test]
fn udp_without_a_checksum_never_joins() {
    let udp = Sample {
        protocol: UDP,
        options: vec![],
        ..sample()
    };
    let mut packets = train(&udp, 3);
    packets.iter_mut().for_each(|packet| packet[26..28].fill(0));
    assert_eq!(sizes(&packets), [1, 1, 1]);
}
