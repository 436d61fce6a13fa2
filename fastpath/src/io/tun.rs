//! The TUN: frames, one a system call.

use std::io::IoSlice;

use super::errno;
use crate::packet::vnet::VNET_HEADER;

/// A TUN's descriptor, not owned.
#[derive(Clone, Copy)]
pub struct Tun {
    pub fd: i32,
    /// Frames begin with a virtio-net header (IFF_VNET_HDR).
    pub vnet_header: bool,
}

impl Tun {
    /// Bytes of the next frame, with a virtio-net header in any case; None when there is none. Err: errno;
    /// the TUN is gone.
    pub fn read(&self, room: &mut [u8]) -> Result<Option<usize>, i32> {
        let skip = if self.vnet_header { 0 } else { VNET_HEADER };
        room[..skip].fill(0);
        let room = &mut room[skip..];
        // SAFETY: `room` is valid for writes of its length.
        let got = unsafe { libc::read(self.fd, room.as_mut_ptr().cast(), room.len()) };
        match (usize::try_from(got), errno()) {
            (Ok(length), _) => Ok(Some(skip + length)),
            // EIO: the link is down.
            (Err(_), libc::EAGAIN | libc::EIO | libc::EINTR) => Ok(None),
            (Err(_), error) => Err(error),
        }
    }

    /// One frame, its virtio-net header first. Err: errno; EBADFD when the interface is gone.
    pub fn write(&self, parts: &[IoSlice<'_>]) -> Result<(), i32> {
        let parts = if self.vnet_header { parts } else { &parts[1..] };
        // SAFETY: an IoSlice has the layout of an iovec, as its documentation promises; what they point to is borrowed.
        let wrote = unsafe { libc::writev(self.fd, parts.as_ptr().cast(), parts.len() as i32) };
        if wrote >= 0 { Ok(()) } else { Err(errno()) }
    }
}
