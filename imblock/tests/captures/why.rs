//! Frames of a capture that are asked about: those of the same flow, up to that one.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use imblock::why::capture::{NoFrame, find};

use crate::plan::plan;
use crate::replays::{CLIENT, IRC, START};
use crate::write::*;

/// Two packets to a server, and one to another between them.
fn capture() -> Vec<u8> {
    let other = ([192, 0, 2, 77], 6667);
    let frames = [IRC, other, IRC].map(|server| ethernet(IPV4, &tcp4(CLIENT, server, SYN)));
    let timed: Vec<Timed<'_>> = frames
        .iter()
        .map(|frame| (START, frame.as_slice()))
        .collect();
    pcap(Order::Little, false, 1, &timed)
}

#[test]
fn the_frames_of_the_flow_are_found_in_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("irc.pcap");
    fs::write(&path, capture()).unwrap();
    let found = find(&path, 3, &[], &plan()).unwrap();
    let steps: Vec<_> = found.steps.iter().map(|step| step.what.as_str()).collect();
    assert_eq!(steps, ["frame 1", "frame 3"]);
    let missing = find(&path, 4, &[], &plan()).err().unwrap();
    assert!(missing.to_string().contains("it has 3"), "{missing}");
    // A file that is the standard input of a command is a file.
    let open = File::open(&path).unwrap();
    let found = find(&by_descriptor(&open), 3, &[], &plan()).unwrap();
    assert_eq!(found.steps.len(), 2);
}

#[test]
fn a_pipe_is_refused_by_name_and_not_called_empty() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&capture()).unwrap();
    drop(writer);
    let path = by_descriptor(&reader);
    let refused = find(&path, 3, &[], &plan()).err().unwrap();
    assert!(matches!(refused, NoFrame::OnlyOnce { .. }), "{refused}");
    let words = refused.to_string();
    assert!(words.contains(path.to_str().unwrap()), "{words}");
    assert!(words.contains("write the capture to a file"), "{words}");
}

/// As `/dev/stdin` and `<(…)` are.
fn by_descriptor(file: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}
