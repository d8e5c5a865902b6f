//! A short run of the fuzzer finds nothing.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::process::Command;

fn fuzz(arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("fuzz").args(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(told).unwrap())
}

#[test]
fn ten_seconds_find_nothing() {
    let (found_nothing, told) = fuzz(&["--seconds", "10"]);
    assert!(found_nothing, "{told}");
    println!("{told}");
    assert!(told.contains("nothing found"), "{told}");
}
