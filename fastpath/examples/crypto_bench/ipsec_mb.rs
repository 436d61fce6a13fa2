//! libipsec-mb through a small shared library built from ipsec_mb_shim.c, loaded only when its path is given.

use std::ffi::{CString, c_int, c_void};

type Start = unsafe extern "C" fn(c_int) -> c_int;
type Train = unsafe extern "C" fn(*const u8, *mut u8, usize, usize, c_int, c_int) -> usize;

pub struct Library {
    train: Train,
}

impl Library {
    pub fn load(path: &str) -> Library {
        let path = CString::new(path).expect("a path without zero bytes");
        // SAFETY: loading runs only the constructors of the shim and of libipsec-mb.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
        assert!(!handle.is_null(), "{path:?} can't be loaded");
        // SAFETY: the types are those of ipsec_mb_shim.c, and the handle stays open.
        let (start, train) = unsafe {
            let start: Start = std::mem::transmute(symbol(handle, c"shim_start"));
            (
                start,
                std::mem::transmute::<*mut c_void, Train>(symbol(handle, c"shim_train")),
            )
        };
        // SAFETY: it has no requirements.
        assert_eq!(unsafe { start(1) }, 0, "libipsec-mb doesn't start");
        Library { train }
    }

    /// Seals or opens messages of `stride` bytes each, at most 128.
    pub fn run(&self, raw: &[u8; 32], train: &mut [u8], stride: usize, seal: bool, burst: bool) {
        let count = train.len() / stride;
        assert!(count <= 128 && train.len().is_multiple_of(stride));
        // SAFETY: the train holds `count` messages of `stride` bytes, which the library reads and writes in place.
        let good = unsafe {
            (self.train)(
                raw.as_ptr(),
                train.as_mut_ptr(),
                stride,
                count,
                seal.into(),
                burst.into(),
            )
        };
        assert_eq!(good, count, "libipsec-mb failed");
    }
}

fn symbol(handle: *mut c_void, name: &std::ffi::CStr) -> *mut c_void {
    // SAFETY: the handle is open and the name ends with a zero byte.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    assert!(!address.is_null(), "the shim lacks {name:?}");
    address
}
