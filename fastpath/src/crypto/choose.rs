//! Which suite a node uses, and why.

use super::features::Features;
use super::selftest::self_test;
use super::{Key, Suite};

/// Chooses from what WGNODE_CRYPTO says: `ring`, `avx512`, or nothing (or `auto`) for the best that works here.
///
/// Where AVX-512 is missing or the multi-packet code fails its self-test, it is ring. The sentence says why.
///
/// # Errors
/// A sentence for a person, when the value is unknown.
pub fn choose(wanted: Option<&str>) -> Result<(Suite, String), String> {
    choose_with(wanted, Features::detect(), || {
        self_test(|raw| Key::new(raw, Suite::Batch))
    })
}

/// `choose` with the CPU's features and the self-test given.
pub(super) fn choose_with(
    wanted: Option<&str>,
    features: Features,
    test: impl FnOnce() -> Result<(), String>,
) -> Result<(Suite, String), String> {
    match wanted {
        Some("ring") => return Ok((Suite::Ring, "ring, because WGNODE_CRYPTO=ring".to_owned())),
        #[cfg(feature = "null-crypto")]
        Some("null") => return Ok((Suite::Null, "null, nothing is encrypted".to_owned())),
        None | Some("auto" | "avx512") => {}
        Some(other) => {
            return Err(format!(
                "WGNODE_CRYPTO={other}: not known; use ring, avx512 or auto"
            ));
        }
    }
    if !features.batch() {
        let missing = features.missing().join(", ");
        return Ok((
            Suite::Ring,
            format!("ring, because this CPU lacks {missing}"),
        ));
    }
    Ok(match test() {
        Ok(()) => (
            Suite::Batch,
            "avx512, several packets at once; ring for single ones".to_owned(),
        ),
        Err(fault) => (
            Suite::Ring,
            format!("ring, because the self-test of avx512 failed: {fault}"),
        ),
    })
}
