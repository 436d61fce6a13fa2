//! Any bytes as a virtio-net header, and any header before one fixed train.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wgnode_fastpath::packet::split::{Aim, Plan, for_each_packet};
use wgnode_fastpath::packet::vnet::{VNET_HEADER, VnetHeader};

/// A TCP packet of either family with 200 bytes of payload.
fn packet(six: bool) -> Vec<u8> {
    let transport = if six { 40 } else { 20 };
    let mut packet = vec![0x5a; transport + 220];
    packet[0] = if six { 0x60 } else { 0x45 };
    packet[if six { 6 } else { 9 }] = 6;
    packet[transport + 12] = 0x50;
    packet
}

fuzz_target!(|data: &[u8]| {
    let Some(header) = VnetHeader::parse(data) else {
        return;
    };
    assert_eq!(header.to_bytes(), data[..VNET_HEADER]);
    for six in [false, true] {
        let mut frame = vec![0; VNET_HEADER];
        header.write(&mut frame);
        frame.extend(packet(six));
        let mut payload = 0;
        let mut count = 0;
        let whole = for_each_packet(&frame, &mut Vec::new(), |packet| {
            count += 1;
            payload += packet.len();
        });
        if whole.is_ok() {
            let plan = Plan::new(&frame, &Aim::ANY).unwrap();
            assert_eq!(count, plan.messages());
            assert!(payload >= frame.len() - VNET_HEADER);
        }
    }
});
