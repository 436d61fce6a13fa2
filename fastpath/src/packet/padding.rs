//! Padding of inner packets (wp 5.4.6). The same lengths as `wgnode/protocol/padding.py` makes.

use crate::message::PADDING_MULTIPLE;

/// Where padding ends: at the smallest of all that the packet fits in. Bytes of inner packet.
#[derive(Clone, Copy, Debug)]
pub struct Bounds<'a> {
    /// Of routes, and the device's own last: ascending.
    pub mtus: &'a [usize],
    /// Of the way to the peer, in no order; usize::MAX for none.
    pub own: [usize; 2],
}

impl<'a> Bounds<'a> {
    /// Of a peer without any of its own.
    pub const fn of(mtus: &'a [usize]) -> Bounds<'a> {
        let own = [usize::MAX; 2];
        Bounds { mtus, own }
    }

    /// Bytes of the plaintext of a packet: a multiple of 16 where there is room for it. A packet that is itself above the
    /// device's MTU stays as it is.
    #[inline]
    pub fn padded(&self, length: usize) -> usize {
        let fits = |bound: &usize| length <= *bound;
        let Some(end) = self.mtus.iter().copied().find(fits) else {
            return length;
        };
        let own = self.own.into_iter().filter(fits);
        let end = own.fold(end, usize::min);
        length.next_multiple_of(PADDING_MULTIPLE).min(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_at_the_smallest_that_the_packet_fits_in() {
        let own = [1338, 500];
        let bounds = Bounds {
            mtus: &[1300, 1420],
            own,
        };
        for (length, padded) in [
            (0, 0),
            (1, 16),
            (490, 496),
            (498, 500),
            (500, 500),
            (501, 512),
            (1297, 1300),
            (1301, 1312),
            (1337, 1338),
            (1339, 1344),
            (1419, 1420),
            (1421, 1421),
        ] {
            assert_eq!(bounds.padded(length), padded, "of {length}");
        }
    }

    #[test]
    fn a_packet_above_the_devices_mtu_stays_as_it_is_whatever_the_way_takes() {
        let bounds = Bounds {
            mtus: &[1420],
            own: [1501, 1501],
        };
        assert_eq!(bounds.padded(1421), 1421);
        assert_eq!(bounds.padded(1417), 1420);
    }
}
