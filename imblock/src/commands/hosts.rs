//! `hosts`: which host uses which service, once or going on.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::CommandError;
use super::target::Target;
use super::toggle::{known_services, select_all};
use crate::cli::HostsArgs;
use crate::exit::Exit;
use crate::kernel::Instance;
use crate::output::hosts::{self as output, HostQuery};
use crate::output::watch::Changes;
use crate::output::{Console, Format, ServiceNames};

pub(super) fn hosts(target: &Target, args: &HostsArgs) -> Result<Exit, CommandError> {
    let instance = target.open()?;
    let query = query(target, &instance, args)?;
    let format = Format::from_json_flag(args.output.json);
    if args.watch {
        return watch(target, args, query, format);
    }
    let status = target.status(&instance)?;
    let snapshot = instance.maps.snapshot()?;
    output::render(&status, &snapshot, query, format, &mut Console::new())?;
    Ok(Exit::Ok)
}

/// Shows what changed, interval by interval, until the reader goes away or the user interrupts.
/// The pins are opened each time: an instance that is taken down ends the watch with a word.
fn watch(
    target: &Target,
    args: &HostsArgs,
    query: HostQuery,
    format: Format,
) -> Result<Exit, CommandError> {
    let mut beat = Beat::every(Duration::from_secs_f64(args.interval), Instant::now());
    let mut console = Console::new();
    let mut previous = target.open()?.maps.snapshot()?;
    loop {
        // An interval may be long, and as JSON one without traffic writes nothing.
        console.pause_until(beat.next(Instant::now()))?;
        let instance = target.open()?;
        let status = target.status(&instance)?;
        let current = instance.maps.snapshot()?;
        let names = ServiceNames::of_status(&status);
        let changes = Changes::between(&names, &previous, &current, query, Timestamp::now());
        if format == Format::Text {
            console.begin_picture()?;
        }
        changes.render(&status, format, &mut console)?;
        previous = current;
    }
}

fn query(
    target: &Target,
    instance: &Instance,
    args: &HostsArgs,
) -> Result<HostQuery, CommandError> {
    let service = match &args.service {
        None => None,
        Some(id) => {
            let known = known_services(&target.state.load()?, instance)?;
            let selected = select_all(&known, std::slice::from_ref(id))?;
            match selected.as_slice() {
                [service] => Some(service.number),
                several => {
                    return Err(CommandError::NotOneService {
                        selector: id.clone(),
                        found: several.len(),
                    });
                }
            }
        }
    };
    Ok(HostQuery {
        service,
        top: args.top,
    })
}

/// Instants an interval apart, however long what is done at each of them takes.
struct Beat {
    interval: Duration,
    last: Instant,
}

impl Beat {
    fn every(interval: Duration, begin: Instant) -> Self {
        Self {
            interval,
            last: begin,
        }
    }

    /// The next one that is not over. Those that were missed are left out, and not made up for.
    fn next(&mut self, now: Instant) -> Instant {
        let late = now.saturating_duration_since(self.last);
        let missed = late.as_nanos() / self.interval.as_nanos().max(1);
        let missed = u32::try_from(missed).unwrap_or(u32::MAX - 1);
        self.last += self.interval.saturating_mul(missed + 1);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_that_take_their_time_keep_the_beat() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let mut beat = Beat::every(Duration::from_millis(500), begin);
        assert_eq!(beat.next(at(0)), at(500));
        // A look took 120 ms, and it was woken late.
        assert_eq!(beat.next(at(640)), at(1000));
        assert_eq!(beat.next(at(1499)), at(1500));
        // One that took longer than the interval costs what it has missed.
        assert_eq!(beat.next(at(2700)), at(3000));
        assert_eq!(beat.next(at(3001)), at(3500));
    }
}
