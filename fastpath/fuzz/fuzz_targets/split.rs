//! Any bytes as a frame from a TUN: the two ways to split it agree, and neither goes beyond its room.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgnode_fastpath::packet::inner;
use wgnode_fastpath::packet::padding::Bounds;
use wgnode_fastpath::packet::split::{Aim, Plan, SplitError, Template, for_each_packet};

const GUARD: u8 = 0xa5;

fuzz_target!(|data: &[u8]| {
    let Some((control, frame)) = data.split_first_chunk::<5>() else {
        return;
    };
    let mtus = [usize::from(control[0]) * 8];
    let room = usize::from(u16::from_le_bytes([control[1], control[2]]));
    let template = Template {
        receiver: 0xdead_beef,
        counter: u64::MAX - 3,
        bounds: Bounds::of(&mtus),
    };
    let longest = usize::from(u16::from_le_bytes([control[3], control[4]]));
    let mut packets = Vec::new();
    let whole = for_each_packet(frame, &mut Vec::new(), |packet| {
        packets.push(packet.to_vec())
    });
    let mut out = vec![GUARD; room];
    let plan = Plan::new(
        frame,
        &Aim {
            longest,
            bounds: template.bounds,
        },
    );
    let messages = plan.as_ref().map(Plan::messages).map_err(|error| *error);
    match plan.and_then(|plan| plan.split(&mut out, &template)) {
        Err(SplitError::Malformed) => assert_eq!(whole, Err(SplitError::Malformed)),
        Err(SplitError::TooLong) => {
            let bytes: usize = packets.iter().map(|packet| packet.len() + 47).sum();
            assert!(whole.is_ok() && (bytes > room || messages != Ok(packets.len())));
        }
        Ok(train) if train.messages != packets.len() => {
            assert_eq!(messages, Ok(train.messages));
            assert!(train.messages > packets.len() && train.stride <= longest);
            assert!(out[train.total()..].iter().all(|byte| *byte == GUARD));
        }
        Ok(train) => {
            assert_eq!(train.messages, packets.len());
            assert!(train.last <= train.stride && train.total() <= room);
            for (index, (message, packet)) in out[..train.total()]
                .chunks(train.stride)
                .zip(&packets)
                .enumerate()
            {
                let counter = template.counter.wrapping_add(index as u64);
                assert_eq!(message[8..16], counter.to_le_bytes());
                let plaintext = &message[16..message.len() - 16];
                assert_eq!(&plaintext[..packet.len()], packet);
                assert!(plaintext[packet.len()..].iter().all(|byte| *byte == 0));
                assert!(
                    plaintext.len() < packet.len() + 16 && plaintext.len() <= mtus[0].max(packet.len())
                );
                if packets.len() > 1 {
                    assert_eq!(inner::length(plaintext), Some(packet.len()));
                }
            }
            assert!(out[train.total()..].iter().all(|byte| *byte == GUARD));
        }
    }
});
