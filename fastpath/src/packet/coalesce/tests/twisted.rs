//! Batches of flows with faults and peculiarities: nothing is lost, nothing overtakes.

use super::*;
use crate::packet::samples::samples;
use proptest::prelude::*;

/// A fault or peculiarity of one packet of a batch.
#[derive(Clone, Copy, Debug)]
enum Twist {
    None,
    Push,
    Flags(u8),
    Ttl,
    Tos,
    Gap,
    Short,
    Long,
    Empty,
    Acknowledges,
    Identification,
    MayFragment,
    Corrupt(u16),
    Fragment,
    Options,
}

fn twists() -> impl Strategy<Value = Twist> {
    use Twist::*;
    prop_oneof![
        12 => Just(None), 2 => Just(Push), 1 => any::<u8>().prop_map(Flags), 1 => Just(Ttl), 1 => Just(Tos),
        1 => Just(Gap), 2 => Just(Short), 1 => Just(Long), 1 => Just(Empty), 1 => Just(Acknowledges),
        1 => Just(Identification), 1 => Just(MayFragment), 2 => any::<u16>().prop_map(Corrupt),
        1 => Just(Fragment), 1 => Just(Options),
    ]
}

/// The next packet of a flow, whose state moves on.
fn next_packet(flow: &mut Sample, twist: Twist) -> Vec<u8> {
    let size = match twist {
        Twist::Short => 60,
        Twist::Long => 150,
        Twist::Empty => 0,
        _ => 100,
    };
    match twist {
        Twist::Ttl => flow.ttl ^= 1,
        Twist::Tos => flow.tos ^= 3,
        Twist::Gap => flow.sequence = flow.sequence.wrapping_add(1),
        Twist::Acknowledges => flow.acknowledgment += 1,
        Twist::Identification => flow.identification ^= 0x5555,
        Twist::MayFragment => flow.dont_fragment ^= true,
        Twist::Options if flow.protocol == TCP => flow.options.reverse(),
        _ => {}
    }
    flow.flags = match twist {
        Twist::Push => tcp::ACK | tcp::PSH,
        Twist::Flags(flags) => flags,
        _ => tcp::ACK,
    };
    flow.payload = (0..size).map(|at| (at ^ flow.sequence) as u8).collect();
    let mut packet = flow.packet();
    flow.sequence = flow.sequence.wrapping_add(size);
    flow.identification = flow.identification.wrapping_add(1);
    match twist {
        Twist::Corrupt(at) => {
            // Neither what makes it of another flow, nor what makes it another kind of packet.
            let from = flow.transport() + 4;
            let at = from + usize::from(at) % (packet.len() - from);
            packet[at] ^= 0x10;
        }
        Twist::Fragment if !flow.six => packet[6] |= 0x20,
        _ => {}
    }
    packet
}

/// What of a packet must come out. The identification has no meaning with DF.
fn meaning(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if packet[0] >> 4 == 4 && packet[6] & 0x40 != 0 {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    }
    packet
}

fn of_flow(packets: &[Vec<u8>], flow: &Sample) -> Vec<Vec<u8>> {
    let model = flow.packet();
    let (at, to) = (flow.transport(), flow.transport() + 4);
    let same = |packet: &&Vec<u8>| {
        packet[0] == model[0]
            && packet[at..to] == model[at..to]
            && packet[if flow.six { 6 } else { 9 }] == flow.protocol
    };
    packets
        .iter()
        .filter(same)
        .map(|packet| meaning(packet))
        .collect()
}

proptest! {
    #[test]
    fn a_split_train_becomes_the_same_frame(
        sample in samples(6000), segment in 100u16..1500, push: bool, dont_fragment: bool,
    ) {
        let flags = if push { tcp::ACK | tcp::PSH } else { tcp::ACK };
        let sample = Sample { flags, dont_fragment, ..sample };
        let packets = sample.train(segment);
        prop_assume!(packets.len() > 1);
        prop_assert_eq!(coalesce(&packets), vec![sample.frame(Some(segment))]);
    }

    #[test]
    fn every_flow_keeps_its_packets_and_their_order(
        flows in proptest::collection::vec(0usize..4, 2..4),
        steps in proptest::collection::vec((0usize..4, twists()), 1..150),
    ) {
        let mut flows: Vec<Sample> = flows.iter().enumerate()
            .map(|(host, kind)| Sample { host: host as u8, ..kinds()[*kind].clone() }).collect();
        let count = flows.len();
        let packets: Vec<_> =
            steps.iter().map(|(flow, twist)| next_packet(&mut flows[flow % count], *twist)).collect();
        let mut coalescer = Coalescer::new(Offloads::ALL);
        let frames = coalesce_with(&mut coalescer, &packets);
        let out: Vec<_> = frames.iter().flat_map(|frame| packets_of(frame)).collect();
        prop_assert_eq!(out.len(), packets.len());
        prop_assert_eq!(frames.len() as u64, packets.len() as u64 - coalescer.merged);
        for flow in &flows {
            prop_assert_eq!(of_flow(&out, flow), of_flow(&packets, flow));
        }
    }

    #[test]
    fn nothing_panics_on_any_bytes(
        batch in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..100),
                (samples(60), any::<u16>(), any::<u8>()).prop_map(|(sample, at, byte)| {
                    let mut packet = Sample { host: sample.host % 2, ..sample }.packet();
                    let at = usize::from(at) % packet.len();
                    packet[at] = byte;
                    packet
                }),
            ],
            0..40,
        ),
    ) {
        let frames = coalesce(&batch);
        let bytes: usize = frames.iter().map(|frame| frame.len() - VNET_HEADER).sum();
        prop_assert!(bytes <= batch.iter().map(Vec::len).sum());
    }
}
