//! `replay`: captures that are none, and outputs that can't be written.

use std::fs;
use std::process::Stdio;

use crate::support::{Ran, command, imblock, run};

/// The same frame, said to be of a link type that is not understood.
pub(crate) fn radio_capture() -> Vec<u8> {
    const LINK_TYPE_AT: usize = 20;
    let mut capture = irc_capture();
    capture[LINK_TYPE_AT] = 127;
    capture
}

/// A capture of one SYN from 10.0.0.2 to port 6667.
pub(crate) fn irc_capture() -> Vec<u8> {
    const SYN: [u8; 54] = [
        // Ethernet: to, from, IPv4.
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, //
        // IPv4 of 40 bytes, TCP, from 10.0.0.2 to 198.51.100.7.
        0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 198, 51, 100, 7, //
        // TCP from 50000 to 6667, SYN.
        0xc3, 0x50, 0x1a, 0x0b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0,
    ];
    let length = u32::try_from(SYN.len()).unwrap();
    let mut capture = Vec::new();
    // Little-endian pcap 2.4, frames up to 65535 bytes, Ethernet.
    for word in [
        0xa1b2_c3d4,
        0x0004_0002,
        0,
        0,
        65535,
        1,
        1_500_000_000,
        0,
        length,
        length,
    ] {
        capture.extend(u32::to_le_bytes(word));
    }
    capture.extend(SYN);
    capture
}

fn replay(captures: &[&str], bytes: &[u8]) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("irc.pcap"), bytes).unwrap();
    let mut arguments = vec!["replay", "-p", "audit", "--format", "json"];
    arguments.extend(captures);
    run(command(&arguments).current_dir(dir.path()))
}

#[test]
fn a_capture_is_told() {
    let json = replay(&["irc.pcap"], &irc_capture()).exits(0).json();
    assert_eq!((&json["version"], &json["frames"]), (&1.into(), &1.into()));
    assert_eq!(json["services"][0]["id"], "irc");
    assert_eq!(json["hosts"][0]["host"], "10.0.0.2");
    // A directory is every capture in it.
    let json = replay(&["."], &irc_capture()).exits(0).json();
    assert_eq!(json["captures"], 1);
}

#[test]
fn the_standard_input_is_a_capture() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    fs::write(&path, irc_capture()).unwrap();
    let mut command = command(&["replay", "--format", "json", "-"]);
    let json = run(command.stdin(fs::File::open(&path).unwrap()))
        .exits(0)
        .json();
    assert_eq!(json["services"][0]["id"], "irc");
    imblock(&["replay", "-"])
        .exits(1)
        .says("imblock: -")
        .in_one_line();
}

#[test]
fn what_is_no_capture_is_exit_1_and_named() {
    imblock(&["replay", "nowhere.pcap"])
        .exits(1)
        .in_one_line()
        .says("nowhere.pcap")
        .says("No such file");
    replay(&["irc.pcap"], b"")
        .exits(1)
        .in_one_line()
        .says("irc.pcap");
    replay(&["irc.pcap"], b"#!/bin/sh\nexit 0\n")
        .exits(1)
        .in_one_line()
        .says("irc.pcap is no capture");
    let empty = tempfile::tempdir().unwrap();
    imblock(&["replay", empty.path().to_str().unwrap()])
        .exits(1)
        .says("holds no *.pcap");
}

#[test]
fn one_bad_capture_does_not_hide_the_others() {
    let ran = replay(&["nowhere.pcap", "irc.pcap"], &irc_capture())
        .exits(1)
        .says("nowhere.pcap");
    let json = ran.json();
    assert_eq!((&json["captures"], &json["failed"]), (&1.into(), &1.into()));
    assert_eq!(json["services"][0]["id"], "irc");
}

#[test]
fn a_cut_capture_is_replayed_as_far_as_it_goes() {
    let ran = replay(&["irc.pcap"], &irc_capture()[..10]).exits(0);
    let ran = ran.says("warning: irc.pcap is cut");
    assert_eq!(ran.json()["frames"], 0);
    let mut two = irc_capture();
    let record = two[24..].to_vec();
    two.extend(&record[..30]);
    let ran = replay(&["irc.pcap"], &two)
        .exits(0)
        .says("warning: irc.pcap");
    assert_eq!(
        (&ran.json()["frames"], &ran.json()["cut"]),
        (&1.into(), &1.into())
    );
}

#[test]
fn an_output_that_can_not_be_written_is_exit_1() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("irc.pcap");
    fs::write(&path, irc_capture()).unwrap();
    let path = path.to_str().unwrap();
    for arguments in [
        ["replay", path].as_slice(),
        &["replay", "--format", "json", path],
        &["policy", "show", "-p", "audit"],
        &["policy", "check", "audit"],
        &["policy", "check", "--json", "audit"],
        &["man"],
        &["completions", "zsh"],
    ] {
        let full = fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let mut command = command(arguments);
        let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
        let ran = Ran::new(&command, &child.wait_with_output().unwrap());
        ran.exits(1).in_one_line().says("No space left");
    }
}
