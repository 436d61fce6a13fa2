//! Control messages of a datagram: its segments' size, the local address, the ECN bits, the time of arrival (udp(7),
//! ip(7), ipv6(7), socket(7)).

use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::clock;

/// Bytes: all four kinds with room to spare. Eight-byte words, since headers are aligned to them.
pub const CONTROL: usize = 128;

#[repr(C, align(8))]
#[derive(Clone, Copy)]
pub struct Control(pub [u8; CONTROL]);

impl Control {
    pub const EMPTY: Control = Control([0; CONTROL]);

    /// Appends one message after the first `used` bytes; the new number of bytes.
    fn push<T>(&mut self, used: usize, level: i32, kind: i32, value: T) -> usize {
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute sizes.
        let (space, length) = unsafe {
            (
                libc::CMSG_SPACE(size_of::<T>() as u32) as usize,
                libc::CMSG_LEN(size_of::<T>() as u32),
            )
        };
        assert!(used + space <= CONTROL && used.is_multiple_of(8));
        let header = self.0[used..].as_mut_ptr().cast::<libc::cmsghdr>();
        // SAFETY: `used` is a multiple of eight in an array aligned to eight, and `space` bytes from there are inside of
        // it (asserted above): room for the header and, where CMSG_DATA points, for a T.
        unsafe {
            (*header).cmsg_level = level;
            (*header).cmsg_type = kind;
            (*header).cmsg_len = length as _;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(value);
        }
        used + space
    }

    /// For a datagram to send; the number of bytes used.
    pub fn write(
        &mut self,
        segment: Option<u16>,
        source: Option<IpAddr>,
        ecn: u8,
        v6: bool,
    ) -> usize {
        let mut used = 0;
        if let Some(segment) = segment {
            used = self.push(used, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        match source {
            Some(IpAddr::V4(address)) => {
                let from = libc::in_addr {
                    s_addr: u32::from_ne_bytes(address.octets()),
                };
                let information = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: from,
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                used = self.push(used, libc::IPPROTO_IP, libc::IP_PKTINFO, information);
            }
            Some(IpAddr::V6(address)) => {
                let from = libc::in6_addr {
                    s6_addr: address.octets(),
                };
                let information = libc::in6_pktinfo {
                    ipi6_addr: from,
                    ipi6_ifindex: 0,
                };
                used = self.push(used, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, information);
            }
            None => {}
        }
        if ecn != 0 {
            let (level, kind) = if v6 {
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS)
            } else {
                (libc::IPPROTO_IP, libc::IP_TOS)
            };
            used = self.push(used, level, kind, i32::from(ecn));
        }
        used
    }
}

/// What came beside a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Received {
    /// Bytes of each segment, where the kernel has joined several datagrams.
    pub segment: Option<usize>,
    pub local: Option<IpAddr>,
    pub ecn: u8,
    /// Seconds of CLOCK_REALTIME at which the kernel had it.
    pub arrived: Option<f64>,
    /// There was more to tell than room for it (MSG_CTRUNC).
    pub cut_off: bool,
}

/// Reads the control messages of what recvmsg has filled in. Where some were cut off, which ones is not known: then
/// nothing of them is believed but the size of segments, if it is whole, without which a train is lost.
///
/// # Safety
/// `header` describes memory that is valid and was written by the kernel.
pub unsafe fn read(header: &libc::msghdr) -> Received {
    let mut found = Received {
        cut_off: header.msg_flags & libc::MSG_CTRUNC != 0,
        ..Received::default()
    };
    // SAFETY: the caller vouches for the header; the macros stay inside of its control buffer.
    let mut each = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !each.is_null() {
        // SAFETY: a control message of the kernel: header and data of its kind, read unaligned.
        unsafe {
            let data = libc::CMSG_DATA(each);
            match ((*each).cmsg_level, (*each).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) if holds::<i32>(each) => {
                    let size = data.cast::<i32>().read_unaligned();
                    found.segment = usize::try_from(size).ok().filter(|size| *size > 0);
                }
                _ if found.cut_off => {}
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let information = data.cast::<libc::in_pktinfo>().read_unaligned();
                    found.local =
                        Some(Ipv4Addr::from(information.ipi_addr.s_addr.to_ne_bytes()).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let information = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    found.local = Some(Ipv6Addr::from(information.ipi6_addr.s6_addr).into());
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    found.arrived = Some(clock::seconds(time));
                }
                (libc::IPPROTO_IP, libc::IP_TOS) => found.ecn = *data & 3,
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    found.ecn = data.cast::<i32>().read_unaligned() as u8 & 3
                }
                _ => {}
            }
            each = libc::CMSG_NXTHDR(header, each);
        }
    }
    found
}

/// Whether a T is there as a whole: what is cut off says so in its length.
///
/// # Safety
/// `message` points to a control message's header.
unsafe fn holds<T>(message: *const libc::cmsghdr) -> bool {
    // SAFETY: CMSG_LEN only computes; the caller vouches for the header.
    unsafe { (*message).cmsg_len >= libc::CMSG_LEN(size_of::<T>() as u32) as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(control: &mut Control, used: usize) -> Received {
        // SAFETY: all zeros is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_control = control.0.as_mut_ptr().cast();
        header.msg_controllen = used as _;
        // SAFETY: the control buffer was written by `Control::write`.
        unsafe { read(&header) }
    }

    #[test]
    fn a_source_of_either_family_and_ecn_come_back() {
        for (source, v6) in [("192.0.2.1", false), ("2001:db8::1", true)] {
            let mut control = Control::EMPTY;
            let used = control.write(Some(1452), Some(source.parse().unwrap()), 2, v6);
            let found = round_trip(&mut control, used);
            assert_eq!(found.ecn, 2);
            if v6 {
                assert_eq!(found.local, Some(source.parse().unwrap()));
            }
        }
    }

    #[test]
    fn nothing_to_say_takes_no_room() {
        let mut control = Control::EMPTY;
        assert_eq!(control.write(None, None, 0, false), 0);
    }
}
