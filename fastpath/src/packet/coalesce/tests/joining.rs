//! What joins, where a train ends, and what goes alone.

use super::*;

#[test]
fn a_train_of_every_kind_joins() {
    for sample in kinds() {
        assert_eq!(sizes(&train(&sample, 5)), [5], "{sample:?}");
    }
}

#[test]
fn interleaved_flows_each_join() {
    let flows: Vec<_> = kinds().iter().map(|sample| train(sample, 3)).collect();
    let packets: Vec<_> = (0..3)
        .flat_map(|index| flows.iter().map(move |flow| flow[index].clone()))
        .collect();
    assert_eq!(sizes(&packets), [3, 3, 3, 3]);
}

#[test]
fn a_kind_whose_offload_is_off_stays_apart() {
    let off = [
        Offloads {
            tso4: false,
            ..Offloads::ALL
        },
        Offloads {
            tso6: false,
            ..Offloads::ALL
        },
        Offloads {
            uso: false,
            ..Offloads::ALL
        },
        Offloads {
            checksum: false,
            ..Offloads::ALL
        },
    ];
    let frames = [[3, 1, 1, 1], [1, 3, 1, 1], [1, 1, 3, 3], [3, 3, 3, 3]];
    for (offloads, frames) in off.into_iter().zip(frames) {
        for (sample, frames) in kinds().iter().zip(frames) {
            let packets = train(sample, 3);
            let out = coalesce_with(&mut Coalescer::new(offloads), &packets);
            assert_eq!(out.len(), frames, "{offloads:?} {sample:?}");
        }
    }
}

#[test]
fn a_bad_checksum_goes_alone_as_it_came() {
    for sample in kinds() {
        for bad in 0..3 {
            let mut packets = train(&sample, 5);
            let at = packets[bad].len() - 1;
            packets[bad][at] ^= 1;
            let expected = [vec![1, 4], vec![1, 1, 3], vec![2, 1, 2]];
            let frames = coalesce(&packets);
            assert_eq!(sizes(&packets), expected[bad], "{sample:?}");
            assert_eq!(
                frames[usize::from(bad > 0)][..VNET_HEADER],
                [0; VNET_HEADER]
            );
            assert_eq!(frames[usize::from(bad > 0)][VNET_HEADER..], packets[bad]);
        }
    }
}

#[test]
fn a_bad_ipv4_header_checksum_counts_as_well() {
    let mut packets = train(&sample(), 3);
    packets[1][10] ^= 1;
    assert_eq!(sizes(&packets), [1, 1, 1]);
}

#[test]
fn a_shorter_packet_is_the_last_of_its_train() {
    for sample in kinds() {
        let mut packets = Sample {
            payload: vec![7; 250],
            ..sample.clone()
        }
        .train(100);
        let behind = Sample {
            payload: vec![7; 50],
            ..next(&sample, 250)
        };
        packets.push(
            Sample {
                identification: sample.identification + 3,
                ..behind
            }
            .packet(),
        );
        assert_eq!(sizes(&packets), [3, 1], "{sample:?}");
    }
}

#[test]
fn a_train_ends_at_64_packets_and_at_64_kib() {
    for sample in kinds() {
        assert_eq!(sizes(&train(&sample, 65)), [64, 1]);
        let bytes = |total: usize| Sample {
            payload: vec![7; total - sample.headers()],
            ..sample.clone()
        };
        let fitting = bytes(65535).train(1300);
        assert_eq!(sizes(&fitting), [fitting.len()], "{sample:?}");
        assert_eq!(
            sizes(&bytes(65536).train(1300)),
            [fitting.len() - 1, 1],
            "{sample:?}"
        );
    }
}

#[test]
fn what_may_be_of_any_flow_ends_all_trains() {
    for sample in kinds() {
        let mut packets = train(&sample, 4);
        let mut hidden = packets[0].clone();
        if sample.six {
            hidden[6] = 44;
        } else {
            hidden[6] |= 0x20;
        }
        packets.insert(2, hidden);
        assert_eq!(coalesce(&packets).len(), 3, "{sample:?}");
    }
}

#[test]
fn a_ping_ends_no_train() {
    let mut packets = train(&sample(), 4);
    let mut ping = vec![0; 28];
    (ping[0], ping[3], ping[9]) = (0x45, 28, 1);
    packets.insert(2, ping);
    assert_eq!(sizes(&packets), [4, 1]);
}

#[test]
fn more_flows_than_buckets_stay_in_order() {
    let flow = |host: u32| Sample {
        acknowledgment: 1,
        host: host as u8,
        six: host >= 256,
        ..sample()
    };
    let flows: Vec<_> = (0..512).map(|host| train(&flow(host), 2)).collect();
    let packets: Vec<_> = (0..2)
        .flat_map(|index| flows.iter().map(move |flow| flow[index].clone()))
        .collect();
    let frames = coalesce(&packets);
    assert_eq!(
        frames
            .iter()
            .map(|frame| packets_of(frame).len())
            .sum::<usize>(),
        1024
    );
    assert_eq!(frames.len(), 512);
}

#[test]
fn a_batch_leaves_nothing_behind_for_the_next() {
    let mut coalescer = Coalescer::new(Offloads::ALL);
    for _ in 0..2 {
        assert_eq!(coalesce_with(&mut coalescer, &train(&sample(), 3)).len(), 1);
    }
    assert_eq!(coalescer.merged, 4);
}
