//! Whole replays: what is counted, which flows are listed, what is said of bad captures.

use std::fs;
use std::path::{Path, PathBuf};

use imblock::replay::capture::{CaptureError, Cut};
use imblock::replay::{Format, Observer, ReplayError, ReplayRequest, ReplaySummary, run};
use serde_json::Value;

use crate::plan::plan;
use crate::write::*;

pub(crate) const CLIENT: ([u8; 4], u16) = ([10, 0, 0, 1], 40_000);
pub(crate) const IRC: ([u8; 4], u16) = ([192, 0, 2, 1], 6667);
const STUN: ([u8; 4], u16) = ([192, 0, 2, 9], 3478);
const WEB: ([u8; 4], u16) = ([192, 0, 2, 2], 443);
pub(crate) const START: u64 = 1_700_000_000 * SECOND;

/// What an observer was told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) bytes: u64,
    pub(crate) advanced: u64,
    pub(crate) cut: Vec<String>,
    pub(crate) failed: Vec<String>,
    /// Captures with frames whose times were not believed, and how many.
    pub(crate) disbelieved: Vec<(String, u64)>,
}

impl Observer for Told {
    fn begins(&mut self, bytes: u64) {
        self.bytes = bytes;
    }

    fn advances(&mut self, bytes: u64) {
        self.advanced += bytes;
    }

    fn is_cut(&mut self, cut: &Cut) {
        self.cut.push(cut.to_string());
    }

    fn disbelieves(&mut self, capture: &str, frames: u64) {
        self.disbelieved.push((capture.to_owned(), frames));
    }

    fn fails(&mut self, error: &CaptureError) {
        self.failed.push(error.to_string());
    }
}

pub(crate) fn request(captures: &[&Path], format: Format) -> ReplayRequest {
    ReplayRequest {
        captures: captures.iter().map(|path| path.to_path_buf()).collect(),
        local: Vec::new(),
        flows: true,
        format,
    }
}

fn replay(request: &ReplayRequest) -> (ReplaySummary, String, Told) {
    let (mut out, mut told) = (Vec::new(), Told::default());
    let summary = run(request, &plan(), &mut out, &mut told).unwrap();
    (summary, String::from_utf8(out).unwrap(), told)
}

/// Three packets of IRC in a TCP connection, one STUN answer, one packet of the web, one ARP.
fn mixed() -> Vec<u8> {
    let frames = [
        ethernet(IPV4, &tcp4(CLIENT, IRC, SYN)),
        ethernet(IPV4, &tcp4(IRC, CLIENT, SYN_ACK)),
        ethernet(IPV4, &udp4(STUN, CLIENT)),
        ethernet(IPV4, &tcp4(CLIENT, WEB, PUSH_ACK)),
        ethernet(0x0806, &[0; 28]),
        ethernet(IPV4, &tcp4(CLIENT, IRC, PUSH_ACK)),
    ];
    let timed: Vec<Timed<'_>> = (0..)
        .zip(&frames)
        .map(|(second, frame)| (START + second * SECOND, frame.as_slice()))
        .collect();
    pcap(Order::Little, false, 1, &timed)
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn flows_are_one_object_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "office/mixed.pcap", &mixed());
    let (_, out, _) = replay(&request(&[&path], Format::Ndjson));
    let out = out.replace(directory.path().to_str().unwrap(), "CAPTURES");
    insta::assert_snapshot!(out.trim_end(), @r#"
    {"capture":"CAPTURES/office/mixed.pcap","transport":"tcp","client":"10.0.0.1","client_port":40000,"server":"192.0.2.1","server_port":6667,"service":"irc","category":"im","evidence":"port","verdict":"dropped","packets":3,"bytes":192,"first_seen":"2023-11-14T22:13:20Z"}
    {"capture":"CAPTURES/office/mixed.pcap","transport":"udp","client":"10.0.0.1","client_port":40000,"server":"192.0.2.9","server_port":3478,"service":"stun","category":"voip","evidence":"port","verdict":"counted","packets":1,"bytes":52,"first_seen":"2023-11-14T22:13:22Z"}
    "#);
}

#[test]
fn the_document_says_what_was_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "mixed.pcap", &mixed());
    let request = ReplayRequest {
        flows: false,
        ..request(&[&path], Format::Json)
    };
    let (_, out, told) = replay(&request);
    let steady: Vec<_> = out
        .lines()
        .filter(|line| !line.contains("elapsed_seconds") && !line.contains("frames_per_second"))
        .collect();
    assert_eq!(steady.len() + 2, out.lines().count());
    insta::assert_snapshot!("document", steady.join("\n"));
    assert_eq!(told.bytes, told.advanced);
    assert_eq!(told.bytes, fs::metadata(&path).unwrap().len());
}

#[test]
fn the_table_is_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "mixed.pcap", &mixed());
    let request = ReplayRequest {
        flows: false,
        ..request(&[&path], Format::Table)
    };
    let (_, out, _) = replay(&request);
    let elapsed = out.rfind("; replayed in").unwrap();
    insta::assert_snapshot!(&out[..elapsed], @r"
    SERVICE  EVIDENCE  VERDICT  PACKETS  BYTES
    irc      port      dropped        3    192
    stun     port      counted        1     52

    HOST      SERVICE  PASSED  BYTES  REFUSED  BYTES  SECONDS
    10.0.0.1  irc           0      0        3    192        3
    10.0.0.1  stun          1     52        0      0        1

    OUTCOME       FRAMES
    identified         4
    unidentified       1
    not_ip             1

    Policy test: captures 1, failed 0, cut 0; frames 6 (360 B, 5.0 s of traffic); flows identified 2
    ");
}

#[test]
fn the_table_lists_flows_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "mixed.pcap", &mixed());
    let (_, out, _) = replay(&request(&[&path], Format::Table));
    let name = path.to_str().unwrap();
    let line = out.lines().find(|line| line.starts_with(name)).unwrap();
    let cells: Vec<_> = line.split_whitespace().collect();
    let expected =
        "2023-11-14T22:13:20Z 10.0.0.1:40000 192.0.2.1:6667/tcp irc im port dropped 3 192";
    assert_eq!(cells[1..].join(" "), expected);
}

#[test]
fn without_flows_ndjson_is_the_document_on_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "mixed.pcap", &mixed());
    let request = ReplayRequest {
        flows: false,
        ..request(&[&path], Format::Ndjson)
    };
    let (_, out, _) = replay(&request);
    assert_eq!(out.lines().count(), 1);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["frames"], 6);
    assert!(document.get("flows").is_none());
}

#[test]
fn a_bad_capture_among_good_ones_does_not_stop_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let good = mixed();
    write(directory.path(), "a.pcap", &good);
    write(directory.path(), "b/c.PCAP", &good[..good.len() - 1]);
    write(directory.path(), "d.pcapng", b"no capture at all");
    write(directory.path(), "e.cap", &good);
    write(directory.path(), "f.txt", b"not looked at");
    let missing = directory.path().join("missing.pcap");
    let (summary, out, told) = replay(&request(&[directory.path(), &missing], Format::Json));

    assert_eq!((summary.captures, summary.failed, summary.cut), (3, 2, 1));
    assert_eq!(summary.frames, 6 + 5 + 6);
    assert_eq!(told.cut.len(), 1);
    assert!(told.cut[0].contains("c.PCAP is cut"), "{}", told.cut[0]);
    assert!(
        told.failed[0].contains("d.pcapng is no capture"),
        "{}",
        told.failed[0]
    );
    assert!(
        told.failed[1].contains("missing.pcap"),
        "{}",
        told.failed[1]
    );
    let document: Value = serde_json::from_str(&out).unwrap();
    let captures: Vec<_> = document["flows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| flow["capture"].as_str().unwrap())
        .map(|capture| Path::new(capture).file_name().unwrap().to_str().unwrap())
        .collect();
    let sorted = ["a.pcap", "a.pcap", "c.PCAP", "c.PCAP", "e.cap", "e.cap"];
    assert_eq!(captures, sorted);
}

#[test]
fn a_directory_without_captures_is_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let (summary, _, told) = replay(&request(&[directory.path()], Format::Json));
    assert_eq!((summary.captures, summary.failed), (0, 1));
    assert!(
        told.failed[0].contains("holds no *.pcap"),
        "{}",
        told.failed[0]
    );
}

#[test]
fn frames_of_an_unknown_link_type_are_counted_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(
        directory.path(),
        "wlan.pcap",
        &pcap(
            Order::Little,
            false,
            127,
            &[(0, b"radiotap"), (0, b"radiotap")],
        ),
    );
    let (summary, out, _) = replay(&request(&[&path], Format::Json));
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(document["outcomes"]["unknown_link_type"], 2);
    assert_eq!(document["unknown_link_types"]["127"], 2);
    assert_eq!(summary.frames, 2);
    let (_, out, _) = replay(&request(&[&path], Format::Table));
    assert!(
        out.contains("Link type 127 is not understood: 2 frames"),
        "{out}"
    );
}

#[test]
fn flows_begin_afresh_with_each_capture() {
    let directory = tempfile::tempdir().unwrap();
    // In the first capture 10.0.0.1 calls, in the second it is called.
    let port = 6667;
    let (one, other) = (([10, 0, 0, 1], port), ([10, 0, 0, 2], port));
    let call = |from, to| pcap(Order::Little, false, 101, &[(START, &tcp4(from, to, SYN))]);
    let first = write(directory.path(), "first.pcap", &call(one, other));
    let second = write(directory.path(), "second.pcap", &call(other, one));
    let (_, out, _) = replay(&request(&[&first, &second], Format::Ndjson));
    let clients: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["client"].clone())
        .collect();
    assert_eq!(clients, ["10.0.0.1", "10.0.0.2"]);
}

#[test]
fn what_the_user_calls_local_decides() {
    let directory = tempfile::tempdir().unwrap();
    // The host with the IRC port is the local one: its peer's port tells nothing.
    let capture = pcap(
        Order::Little,
        false,
        101,
        &[(START, &tcp4(CLIENT, IRC, SYN))],
    );
    let path = write(directory.path(), "x.pcap", &capture);
    let request = ReplayRequest {
        local: vec!["192.0.2.0/24".parse().unwrap()],
        ..request(&[&path], Format::Ndjson)
    };
    let (summary, out, _) = replay(&request);
    assert_eq!(out, "");
    assert_eq!(summary.identified_flows, 0);
}

#[test]
fn a_frame_out_of_order_makes_no_new_active_second() {
    let directory = tempfile::tempdir().unwrap();
    let packet = tcp4(CLIENT, IRC, PUSH_ACK);
    let times = [5_000, 5_100, 4_900, 5_200, 6_500];
    let frames: Vec<Timed<'_>> = times
        .iter()
        .map(|time| (START + time * 1_000_000, packet.as_slice()))
        .collect();
    let path = write(
        directory.path(),
        "x.pcap",
        &pcap(Order::Little, true, 101, &frames),
    );
    let (summary, _, _) = replay(&request(&[&path], Format::Json));
    assert_eq!(summary.snapshot.hosts[0].record.active_seconds, 2);
    assert_eq!(summary.duration.as_millis(), 1_500);
}

/// An output that nobody reads any more.
struct Gone;

impl std::io::Write for Gone {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_can_be_told_from_a_full_disk() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "mixed.pcap", &mixed());
    for format in [Format::Table, Format::Json, Format::Ndjson] {
        let request = request(&[&path], format);
        let error: ReplayError =
            run(&request, &plan(), &mut Gone, &mut Told::default()).unwrap_err();
        assert!(error.is_broken_pipe(), "{format:?}: {error}");
    }
    let full = ReplayError::Output(std::io::ErrorKind::StorageFull.into());
    assert!(!full.is_broken_pipe());
}
