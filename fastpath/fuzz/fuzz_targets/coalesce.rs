//! Any batch of inner packets, some with lengths and checksums put right: what is joined splits into the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgnode_fastpath::packet::checksum::{fold, pseudo, store, sum};
use wgnode_fastpath::packet::coalesce::{Coalescer, Offloads};
use wgnode_fastpath::packet::split::for_each_packet;
use wgnode_fastpath::packet::{ecn, nested};

/// Where the transport header begins, and its protocol, of a plain TCP or UDP packet.
fn transport(packet: &[u8]) -> Option<(usize, u8)> {
    let (at, protocol) = match packet.first()? {
        0x45 if packet.len() >= 20 => (20, packet[9]),
        0x60..=0x6f if packet.len() >= 40 => (40, packet[6]),
        _ => return None,
    };
    let least = if protocol == 6 { 20 } else { 8 };
    ([6, 17].contains(&protocol) && packet.len() >= at + least).then_some((at, protocol))
}

fn put_right(packet: &mut [u8]) {
    let Some((at, protocol)) = transport(packet) else {
        return;
    };
    let length = packet.len() - at;
    let size = if at == 20 { packet.len() } else { length } as u16;
    let place = if at == 20 { 2 } else { 4 };
    packet[place..place + 2].copy_from_slice(&size.to_be_bytes());
    if at == 20 {
        store(packet, 10, 0);
        let check = !fold(sum(&packet[..20]));
        store(packet, 10, check);
    }
    if protocol == 17 {
        packet[at + 4..at + 6].copy_from_slice(&(length as u16).to_be_bytes());
    }
    let place = at + if protocol == 6 { 16 } else { 6 };
    store(packet, place, 0);
    let check = !fold(pseudo(packet, length, protocol) + sum(&packet[at..]));
    store(
        packet,
        place,
        if check == 0 && protocol == 17 {
            0xffff
        } else {
            check
        },
    );
}

/// A packet without what may differ: an identification with DF, and the two ways to write a sum of zero.
fn meaning(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    if let Some((at, protocol)) = transport(&packet) {
        if at == 20 {
            packet[10..12].fill(0);
            if packet[6] & 0x40 != 0 {
                packet[4..6].fill(0);
            }
        }
        if protocol == 6 && packet[at + 16..at + 18] == [0xff, 0xff] {
            packet[at + 16..at + 18].fill(0);
        }
    }
    packet
}

/// Records of a length, a byte of choices, and a packet; a choice repeats the one before with its sequence moved on.
fn batch(mut data: &[u8]) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    while let Some(([length, choices], rest)) = data.split_first_chunk() {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let mut packet = bytes.to_vec();
        if let (true, Some(before)) = (choices & 1 != 0, packets.last()) {
            packet = before.clone();
            follow(&mut packet, bytes);
        }
        if choices & 2 != 0 {
            put_right(&mut packet);
        }
        let copies = if choices & 4 != 0 {
            usize::from(choices >> 3)
        } else {
            1
        };
        for _ in 0..copies {
            packets.push(packet.clone());
            follow(&mut packet, &[]);
            if choices & 2 != 0 {
                put_right(&mut packet);
            }
        }
        data = rest;
    }
    packets
}

/// Makes a packet the next of its flow, its payload's end replaced by `tail`.
fn follow(packet: &mut [u8], tail: &[u8]) {
    let Some((at, protocol)) = transport(packet) else {
        return;
    };
    if at == 20 {
        let next = u16::from_be_bytes([packet[4], packet[5]]).wrapping_add(1);
        packet[4..6].copy_from_slice(&next.to_be_bytes());
    }
    if protocol == 6 {
        let headers = at + usize::from(packet[at + 12] >> 4) * 4;
        let payload = packet.len().saturating_sub(headers) as u32;
        let sequence = u32::from_be_bytes(packet[at + 4..at + 8].try_into().unwrap());
        packet[at + 4..at + 8].copy_from_slice(&sequence.wrapping_add(payload).to_be_bytes());
    }
    let from = packet.len() - tail.len().min(packet.len());
    for (place, byte) in packet[from..].iter_mut().zip(tail) {
        *place = *byte;
    }
}

fn packets_of(frame: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    if frame[..10] == [0; 10] {
        packets.push(meaning(&frame[10..]));
    } else {
        for_each_packet(frame, &mut Vec::new(), |packet| {
            packets.push(meaning(packet))
        })
        .expect("a frame of our own");
    }
    packets
}

fuzz_target!(|data: &[u8]| {
    let Some((control, data)) = data.split_first() else {
        return;
    };
    let offloads = Offloads {
        checksum: control & 1 == 0,
        tso4: control & 2 == 0,
        tso6: control & 4 == 0,
        uso: control & 8 == 0,
    };
    let packets = batch(data);
    let (mut buf, mut places) = (Vec::new(), Vec::new());
    for packet in &packets {
        nested::is_tunnel_datagram(packet);
        ecn::decapsulate(&mut packet.clone(), control >> 4);
        places.push((buf.len(), packet.len()));
        buf.extend(packet);
    }
    let mut coalescer = Coalescer::new(offloads);
    for (offset, length) in places {
        coalescer.push(&buf, offset, length);
    }
    let mut out = Vec::new();
    coalescer.drain(&mut buf, |parts| {
        let frame: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
        out.extend(packets_of(&frame));
    });
    let mut expected: Vec<_> = packets.iter().map(|packet| meaning(packet)).collect();
    expected.sort();
    out.sort();
    assert_eq!(out, expected);
});
