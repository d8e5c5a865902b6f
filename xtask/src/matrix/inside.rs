//! What runs inside of a guest: every program through this kernel's verifier.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::json;

use crate::kernel_object;
use crate::workspace::OBJECT;

/// Prints a line of JSON a program: `{"program", "steps"}` with `null` steps where the kernel does not
/// tell them (before 5.16), or `{"program", "error"}`.
pub(super) fn run() -> Result<ExitCode> {
    let mut object = kernel_object::open(OBJECT)?;
    let programs: Vec<String> = object.programs().map(|(name, _)| name.to_owned()).collect();
    let mut refused = false;
    for program in programs {
        let line = match kernel_object::load(&mut object, &program) {
            Ok(info) => json!({"program": program, "steps": info.verified_instruction_count()}),
            Err(error) => {
                refused = true;
                json!({"program": program, "error": tail(&format!("{error:#}"))})
            }
        };
        println!("{line}");
    }
    Ok(ExitCode::from(u8::from(refused)))
}

/// The end of a verifier's log: why it refused. What comes before is how it got there.
fn tail(text: &str) -> String {
    const LINES: usize = 16;
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LINES);
    let first = lines.first().filter(|_| from > 0).copied();
    let last = lines.get(from..).unwrap_or_default();
    first
        .into_iter()
        .chain(last.iter().copied())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_first_line_and_the_last_ones_stay() {
        let log: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let tail = tail(&log.join("\n"));
        assert!(tail.starts_with("0\n984\n"), "{tail}");
        assert!(tail.ends_with("\n999"));
        assert_eq!(super::tail("one\ntwo"), "one\ntwo");
    }
}
