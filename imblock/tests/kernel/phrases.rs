//! What the catalogue's markers look for, and what they just miss: every text and every run of bytes in
//! `policies/tests/markers`.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// All phrases, in the order of the files' names.
pub(crate) fn phrases() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/tests/markers");
    let files = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    let mut phrases = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        let fixtures: Value = serde_yaml::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        collect(&fixtures, &mut phrases);
    }
    assert!(phrases.len() > 400, "only {} phrases", phrases.len());
    phrases
}

fn collect(value: &Value, into: &mut Vec<Vec<u8>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
        Value::Object(fields) => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("text", Value::String(text)) => into.push(bytes_of_text(text)),
                    ("hex", Value::String(hex)) => into.push(bytes_of_hex(hex)),
                    _ => collect(field, into),
                }
            }
        }
        _ => {}
    }
}

/// Each character is a byte.
fn bytes_of_text(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn bytes_of_hex(hex: &str) -> Vec<u8> {
    let bytes = hex.split_whitespace();
    bytes
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}
