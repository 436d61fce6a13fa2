//! Waiting for descriptors: epoll(7).

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::errno;

const AT_ONCE: usize = 8;

/// Descriptors that are watched. Watching and waiting may go on in several threads.
pub struct Poller(OwnedFd);

/// The descriptors at which there is something to do.
pub struct Events {
    events: [libc::epoll_event; AT_ONCE],
    count: usize,
}

impl Events {
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.events[..self.count]
            .iter()
            .map(|event| event.u64 as RawFd)
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Poller {
    /// Err: errno.
    pub fn new() -> Result<Poller, i32> {
        // SAFETY: no arguments to go wrong.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(errno());
        }
        // SAFETY: just made, owned by nobody else.
        Ok(Poller(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// At most `seconds`, which may be infinite; a signal ends it too.
    pub fn wait(&self, seconds: f64) -> Result<Events, i32> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; AT_ONCE];
        // SAFETY: room for AT_ONCE events.
        let count = unsafe {
            libc::epoll_wait(
                self.0.as_raw_fd(),
                events.as_mut_ptr(),
                AT_ONCE as i32,
                milliseconds(seconds),
            )
        };
        if count < 0 && errno() != libc::EINTR {
            return Err(errno());
        }
        Ok(Events {
            events,
            count: count.max(0) as usize,
        })
    }

    pub fn watch(&self, fd: RawFd, events: i32) -> Result<(), i32> {
        self.control(libc::EPOLL_CTL_ADD, fd, events)
    }

    pub fn change(&self, fd: RawFd, events: i32) -> Result<(), i32> {
        self.control(libc::EPOLL_CTL_MOD, fd, events)
    }

    /// One that is closed already is no longer watched anyway.
    pub fn unwatch(&self, fd: RawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd, 0);
    }

    fn control(&self, operation: i32, fd: RawFd, events: i32) -> Result<(), i32> {
        let mut event = libc::epoll_event {
            events: events as u32,
            u64: fd as u64,
        };
        // SAFETY: a valid event; the kernel checks both descriptors.
        if unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd, &raw mut event) } < 0 {
            return Err(errno());
        }
        Ok(())
    }
}

/// For epoll_wait, rounded up so that nobody wakes before it is time; -1 for ever.
fn milliseconds(seconds: f64) -> i32 {
    if seconds == f64::INFINITY {
        return -1;
    }
    (seconds.max(0.0) * 1000.0).ceil().min(f64::from(i32::MAX)) as i32
}

/// Signals are for the program's other threads.
pub fn block_signals() {
    // SAFETY: all zeros is a valid sigset_t, which sigfillset fills in; the mask is this thread's alone.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
    }
}
