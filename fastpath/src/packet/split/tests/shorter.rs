//! Trains whose messages are longer than a path takes.

use super::*;

/// The payload of TCP packets, joined, and whether each begins where the one before it ended.
fn stream(packets: &[Vec<u8>], headers: usize) -> (Vec<u8>, bool) {
    let sequence = |packet: &[u8]| {
        let at = headers - 20 + 4;
        u32::from_be_bytes(packet[at..at + 4].try_into().unwrap())
    };
    let whole = packets.windows(2).all(|two| {
        sequence(&two[1]).wrapping_sub(sequence(&two[0])) as usize == two[0].len() - headers
    });
    let payload = packets.iter().flat_map(|packet| packet[headers..].to_vec());
    (payload.collect(), whole)
}

/// The packets of a train that a path takes messages of `longest` bytes of.
fn shortened(frame: &[u8], longest: usize) -> (Train, Vec<Vec<u8>>) {
    let mut out = vec![0; 1 << 20];
    let bounds = TEMPLATE.bounds;
    let plan = Plan::new(frame, &Aim { longest, bounds }).unwrap();
    let train = plan.split(&mut out, &TEMPLATE).unwrap();
    assert_eq!(train.messages, plan.messages());
    let plaintexts = plaintexts(&out, &train, &TEMPLATE);
    let packets = plaintexts
        .iter()
        .map(|padded| padded[..crate::packet::inner::length(padded).unwrap()].to_vec())
        .collect();
    (train, packets)
}

#[test]
fn a_streams_packets_become_as_small_as_the_path_wants_messages() {
    for six in [false, true] {
        let sample = Sample {
            six,
            ..sample(TCP, 20_000)
        };
        let headers = if six { 60 } else { 40 };
        for longest in [548, 1252, 1272, 1400, 1451] {
            let (train, packets) = shortened(&sample.frame(Some(1380)), longest);
            assert!(
                train.stride <= longest && train.stride + 16 > longest,
                "{train:?}"
            );
            assert_eq!(stream(&packets, headers), (sample.payload.clone(), true));
            let segment = (packets[0].len() - headers) as u16;
            assert_eq!(packets, sample.train(segment));
        }
    }
}

#[test]
fn what_is_no_stream_and_what_may_be_fragmented_stays_as_it_is() {
    let fragments = Sample {
        dont_fragment: false,
        ..sample(TCP, 5000)
    };
    for sample in [fragments, sample(UDP, 5000)] {
        let (_, packets) = shortened(&sample.frame(Some(1380)), 1272);
        assert_eq!(packets, sample.train(1380));
    }
    let fitting = sample(TCP, 5000);
    for longest in [usize::MAX, 1452, 71, 32, 0] {
        let (_, packets) = shortened(&fitting.frame(Some(1380)), longest);
        assert_eq!(packets, fitting.train(1380), "{longest}");
    }
}
