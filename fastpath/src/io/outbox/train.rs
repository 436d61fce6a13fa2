//! What may be sent as one.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use crate::engine::endpoint::Endpoint;
use crate::engine::session::Session;
use crate::engine::{By, Unsealed};
use crate::io::cutting::Flow;

/// Limits of UDP_SEGMENT (UDP_MAX_SEGMENTS of older kernels; the length field of UDP).
pub const MOST_SEGMENTS: usize = 64;
pub const LARGEST_DATAGRAM: usize = 65_507;

/// Messages of one session to one place, `stride` bytes each but the last.
pub struct Train {
    pub session: Arc<Session>,
    pub to: Endpoint,
    pub offset: usize,
    pub length: usize,
    pub stride: usize,
    pub ecn: u8,
    pub by: By,
    /// Nothing can be appended: the last message is shorter, or the limits are reached.
    pub closed: bool,
    /// Its messages go one by one.
    pub apart: bool,
    /// The kernel has refused it as one: of its size, if its messages pass.
    pub refused: bool,
}

impl Train {
    pub fn messages(&self) -> usize {
        self.length.div_ceil(self.stride)
    }

    /// Where in the buffer lies what is sent as one.
    pub fn sendings(&self) -> impl Iterator<Item = (&Train, Range<usize>)> {
        let end = self.offset + self.length;
        let step = if self.apart { self.stride } else { self.length };
        (self.offset..end)
            .step_by(step)
            .map(move |at| (self, at..end.min(at + step)))
    }

    /// In pieces of IP packets of so many bytes, from our port; None where it is not known from which address.
    pub fn flow(&self, port: u16, wire: usize) -> Option<Flow> {
        let Some(IpAddr::V6(source)) = self.to.source else {
            return None;
        };
        let (to, ecn) = (self.to, self.ecn);
        Some(Flow {
            port,
            source,
            to,
            wire,
            ecn,
        })
    }

    /// Which socket it goes by: of IPv6, and for what.
    pub fn way(&self) -> (bool, By) {
        (self.to.address.is_ipv6(), self.by)
    }

    pub fn takes(&self, more: &Unsealed) -> bool {
        let total = more.train.total();
        !self.closed
            && total <= self.stride
            && self.messages() < MOST_SEGMENTS
            && self.length + total <= LARGEST_DATAGRAM
            && self.ecn == more.ecn
            && self.by == more.by
            && self.to == more.to
            && Arc::ptr_eq(&self.session, &more.session)
    }
}
