//! `imblock replay`: what a policy would have done to captures.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ipnet::IpNet;

use super::say::say;
use crate::exit::Exit;
use crate::output::table::printable;
use crate::output::units::plural;
use crate::policy::{Plan, prefix_argument};
use crate::replay::capture::{CaptureError, Cut};
use crate::replay::{self, Format, Observer, ReplayError, ReplayRequest};

/// What `imblock replay` takes, but for the policy.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Hosts in PREFIX are the local ones; without it, the client of each flow is
    #[arg(long, value_name = "PREFIX", value_parser = prefix_argument)]
    pub local: Vec<IpNet>,
    /// List the flows of which a service was told
    #[arg(long)]
    pub flows: bool,
    /// How to report: for people, as one JSON document, or one JSON object a line
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// pcap or pcapng files, directories of them, or - for the standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,
}

/// Replays captures and reports on the standard output. [`Exit::Failed`] when a capture could not be
/// read; the others are reported all the same.
pub fn replay(args: &ReplayArgs, plan: &Plan) -> Result<Exit, ReplayError> {
    let request = ReplayRequest {
        captures: args.captures.clone(),
        local: args.local.clone(),
        flows: args.flows,
        format: args.format,
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut watcher = Watcher::new();
    let result = replay::run(&request, plan, &mut out, &mut watcher);
    watcher.finish();
    match result {
        Ok(summary) if summary.failed == 0 => Ok(Exit::Ok),
        Ok(_) => Ok(Exit::Failed),
        Err(error) if error.is_broken_pipe() => {
            // What is still buffered has nowhere to go; writing it again would only fail again.
            let _ = out.into_parts();
            Ok(Exit::Ok)
        }
        Err(error) => Err(error),
    }
}

/// Says which frames were not judged. What is told of captures is not about them.
pub(super) fn warn_of_unknown(link_types: &BTreeMap<u16, u64>) {
    for (link_type, frames) in link_types {
        say(format_args!(
            "warning: link type {link_type} is not understood: {} not judged",
            plural(*frames, "frame was", "frames were")
        ));
    }
}

/// A replay that takes no longer shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// Tells troubles and progress on the standard error.
pub(super) struct Watcher {
    bar: ProgressBar,
    started: Instant,
    terminal: bool,
}

impl Watcher {
    pub(super) fn new() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            started: Instant::now(),
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Takes the progress off the terminal.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn say(&self, line: &str) {
        // It names a file of a directory, perhaps, which may be called anything.
        let line = printable(line);
        self.bar.suspend(|| {
            // A standard error that can't be written to leaves nobody to tell.
            let _ = writeln!(io::stderr(), "{line}");
        });
    }
}

impl Observer for Watcher {
    fn begins(&mut self, bytes: u64) {
        // Without sizes (the standard input) there is nothing to fill a bar with.
        let template = if bytes > 0 {
            self.bar.set_length(bytes);
            "{wide_bar} {bytes} of {total_bytes}, {eta} left"
        } else {
            "{spinner} {bytes}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    fn advances(&mut self, bytes: u64) {
        if self.terminal && self.bar.is_hidden() && self.started.elapsed() >= PATIENCE {
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.inc(bytes);
    }

    fn is_cut(&mut self, cut: &Cut) {
        self.say(&format!("imblock: warning: {cut}"));
    }

    fn disbelieves(&mut self, capture: &str, frames: u64) {
        let frames = plural(frames, "frame has a time", "frames have times");
        self.say(&format!(
            "imblock: warning: {capture}: {frames} that the frames around contradict; judged at the time \
             of the frame before"
        ));
    }

    fn fails(&mut self, error: &CaptureError) {
        self.say(&format!("imblock: {error}"));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        args: ReplayArgs,
    }

    fn parse(args: &[&str]) -> Result<ReplayArgs, clap::Error> {
        let args = ["replay"].iter().chain(args);
        Cli::try_parse_from(args).map(|cli| cli.args)
    }

    #[test]
    fn a_local_prefix_may_be_an_address() {
        let args = parse(&["--local", "10.0.0.0/8", "--local", "2001:db8::1", "x.pcap"]).unwrap();
        let local: Vec<String> = args.local.iter().map(ToString::to_string).collect();
        assert_eq!(local, ["10.0.0.0/8", "2001:db8::1/128"]);
        assert_eq!(args.format, Format::Table);
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_what_to_write_instead() {
        for (wrong, instead) in [
            ("10.0.0.0/33", "10.0.5.0/24"),
            ("lan", "10.0.5.0/24"),
            ("", "10.0.5.0/24"),
            ("192.168.7.9/16", "192.168.0.0/16"),
        ] {
            let error = parse(&["--local", wrong, "x.pcap"]).unwrap_err();
            assert!(error.to_string().contains(instead), "{error}");
        }
    }

    #[test]
    fn a_capture_is_required() {
        assert!(parse(&["--flows"]).is_err());
    }
}
