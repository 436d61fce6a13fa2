//! Frames whose packets are too long for the way to their peer.

use super::{Outgoing, Planned, Sealing, Way};
use crate::engine::Engine;
use crate::engine::counters::Drop;
use crate::engine::fitting::goes_outside;
use crate::packet::split::Plan;
use crate::packet::vnet::VNET_HEADER;

impl Engine {
    /// Of packets that are too long for the way: what goes of them (see `Fitting`), whoever is told. What only we
    /// could cut is the protocol's where we have no socket for it, or don't know from which address it would leave.
    #[cold]
    pub(super) fn plan_pieces(
        &mut self,
        way: &Way,
        frame: &[u8],
        room: usize,
        now: f64,
    ) -> Result<Planned, Drop> {
        let aim = way.aim(&self.mtus);
        let plan = Plan::new(frame, &aim).map_err(|_| Drop::BadOutgoing)?;
        let (mut frames, mut packet) = (vec![], vec![]);
        if way.cut_to().is_some() && !(self.cutting && way.to.source.is_some()) {
            let mut outside = false;
            plan.for_each_packet(&mut packet, |packet| {
                outside |= goes_outside(packet, way.limit.inner);
            });
            if outside {
                return self.plan_to_hand_over(way.peer, frame, now);
            }
        }
        plan.for_each_packet(&mut packet, |packet| {
            self.fitting.fit(packet, way.limit.inner, now, |piece| {
                frames.push([&[0; VNET_HEADER], piece].concat());
            });
        });
        let pieces = frames.into_iter().map(|frame| {
            let sealing = self.plan_piece(way, &frame, room, now)?;
            Ok((frame, sealing))
        });
        Ok(Planned::Fitted(pieces.collect::<Result<_, Drop>>()?))
    }

    /// A packet that goes as it is, however long.
    fn plan_piece(
        &mut self,
        way: &Way,
        frame: &[u8],
        room: usize,
        now: f64,
    ) -> Result<Sealing, Drop> {
        let aim = way.aim(&self.mtus);
        let plan = Plan::new(frame, &aim).map_err(|_| Drop::BadOutgoing)?;
        let train = plan.train(&aim.bounds);
        if train.total() > room {
            return Err(Drop::BadOutgoing);
        }
        let peer = self.peers.get(way.peer).ok_or(Drop::NoPeer)?;
        let session = peer.current.clone().ok_or(Drop::Staged)?;
        let first = session.reserve(1).ok_or(Drop::Staged)?;
        Ok(self.sealing(way, session, (train, first), &frame[VNET_HEADER..], now))
    }

    /// The messages of pieces at the start of `out`, one after the other.
    pub(super) fn split_pieces(
        &mut self,
        pieces: Vec<(Vec<u8>, Sealing)>,
        out: &mut [u8],
    ) -> Outgoing {
        let (mut used, mut fitted) = (0, Vec::with_capacity(pieces.len()));
        for (frame, sealing) in pieces {
            let total = sealing.total();
            match sealing.split(&frame, &mut out[used..], &self.mtus) {
                Ok(unsealed) => fitted.push(unsealed),
                Err(_) => return self.dropped(Drop::BadOutgoing),
            }
            used += total;
        }
        Outgoing::Fitted(fitted)
    }
}
