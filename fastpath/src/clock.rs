//! The engine's clock, the same that wgnode/io/loop.py reads.

/// Seconds of CLOCK_BOOTTIME, which goes on while the machine sleeps.
#[inline]
pub fn now() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a valid timespec to write to; the call can't fail for this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
