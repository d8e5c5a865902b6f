//! What becomes of a packet whose service is told: what refusing actions have in common.

use imblock_common::content::{Finding, Reply};
use imblock_common::testkit::{Frame, World, flags, service};
use imblock_common::{Action, Evidence, Verdict, View, decide, parse, sight};

const REFUSING: [(Action, Verdict); 2] = [
    (Action::Drop, Verdict::Dropped),
    (Action::Reject, Verdict::Rejected),
];

/// The verdict on a packet at LAN ingress of which this was told, where the policy does the same to all.
fn verdict(frame: &Frame, told: Reply, action: Action) -> Option<Verdict> {
    let (frame, world) = (frame.build(), World::uniform(action));
    let segment = parse::frame(frame.as_slice()).ok()?;
    let about = sight(frame.as_slice(), &segment, View::ALL[0], &world);
    Some(decide(frame.as_slice(), &about, told, &world).verdict)
}

fn told(service: u16) -> Reply {
    Finding::flow(service, Evidence::Marker).reply()
}

fn to(port: u16) -> Frame {
    Frame::eth().ipv4("10.0.0.5", "192.0.2.7").tcp(40_000, port)
}

#[test]
fn what_is_only_likely_is_never_refused() {
    for (action, refused) in REFUSING {
        let irc = told(service::IRC);
        assert_eq!(verdict(&to(8080), irc, action), Some(refused));
        let likely = verdict(&to(8080), irc.likely(), action);
        assert_eq!(likely, Some(Verdict::Counted));
    }
}

#[test]
fn the_guard_is_asked_before_anything_is_refused() {
    for (action, _) in REFUSING {
        let guarded = verdict(&to(22), told(service::SHELL), action);
        assert_eq!(guarded, Some(Verdict::Guarded));
        let reset = to(22).flags(flags::RST);
        let guarded = verdict(&reset, told(service::SHELL), action);
        assert_eq!(guarded, Some(Verdict::Guarded));
    }
}

#[test]
fn a_reset_ends_what_is_rejected_and_not_what_is_dropped() {
    let reset = || to(8080).flags(flags::RST | flags::ACK);
    let irc = told(service::IRC);
    let verdicts = REFUSING.map(|(action, _)| verdict(&reset(), irc, action));
    assert_eq!(verdicts, [Some(Verdict::Dropped), Some(Verdict::Counted)]);
}
