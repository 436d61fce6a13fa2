//! Wycheproof's vectors, and those of PyPI's cryptography-vectors, read from folders that environment variables name.

use std::path::PathBuf;

use super::*;

struct Vector {
    name: String,
    key: Vec<u8>,
    nonce: Vec<u8>,
    aad: Vec<u8>,
    text: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
    valid: bool,
}

/// The file below the folder that `variable` names; says so where there is none.
fn file(variable: &str, name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os(variable) else {
        println!("skipped: {variable} names no folder with {name}");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    Some(
        std::fs::read_to_string(&path)
            .unwrap_or_else(|fault| panic!("{}: {fault}", path.display())),
    )
}

#[test]
fn wycheproof() {
    let Some(text) = file("WGNODE_VECTORS", "chacha20_poly1305.json").filter(|_| available())
    else {
        return;
    };
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let tests = json["tests"].as_array().expect("a list of tests");
    check_all(tests.iter().map(from_json));
}

fn from_json(test: &serde_json::Value) -> Vector {
    let bytes = |name: &str| hex(test[name].as_str().expect("hex digits"));
    Vector {
        name: format!("tcId {}", test["tcId"]),
        key: bytes("key"),
        nonce: bytes("iv"),
        aad: bytes("aad"),
        text: bytes("msg"),
        ciphertext: bytes("ct"),
        tag: bytes("tag"),
        valid: test["result"] == "valid",
    }
}

#[test]
fn boringssl() {
    let name = "ciphers/ChaCha20Poly1305/boringssl.txt";
    if let Some(text) = file("WGNODE_CRYPTOGRAPHY_VECTORS", name).filter(|_| available()) {
        check_all(text.split("\n\n").filter_map(from_text));
    }
}

/// Lines such as `KEY= 00ff` or `IN= "text"`; none for a paragraph without a key.
fn from_text(paragraph: &str) -> Option<Vector> {
    let field = |name: &str| {
        let line = paragraph
            .lines()
            .find(|line| line.split('=').next() == Some(name))?;
        let value = line[name.len() + 1..].trim();
        Some(match value.strip_prefix('"') {
            Some(text) => text.trim_end_matches('"').as_bytes().to_vec(),
            None => hex(value),
        })
    };
    let part = |name| field(name).unwrap_or_default();
    let tag = part("TAG");
    (tag.len() == 16).then_some(())?;
    let (name, key) = (paragraph.lines().next()?.to_owned(), field("KEY")?);
    let (nonce, aad, text, ciphertext) = (part("NONCE"), part("AD"), part("IN"), part("CT"));
    Some(Vector {
        name,
        key,
        nonce,
        aad,
        text,
        ciphertext,
        tag,
        valid: true,
    })
}

fn check_all(vectors: impl Iterator<Item = Vector>) {
    let (mut valid, mut invalid) = (0, 0);
    for vector in vectors {
        check(&vector);
        *(if vector.valid {
            &mut valid
        } else {
            &mut invalid
        }) += 1;
    }
    println!("{valid} valid and {invalid} invalid vectors");
    assert!(valid > 0, "a file without vectors");
}

fn check(v: &Vector) {
    let (opened, expected_tag) = xor_and_tag(&v.key, &v.nonce, &v.aad, &v.ciphertext, true);
    assert_eq!(expected_tag == v.tag, v.valid, "{}: the tag", v.name);
    if v.valid {
        let (sealed, tag) = xor_and_tag(&v.key, &v.nonce, &v.aad, &v.text, false);
        assert_eq!(
            (opened, sealed, tag),
            (v.text.clone(), v.ciphertext.clone(), v.tag.clone()),
            "{}",
            v.name
        );
    }
}
