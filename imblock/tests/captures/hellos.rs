//! Hellos of real captures: cut anywhere, they tell the same name.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use bytemuck::Zeroable;
use imblock::replay::capture::Capture;
use imblock::replay::link::LinkLayer;
use imblock_common::Transport;
use imblock_common::content::Payload;
use imblock_common::parse::HostName;
use imblock_common::parse::tls::{self, Hearing};
use imblock_common::stream::Head;

/// A hello's name, as text, and how far it was heard.
type Told = (Hearing, Option<Vec<u8>>);

fn text(bytes: &[u8], host: HostName) -> Option<Vec<u8>> {
    let at = host.end - host.length.saturating_sub(1);
    host.is_some().then(|| bytes[at..host.end].to_vec())
}

/// What one segment tells.
fn alone(bytes: &[u8]) -> Told {
    let heard = tls::record(bytes, all(bytes));
    (heard.hearing, text(bytes, heard.server_name))
}

const fn all(bytes: &[u8]) -> Payload {
    Payload {
        at: 0,
        end: bytes.len(),
    }
}

/// What the segments tell one after the other.
fn together(head: &mut Head, segments: [&[u8]; 2]) -> Told {
    let first = alone(segments[0]);
    if first.0 != Hearing::More {
        return first;
    }
    head.begin(1, 0, 0);
    for bytes in segments {
        head.append(bytes, head.next, all(bytes), Head::header);
    }
    let heard = head.heard();
    (heard.hearing, text(&head.bytes, heard.server_name))
}

fn files(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.push(path);
        }
    }
}

/// Payloads of TCP that begin as a hello does, as far as the capture kept them whole.
fn hellos(path: &Path, into: &mut HashSet<Vec<u8>>) {
    let Ok(file) = File::open(path) else { return };
    let Ok(mut capture) = Capture::new(&path.display().to_string(), file) else {
        return;
    };
    while let Ok(Some(frame)) = capture.next_frame() {
        let Some(link) = LinkLayer::from_link_type(frame.link_type) else {
            continue;
        };
        let Ok(segment) = link.parse(frame.bytes) else {
            continue;
        };
        if segment.transport != Transport::Tcp {
            continue;
        }
        let body = segment.body(frame.bytes);
        let payload = frame
            .bytes
            .get(body.at..segment.end)
            .filter(|_| body.at != 0);
        let hello = payload.filter(|bytes| {
            bytes.starts_with(&[22, 3])
                && bytes.get(2).is_some_and(|minor| *minor <= 4)
                && bytes.get(5) == Some(&1)
        });
        into.extend(hello.map(<[u8]>::to_vec));
    }
}

#[test]
fn hellos_of_real_captures_tell_the_same_name_wherever_they_are_cut() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    if !captures.is_dir() {
        println!("skipped: no captures in {}", captures.display());
        return;
    }
    let (mut paths, mut found) = (Vec::new(), HashSet::new());
    files(&captures, &mut paths);
    for path in paths {
        hellos(&path, &mut found);
    }
    let (mut named, mut going_on) = (0, 0);
    let mut head = Head::zeroed();
    for hello in &found {
        let whole = alone(hello);
        named += usize::from(whole.1.is_some());
        going_on += usize::from(whole.0 == Hearing::More);
        for cut in 1..hello.len() {
            let told = together(&mut head, [&hello[..cut], &hello[cut..]]);
            assert_eq!(told, whole, "cut at {cut}: {hello:02x?}");
        }
    }
    println!(
        "{} hellos, {named} with a name, {going_on} that go on",
        found.len()
    );
    assert!(
        named > 100,
        "only {named} of {} hellos with a name",
        found.len()
    );
}
