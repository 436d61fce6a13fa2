//! What of AVX-512 the CPU and the kernel let us use.

/// The parts that the multi-packet code needs. Plain fields, so that a test can take one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) f: bool,
    pub(super) bw: bool,
    pub(super) vl: bool,
    pub(super) ifma: bool,
}

impl Features {
    /// Asks the CPU (the answer is kept) and the kernel, which must save the wide registers.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn detect() -> Features {
        Features {
            f: is_x86_feature_detected!("avx512f"),
            bw: is_x86_feature_detected!("avx512bw"),
            vl: is_x86_feature_detected!("avx512vl"),
            ifma: is_x86_feature_detected!("avx512ifma"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn detect() -> Features {
        Features {
            f: false,
            bw: false,
            vl: false,
            ifma: false,
        }
    }

    /// Whether the multi-packet code may run.
    pub(super) fn batch(self) -> bool {
        self.missing().is_empty()
    }

    /// Names of what is missing.
    pub(super) fn missing(self) -> Vec<&'static str> {
        let parts = [
            ("avx512f", self.f),
            ("avx512bw", self.bw),
            ("avx512vl", self.vl),
            ("avx512ifma", self.ifma),
        ];
        parts
            .into_iter()
            .filter(|(_, here)| !here)
            .map(|(name, _)| name)
            .collect()
    }
}
