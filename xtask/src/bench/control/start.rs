//! From nothing to a program that judges packets.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::super::site::{Site, interface};
use super::{START, Times};

/// How often to look whether the program is there.
const PAUSE: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(30);

/// One cold start: no maps, no programs, no pins are there before.
pub(super) fn measure(site: &Site, times: &mut Times) -> Result<()> {
    let lan = interface(0);
    // The last thing that is done: the policy is in force by then.
    let link = site.pins().join("links").join(format!("{lan}-ingress"));
    ensure!(!link.exists(), "{} is there before", link.display());
    let mut command = site.command(&["up", "-p", "audit", "-i", &lan]);
    let begin = Instant::now();
    let mut child = site.namespace.spawn(&mut command)?;
    let attached = loop {
        if link.exists() {
            break begin.elapsed();
        }
        if let Some(status) = child.try_wait()? {
            bail!("imblock up ended with {status} and attached nothing");
        }
        if begin.elapsed() > PATIENCE {
            let _ = child.kill();
            bail!("imblock up attaches nothing");
        }
        thread::sleep(PAUSE);
    };
    let status = child.wait()?;
    let whole = begin.elapsed();
    ensure!(status.success(), "imblock up ended with {status}");
    site.call(&["down"])?;
    times.add(
        "cold start, until the program is on the interface",
        Some(START),
        attached,
        None,
    );
    times.add("cold start, the whole command", None, whole, None);
    Ok(())
}
