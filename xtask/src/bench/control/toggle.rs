//! A toggle, until the first packet is judged otherwise.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use imblock::kernel::{ActionChange, Instance, Loaded};
use imblock_common::testkit::Frame;
use imblock_common::{Action, View};

use super::super::site::Site;
use super::files::{COUNTED, port};
use super::{TOGGLE, Times};

/// Until packets are under way.
const WARM_UP: Duration = Duration::from_millis(20);

pub(super) fn measure(site: &Site, times: &mut Times) -> Result<()> {
    let name = site.instance()?;
    let loaded = Loaded::of_instance(&name)?;
    site.call(&["reset", COUNTED])?;
    let (called, dropped) = until_dropped(&loaded, || site.call(&["block", COUNTED]))?;
    times.add(
        "toggle, from exec until a packet is dropped",
        Some(TOGGLE),
        dropped.saturating_duration_since(called.began),
        None,
    );
    times.add("toggle, the whole command", None, called.time, None);
    site.call(&["reset", COUNTED])?;

    // The same without a new process and without what it writes down.
    let (began, dropped) = until_dropped(&loaded, || {
        let began = Instant::now();
        let mut instance = Instance::open(&name)?;
        let numbers = instance.maps.service_numbers()?;
        let mut numbers = numbers.iter();
        let found = numbers.find(|(id, _)| *id == COUNTED);
        let (_, service) = found.context("the service is gone")?;
        let change = ActionChange {
            group: 0,
            service,
            action: Some(Action::Drop),
            end: None,
        };
        instance.maps.toggle(|_| vec![change])?;
        Ok(began)
    })?;
    times.add(
        "toggle, in a process, until a packet is dropped",
        None,
        dropped.saturating_duration_since(began),
        None,
    );
    site.call(&["reset", COUNTED])?;
    Ok(())
}

/// Does something while packets of the service come, and says when the first of them was dropped.
fn until_dropped<T>(loaded: &Loaded, act: impl FnOnce() -> Result<T>) -> Result<(T, Instant)> {
    let frame = Frame::eth()
        .ipv4("10.9.9.9", "198.51.100.7")
        .udp(40_000, port(1))
        .build();
    let passes = || loaded.test_run(View::ALL[0], &frame, None);
    ensure!(passes()?, "the service is dropped before the toggle");
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let first = scope.spawn(|| -> Result<Instant> {
            loop {
                // Whoever is done before this packet comes must have had an effect on it.
                let must_drop = done.load(Ordering::Acquire);
                if !passes()? {
                    return Ok(Instant::now());
                }
                ensure!(!must_drop, "the toggle has no effect");
            }
        });
        thread::sleep(WARM_UP);
        let acted = act();
        done.store(true, Ordering::Release);
        let first = first.join().map_err(|_| anyhow!("the packets stopped"))?;
        Ok((acted?, first?))
    })
}
