//! The vectors of RFC 8439 that whole blocks can express.

use super::*;

const LETTERS: &str = "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f";

fn counting_key() -> Vec<u8> {
    (0..32).collect()
}

#[test]
fn block_function_of_2_3_2() {
    if !available() {
        return;
    }
    let block = "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e
                 d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e";
    assert_eq!(
        keystream(&counting_key(), &hex("000000090000004a00000000"), 1, 64),
        hex(block)
    );
}

#[test]
fn block_functions_of_a_1() {
    if !available() {
        return;
    }
    let blocks = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7
                  da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586
                  9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed
                  29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f";
    assert_eq!(keystream(&[0; 32], &[0; 12], 0, 128), hex(blocks));
}

#[test]
fn one_time_key_of_2_6_2() {
    if !available() {
        return;
    }
    let key = "8ad5a08b905f81cc815040274ab29471a833b637e3fd0da508dbb8e2fdd1a646";
    assert_eq!(
        keystream(&hex(LETTERS), &hex("000000000001020304050607"), 0, 32),
        hex(key)
    );
}

#[test]
fn carries_of_a_3() {
    if !available() {
        return;
    }
    // r, s, message, tag: numbers 7 to 11, each at an edge of the modulus or of a carry.
    let zero = "00000000000000000000000000000000";
    let ones = "ffffffffffffffffffffffffffffffff";
    let two = "02000000000000000000000000000000";
    let one = "01000000000000000000000000000000";
    let cases = [
        (
            two,
            zero,
            ones.to_owned(),
            "03000000000000000000000000000000",
        ),
        (
            two,
            ones,
            two.to_owned(),
            "03000000000000000000000000000000",
        ),
        (
            one,
            zero,
            format!("{ones}f0ffffffffffffffffffffffffffffff11{}", &zero[2..]),
            "05000000000000000000000000000000",
        ),
        (
            one,
            zero,
            format!("{ones}fbfefefefefefefefefefefefefefefe{}", "01".repeat(16)),
            zero,
        ),
        (
            two,
            zero,
            format!("fd{}", &ones[2..]),
            "faffffffffffffffffffffffffffffff",
        ),
    ];
    check_authenticator(&cases);
}

#[test]
fn wide_products_of_a_3() {
    if !available() {
        return;
    }
    let zero = "00000000000000000000000000000000";
    let r = "01000000000000000400000000000000";
    let head = format!("e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000{zero}");
    let cases = [
        (
            r,
            zero,
            format!("{head}01000000000000000000000000000000"),
            "14000000000000005500000000000000",
        ),
        (r, zero, head, "13000000000000000000000000000000"),
    ];
    check_authenticator(&cases);
}

fn check_authenticator(cases: &[(&str, &str, String, &str)]) {
    for (r, s, message, tag) in cases {
        for at_once in 1..=4 {
            let key = hex(&format!("{r}{s}"));
            assert_eq!(
                authenticate(&key, &hex(message), at_once),
                hex(tag),
                "message {message}"
            );
        }
    }
}

#[test]
fn aead_of_2_8_2() {
    if !available() {
        return;
    }
    let text = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                 sunscreen would be it.";
    let (aad, nonce) = (
        hex("50515253c0c1c2c3c4c5c6c7"),
        hex("070000004041424344454647"),
    );
    let (ciphertext, tag) = xor_and_tag(&hex(LETTERS), &nonce, &aad, text, false);
    let expected = "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92728b
                    1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
                    3ff4def08e4b7a9de576d26586cec64b6116";
    assert_eq!(ciphertext, hex(expected));
    assert_eq!(tag, hex("1ae10b594f09e26a7e902ecbd0600691"));
}
