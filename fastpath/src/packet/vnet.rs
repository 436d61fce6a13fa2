//! `struct virtio_net_hdr`, which stands before every packet of a TUN with IFF_VNET_HDR (VIRTIO 1.2, 5.1.6).
//!
//! Little-endian: the TUN is told so with TUNSETVNETLE where the host is not.

/// Bytes of the header.
pub const VNET_HEADER: usize = 10;

/// `flags`: the checksum at `checksum_start + checksum_offset` holds only the pseudo header's sum.
pub const NEEDS_CSUM: u8 = 1;
/// `flags`: the checksum was verified.
pub const DATA_VALID: u8 = 2;

const NONE: u8 = 0;
const TCPV4: u8 = 1;
const TCPV6: u8 = 4;
const UDP_L4: u8 = 5;
const ECN: u8 = 0x80;

/// What a packet is a train of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gso {
    None,
    TcpV4,
    TcpV6,
    /// UDP datagrams of either family (USO).
    UdpL4,
}

/// The fields of `struct virtio_net_hdr`. Offsets count from the beginning of the IP header, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VnetHeader {
    pub flags: u8,
    pub gso: Gso,
    /// A TCP train whose first packet has CWR set.
    pub ecn: bool,
    /// IP and transport header together; a hint only, as Linux fills it.
    pub header_length: u16,
    /// Most bytes of transport payload in each packet of the train (`gso_size`).
    pub segment: u16,
    pub checksum_start: u16,
    pub checksum_offset: u16,
}

impl VnetHeader {
    /// The header of one plain packet with a complete checksum.
    pub const PLAIN: VnetHeader = VnetHeader {
        flags: 0,
        gso: Gso::None,
        ecn: false,
        header_length: 0,
        segment: 0,
        checksum_start: 0,
        checksum_offset: 0,
    };

    /// None when the frame is shorter than a header, or of a GSO kind that we never asked for.
    #[inline]
    pub fn parse(frame: &[u8]) -> Option<VnetHeader> {
        let header: &[u8; VNET_HEADER] = frame.first_chunk()?;
        let field = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
        let gso = match header[1] & !ECN {
            NONE => Gso::None,
            TCPV4 => Gso::TcpV4,
            TCPV6 => Gso::TcpV6,
            UDP_L4 => Gso::UdpL4,
            _ => return None,
        };
        Some(VnetHeader {
            flags: header[0],
            gso,
            ecn: header[1] & ECN != 0,
            header_length: field(2),
            segment: field(4),
            checksum_start: field(6),
            checksum_offset: field(8),
        })
    }

    /// The header's bytes.
    #[inline]
    pub fn to_bytes(&self) -> [u8; VNET_HEADER] {
        let kind = match self.gso {
            Gso::None => NONE,
            Gso::TcpV4 => TCPV4,
            Gso::TcpV6 => TCPV6,
            Gso::UdpL4 => UDP_L4,
        };
        let mut bytes = [0; VNET_HEADER];
        bytes[0] = self.flags;
        bytes[1] = kind | if self.ecn { ECN } else { 0 };
        let fields = [
            self.header_length,
            self.segment,
            self.checksum_start,
            self.checksum_offset,
        ];
        for (place, field) in bytes[2..].chunks_exact_mut(2).zip(fields) {
            place.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Writes the header to the beginning of `frame`, which has room for it.
    #[inline]
    pub fn write(&self, frame: &mut [u8]) {
        frame[..VNET_HEADER].copy_from_slice(&self.to_bytes());
    }

    /// Whether the packet's checksum is still to be completed.
    #[inline]
    pub fn needs_checksum(&self) -> bool {
        self.flags & NEEDS_CSUM != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_parsed_header_is_written_as_it_came(bytes in any::<[u8; VNET_HEADER]>()) {
            if let Some(header) = VnetHeader::parse(&bytes) {
                prop_assert_eq!(header.to_bytes(), bytes);
            } else {
                prop_assert!(![0, 1, 4, 5].contains(&(bytes[1] & 0x7f)));
            }
        }
    }

    #[test]
    fn fields_are_little_endian() {
        let header = VnetHeader::parse(&[1, 0x81, 54, 0, 0x8c, 0x05, 20, 0, 16, 0]).unwrap();
        assert_eq!(
            (header.gso, header.ecn, header.needs_checksum()),
            (Gso::TcpV4, true, true)
        );
        assert_eq!((header.header_length, header.segment), (54, 1420));
        assert_eq!((header.checksum_start, header.checksum_offset), (20, 16));
    }

    #[test]
    fn a_short_frame_has_no_header() {
        assert_eq!(VnetHeader::parse(&[0; 9]), None);
        assert_eq!(VnetHeader::parse(&[0; 10]), Some(VnetHeader::PLAIN));
    }
}
