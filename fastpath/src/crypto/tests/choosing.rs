//! Which suite is chosen, on CPUs that have everything and on those that don't.

use super::*;
use crate::crypto::choose::{choose, choose_with};
use crate::crypto::features::Features;
use crate::crypto::selftest::self_test;

const ALL: Features = Features {
    f: true,
    bw: true,
    vl: true,
    ifma: true,
};

fn chosen(wanted: Option<&str>, features: Features) -> (Suite, String) {
    choose_with(wanted, features, || Ok(())).expect("a known value")
}

#[test]
fn the_fastest_that_the_cpu_has() {
    for wanted in [None, Some("auto"), Some("avx512")] {
        assert_eq!(chosen(wanted, ALL).0, Suite::Batch);
    }
}

#[test]
fn ring_where_any_part_is_missing_and_the_reason_names_it() {
    let without = [
        (Features { f: false, ..ALL }, "lacks avx512f"),
        (Features { bw: false, ..ALL }, "lacks avx512bw"),
        (Features { vl: false, ..ALL }, "lacks avx512vl"),
        (Features { ifma: false, ..ALL }, "lacks avx512ifma"),
        (
            Features {
                f: false,
                bw: false,
                vl: false,
                ifma: false,
            },
            "avx512f, avx512bw, avx512vl, avx512ifma",
        ),
    ];
    for (features, reason) in without {
        for wanted in [None, Some("avx512")] {
            let not_tested = || panic!("the multi-packet code must not run here");
            let (suite, why) = choose_with(wanted, features, not_tested).expect("a known value");
            assert_eq!(suite, Suite::Ring);
            assert!(why.ends_with(reason), "{why}");
        }
    }
}

#[test]
fn ring_when_it_is_wanted_whatever_the_cpu_has() {
    let (suite, why) = chosen(Some("ring"), ALL);
    assert_eq!(
        (suite, why.as_str()),
        (Suite::Ring, "ring, because WGNODE_CRYPTO=ring")
    );
    assert_eq!(choose(Some("ring")).expect("a known value").0, Suite::Ring);
}

#[test]
fn an_unknown_value_is_refused() {
    let fault = choose(Some("aes")).expect_err("not known");
    assert!(
        fault.contains("WGNODE_CRYPTO=aes") && fault.contains("ring, avx512 or auto"),
        "{fault}"
    );
}

/// Nothing but the benchmark's own build may leave encryption out.
#[test]
fn null_is_known_to_the_benchmarks_build_alone() {
    let chosen = choose(Some("null"));
    #[cfg(not(feature = "null-crypto"))]
    assert!(
        chosen
            .expect_err("not known")
            .contains("WGNODE_CRYPTO=null")
    );
    #[cfg(feature = "null-crypto")]
    assert_eq!(chosen.expect("known").0, Suite::Null);
}

#[test]
fn ring_when_the_self_test_fails_and_the_reason_says_so() {
    let (suite, why) = choose_with(None, ALL, || Err("no luck".into())).expect("a known value");
    assert_eq!(
        (suite, why.as_str()),
        (
            Suite::Ring,
            "ring, because the self-test of avx512 failed: no luck"
        )
    );
}

#[test]
fn the_choice_on_this_machine_passes_its_self_test() {
    let (suite, why) = choose(None).expect("nothing wanted");
    println!("{why}");
    assert_eq!(suite == Suite::Batch, Features::detect().batch(), "{why}");
}

#[test]
fn the_self_test_finds_another_key() {
    let fault = self_test(|raw| {
        let mut raw = *raw;
        raw[31] ^= 0x80;
        Key::new(&raw, Suite::Ring)
    });
    assert!(fault.is_err_and(|fault| fault.contains("other bytes than ring's")));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_broken_key_schedule_of_the_multi_packet_code_ends_with_ring() {
    if !Features::detect().batch() {
        return println!("skipped: this CPU lacks {:?}", Features::detect().missing());
    }
    let broken = |raw: &[u8; 32]| {
        let mut key = Key::new(raw, Suite::Batch);
        key.break_batch();
        key
    };
    let (suite, why) = choose_with(None, ALL, || self_test(broken)).expect("nothing wanted");
    assert_eq!(suite, Suite::Ring);
    assert!(
        why.contains("self-test of avx512 failed: 3 packets of 0 bytes"),
        "{why}"
    );
}
