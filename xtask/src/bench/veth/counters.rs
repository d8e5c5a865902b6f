//! What became of frames, by the counters of the network they were sent into. A figure counts only if
//! they say that the filter did what it is measured for.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::rig::{ENTRANCE, EXIT};

/// One frame in so many may be lost in the cable, when something else wanted the CPU.
const LOST_OF: u64 = 200;
/// What the network says by itself now and then.
const STRAY: u64 = 8;

/// Frames since the network was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// That came in, as the device counts them before any filter.
    entered: u64,
    /// That the stack was given as IPv4 packets.
    received: u64,
    /// With a wrong header.
    wrong: u64,
    /// That it forwarded.
    forwarded: u64,
    /// That came out, and were thrown away there.
    left: u64,
}

/// What is to become of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Dropped before IPv4 sees them.
    BeforeStack,
    /// Dropped in IPv4, by its hooks.
    InStack,
    /// Handed to IPv4, which finds that their headers' checksum is wrong.
    AtTheDoor,
    /// Forwarded.
    Forwarded,
}

impl Counters {
    /// Of the network that this thread is in.
    pub(super) fn read() -> Result<Self> {
        // `/proc/net` is that of the process's first thread.
        let read = |file: &str| {
            let path = format!("/proc/thread-self/net/{file}");
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        Self::parse(&read("dev")?, &read("snmp")?)
    }

    /// The same, once nothing is under way any more.
    pub(super) fn settled(since: Self, sent: u64) -> Result<Self> {
        const ASKED: u32 = 50;
        let mut now = Self::read()?;
        for _ in 0..ASKED {
            if now.entered >= since.entered + sent {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            now = Self::read()?;
        }
        Ok(now)
    }

    fn parse(devices: &str, protocols: &str) -> Result<Self> {
        const PACKETS: usize = 1;
        const DROPPED: usize = 3;
        Ok(Self {
            entered: device(devices, ENTRANCE, PACKETS)?,
            received: of_ipv4(protocols, "InReceives")?,
            wrong: of_ipv4(protocols, "InHdrErrors")?,
            forwarded: of_ipv4(protocols, "ForwDatagrams")?,
            left: device(devices, EXIT, DROPPED)?,
        })
    }

    /// How many frames arrived since.
    pub(super) fn entered_since(self, since: Self) -> u64 {
        self.entered.saturating_sub(since.entered)
    }

    /// An error unless what was sent since arrived, and fared as it should.
    pub(super) fn prove(self, since: Self, sent: u64, fate: Fate) -> Result<()> {
        let entered = self.entered_since(since);
        ensure!(
            entered <= sent + STRAY && entered + sent / LOST_OF >= sent,
            "{entered} frames arrived of {sent}"
        );
        let seen = [
            self.received.saturating_sub(since.received),
            self.wrong.saturating_sub(since.wrong),
            self.forwarded.saturating_sub(since.forwarded),
            self.left.saturating_sub(since.left),
        ];
        let [_, _, forwarded, _] = seen;
        let expected = match fate {
            Fate::BeforeStack => [0, 0, 0, 0],
            // Some kernels count what is to be forwarded before the hook there, some behind it.
            Fate::InStack => [entered, 0, forwarded, 0],
            Fate::AtTheDoor => [entered, entered, 0, 0],
            Fate::Forwarded => [entered, 0, entered, entered],
        };
        let fits = seen
            .iter()
            .zip(expected)
            .all(|(seen, expected)| seen.abs_diff(expected) <= STRAY);
        ensure!(
            fits,
            "of {entered} frames IPv4 got {seen:?} (all, wrong, forwarded, out again), not {expected:?}"
        );
        Ok(())
    }
}

/// A field of what the device received, in `/proc/net/dev`.
fn device(text: &str, name: &str, field: usize) -> Result<u64> {
    let line = text.lines().find_map(|line| {
        let (found, fields) = line.split_once(':')?;
        (found.trim() == name).then_some(fields)
    });
    let value = line.and_then(|fields| fields.split_whitespace().nth(field));
    Ok(value
        .with_context(|| format!("no counters of {name}"))?
        .parse()?)
}

/// A counter of `/proc/net/snmp`: a line of names, and one of values.
fn of_ipv4(text: &str, name: &str) -> Result<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with("Ip:"));
    let (names, values) = (lines.next(), lines.next());
    let place = names.and_then(|names| names.split_whitespace().position(|found| found == name));
    let value = place
        .zip(values)
        .and_then(|(place, values)| values.split_whitespace().nth(place));
    Ok(value
        .with_context(|| format!("no counter {name}"))?
        .parse()?)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const DEVICES: &str = "\
Inter-|   Receive                        |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo:       0       0    0    0    0     0          0         0        0       0
    p0:      90      70    0    0    0     0          0         0       90       1
  out0:      70      60    0   59    0     0          0         0        0       0
";
    const PROTOCOLS: &str = "\
Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos
Ip: 1 64 65 3 0 58 0
Icmp: InMsgs InErrors
Icmp: 0 0
";

    #[test]
    fn counters_are_read_by_name() {
        let expected = Counters {
            entered: 70,
            received: 65,
            wrong: 3,
            forwarded: 58,
            left: 59,
        };
        assert_eq!(Counters::parse(DEVICES, PROTOCOLS).unwrap(), expected);
        assert!(Counters::parse("", PROTOCOLS).is_err());
        assert!(Counters::parse(DEVICES, "Ip: InReceives\n").is_err());
    }

    fn after(entered: u64, received: u64, wrong: u64, forwarded: u64) -> Counters {
        Counters {
            entered,
            received,
            wrong,
            forwarded,
            left: forwarded,
        }
    }

    #[test]
    fn frames_fare_as_they_should_or_the_figure_is_none() {
        let cases = [
            (Fate::BeforeStack, after(1000, 0, 0, 0)),
            (Fate::InStack, after(1000, 1000, 0, 0)),
            (Fate::AtTheDoor, after(1000, 1000, 1000, 0)),
            (Fate::Forwarded, after(1000, 1000, 0, 1000)),
        ];
        for (fate, right) in cases {
            for (_, counters) in cases {
                let proved = counters.prove(Counters::default(), 1000, fate);
                assert_eq!(proved.is_ok(), counters == right, "{fate:?}");
            }
        }
    }

    #[test]
    fn frames_that_never_arrived_are_no_drops() {
        let none = Counters::default();
        let proved = |arrived| after(arrived, 0, 0, 0).prove(none, 1000, Fate::BeforeStack);
        assert!(proved(994).is_err());
        assert!(proved(996).is_ok());
    }
}
