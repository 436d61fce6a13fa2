//! What joins, what stays apart, and that nothing is lost or reordered.

mod headers;
mod joining;
mod twisted;

use super::*;
use crate::packet::samples::Sample;
use crate::packet::split::for_each_packet;
use crate::packet::vnet::VNET_HEADER;

/// Frames of a batch that lies with gaps in one buffer.
fn coalesce_with(coalescer: &mut Coalescer, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut buf = vec![0xa5; 16];
    let mut places = Vec::new();
    for packet in packets {
        places.push((buf.len(), packet.len()));
        buf.extend(packet);
        buf.extend([0xa5; 33]);
    }
    for (offset, length) in places {
        coalescer.push(&buf, offset, length);
    }
    let mut frames = Vec::new();
    coalescer.drain(&mut buf, |parts| {
        frames.push(parts.iter().flat_map(|part| part.to_vec()).collect())
    });
    assert!(coalescer.is_empty());
    frames
}

fn coalesce(packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    coalesce_with(&mut Coalescer::new(Offloads::ALL), packets)
}

/// How many packets each frame carries.
fn sizes(packets: &[Vec<u8>]) -> Vec<usize> {
    let frames = coalesce(packets);
    frames.iter().map(|frame| packets_of(frame).len()).collect()
}

fn packets_of(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    if for_each_packet(frame, &mut Vec::new(), |packet| {
        packets.push(packet.to_vec())
    })
    .is_err()
    {
        packets.push(frame[VNET_HEADER..].to_vec());
    }
    packets
}

fn sample() -> Sample {
    Sample {
        six: false,
        protocol: TCP,
        host: 1,
        tos: 0,
        ttl: 64,
        identification: 100,
        dont_fragment: true,
        sequence: 0xffff_ff00,
        acknowledgment: 5,
        flags: tcp::ACK,
        options: vec![1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
        payload: vec![7; 100],
    }
}

fn kinds() -> [Sample; 4] {
    let six = Sample {
        six: true,
        ..sample()
    };
    let udp = Sample {
        protocol: UDP,
        options: vec![],
        ..sample()
    };
    [
        sample(),
        six.clone(),
        udp.clone(),
        Sample { six: true, ..udp },
    ]
}

/// The packets of one train of `count` times 100 bytes.
fn train(sample: &Sample, count: usize) -> Vec<Vec<u8>> {
    Sample {
        payload: vec![7; 100 * count],
        ..sample.clone()
    }
    .train(100)
}

fn next(sample: &Sample, size: u32) -> Sample {
    let sequence = sample.sequence.wrapping_add(size);
    Sample {
        sequence,
        identification: sample.identification + 1,
        ..sample.clone()
    }
}
