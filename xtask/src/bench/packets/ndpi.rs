//! What nDPI takes for a hello: a library in user space that is asked for the same answer.
//!
//! `ndpiReader` reads a capture of flows of one hello each, and one of the same flows without payload;
//! the difference of its CPU time is what the hellos cost. That leaves out the reading of packets and the
//! table of flows, both in its favour.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use imblock_common::testkit::{ClientHello, Frame, flags};

use crate::bench::classes::{self, DROPPED_NAME};
use crate::bench::timer;
use crate::workspace::output_of;

/// As many flows as make its time long against the hundredths of a second it is told in.
const FLOWS: u32 = 40_000;
/// Enough, for each takes half a second.
const ROUNDS_MAX: u32 = 5;
const READER: &str = "ndpiReader";

/// Nanoseconds a hello; or why it could not be measured.
pub(super) fn nanoseconds(rounds: u32) -> Result<Result<f64, String>> {
    let there = Command::new(READER)
        .arg("-h")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if there.is_err() {
        let reason = "ndpiReader is not installed (apt-get install libndpi-bin)";
        return Ok(Err(reason.to_owned()));
    }
    let folder = tempfile::tempdir()?;
    let [hellos, silence] = ["hellos.pcap", "silence.pcap"].map(|name| folder.path().join(name));
    let hello = ClientHello::new(DROPPED_NAME).build();
    std::fs::write(&hellos, capture(&hello))?;
    std::fs::write(&silence, capture(&[]))?;
    let mut costs = Vec::new();
    for _ in 0..rounds.min(ROUNDS_MAX) {
        let more = cpu_time(&hellos)? - cpu_time(&silence)?;
        costs.push(more / f64::from(FLOWS));
    }
    Ok(Ok(timer::median(&costs)))
}

/// A capture of one packet a flow.
fn capture(payload: &[u8]) -> Vec<u8> {
    /// Microseconds, version 2.4, Ethernet.
    const HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1];

    let segment = Frame::eth()
        .ipv4("10.0.0.2", "198.51.100.7")
        .tcp(0x8000, 443)
        .flags(flags::ACK | flags::PSH)
        .payload(payload)
        .build();
    let mut file: Vec<u8> = HEADER.iter().flat_map(|word| word.to_le_bytes()).collect();
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    for number in 0..FLOWS {
        for word in [1, number, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(classes::of_flow(number, segment.clone()));
    }
    file
}

/// CPU time that nDPI takes for a capture, in nanoseconds. An error unless it found every flow.
fn cpu_time(capture: &Path) -> Result<f64> {
    let before = timer::cpu_time_of_children()?;
    let said = output_of(Command::new(READER).arg("-i").arg(capture))?;
    let after = timer::cpu_time_of_children()?;
    let found = format!("flows: {FLOWS} ");
    ensure!(
        said.lines()
            .any(|line| line.contains("TLS") && line.contains(&found)),
        "nDPI did not tell {FLOWS} flows of TLS in {}",
        capture.display()
    );
    Ok(after.saturating_sub(before).as_secs_f64() * 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_has_a_packet_a_flow() {
        const FRAME: usize = 14 + 20 + 20 + 4;
        let file = capture(&[1, 2, 3, 4]);
        let flows = usize::try_from(FLOWS).unwrap_or(0);
        assert_eq!(file.len(), 24 + flows * (16 + FRAME));
    }
}
