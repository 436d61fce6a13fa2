//! Which suite a node uses, and why.

use super::Suite;

/// Chooses from what WGNODE_CRYPTO says (`ring`, `avx512`, nothing for the best that works here).
///
/// # Errors
/// A sentence for a person, when the value is unknown.
pub fn choose(wanted: Option<&str>) -> Result<(Suite, String), String> {
    match wanted {
        None => Ok((Suite::Ring, "ring: nothing better here".to_owned())),
        Some("ring") => Ok((Suite::Ring, "ring: WGNODE_CRYPTO=ring".to_owned())),
        Some("avx512") => Ok((Suite::Ring, "ring: no AVX-512 code yet".to_owned())),
        Some(other) => Err(format!(
            "WGNODE_CRYPTO={other}: unknown; use ring or avx512, or leave it unset"
        )),
    }
}
