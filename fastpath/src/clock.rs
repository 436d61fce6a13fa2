//! The engine's clock, the same that wgnode/io/loop.py reads, and the kernel's of a datagram's arrival.

/// Seconds of CLOCK_BOOTTIME, which goes on while the machine sleeps.
#[inline]
pub fn now() -> f64 {
    read(libc::CLOCK_BOOTTIME)
}

/// Seconds of CLOCK_REALTIME, which may be set, to compare with a datagram's time of arrival alone.
#[inline]
pub fn wall() -> f64 {
    read(libc::CLOCK_REALTIME)
}

#[inline]
fn read(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to; the call can't fail for these clocks.
    unsafe { libc::clock_gettime(clock, &mut time) };
    seconds(time)
}

#[inline]
pub fn seconds(time: libc::timespec) -> f64 {
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
