//! A first start attaches before the programs that look into packets are verified: what ports tell is
//! enforced from then on, and what else there is passes.

use imblock::kernel::Loaded;
use imblock::testing::kernel_or_skip;
use imblock_common::View;
use imblock_common::layout::Stage;
use imblock_common::testkit::{ClientHello, Frame, flags};

use crate::captures::plan_of_text;

const POLICY: &str =
    "version: 1\nname: test\nrules: [{ services: [msn, whatsapp], action: drop }]\n";

#[test]
fn ports_are_enforced_before_packets_are_looked_into() {
    if !kernel_or_skip("ports_are_enforced_before_packets_are_looked_into") {
        return;
    }
    let plan = plan_of_text(POLICY);
    let halfway = [Stage::Flow, Stage::Reject];
    let starts = [
        (&[Stage::Reject][..], false),
        (&halfway, false),
        (&Stage::ALL, true),
    ];
    for (stages, reads_names) in starts {
        let (kernel, mut maps) = Loaded::unpinned(&plan.limits, stages).unwrap();
        maps.apply(&plan).unwrap();
        let passes = |port, flags, payload: &[u8]| {
            let frame = Frame::eth().ipv4("10.0.0.2", "198.51.100.7");
            let frame = frame.tcp(40_000, port).flags(flags).payload(payload);
            let frame = frame.build();
            kernel.test_run(View::LAN_INGRESS, &frame, None).unwrap()
        };
        let hello = ClientHello::new("web.whatsapp.com").build();
        let talk = flags::ACK | flags::PSH;
        assert!(!passes(1863, flags::SYN, &[]), "{stages:?}: MSN's port");
        assert!(passes(443, flags::SYN, &[]), "{stages:?}: the web's");
        assert_eq!(
            passes(443, talk, &hello),
            !reads_names,
            "{stages:?}: a name"
        );
    }
}
