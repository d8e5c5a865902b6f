//! Reading captures: each frame once, whoever judges it.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use super::capture::{Capture, CaptureError, Frame};
use super::link::LinkLayer;
use super::sources::Source;
use super::{Judge, Observer, ReplaySummary};

/// How many frames pass between two messages to the observer.
const FRAMES_PER_MESSAGE: u64 = 4096;

/// What was read. All judges see every frame, at the same time of the capture.
#[derive(Default)]
pub(super) struct Reading {
    /// What can be told without a judge.
    pub(super) summary: ReplaySummary,
}

impl Reading {
    /// Reads a capture as far as it goes, and tells what is wrong with it. Its name.
    pub(super) fn source(
        &mut self,
        source: Result<Source, CaptureError>,
        judges: &mut [Judge<'_>],
        observer: &mut dyn Observer,
    ) -> String {
        let (name, result) = match source {
            Ok(source) => {
                let name = source.name();
                let result = self.open(&source, &name, judges, observer);
                (name, result)
            }
            Err(error) => (String::new(), Err(error)),
        };
        if let Err(error) = result {
            self.summary.failed += 1;
            observer.fails(&error);
        }
        name
    }

    /// What was read, and what a judge made of it.
    pub(super) fn finish(mut self, judge: &Judge<'_>, elapsed: Duration) -> ReplaySummary {
        self.summary.elapsed = elapsed;
        self.summary.packets_without_flow = judge.flows.packets_without_flow();
        self.summary.snapshot = judge.tables.snapshot();
        // The clocks of several captures are not one.
        self.summary.snapshot.taken_at = 0;
        self.summary
    }

    fn open(
        &mut self,
        source: &Source,
        name: &str,
        judges: &mut [Judge<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), CaptureError> {
        match source {
            Source::Stdin => self.capture(name, io::stdin().lock(), judges, observer),
            Source::File(path) => match File::open(path) {
                Ok(file) => self.capture(name, file, judges, observer),
                Err(source) => Err(CaptureError::Open {
                    file: name.to_owned(),
                    source,
                }),
            },
        }
    }

    fn capture<R: Read>(
        &mut self,
        name: &str,
        source: R,
        judges: &mut [Judge<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), CaptureError> {
        let mut capture = Capture::new(name, source)?;
        self.summary.captures += 1;
        judges.iter_mut().for_each(Judge::begin);
        let result = self.frames(&mut capture, judges, observer);
        if let Some(cut) = capture.cut() {
            self.summary.cut += 1;
            observer.is_cut(cut);
        }
        result
    }

    fn frames<R: Read>(
        &mut self,
        capture: &mut Capture<R>,
        judges: &mut [Judge<'_>],
        observer: &mut dyn Observer,
    ) -> Result<(), CaptureError> {
        let mut clock = Clock::default();
        let mut position = 0;
        let result = loop {
            match capture.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, &mut clock, judges),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.summary.frames.is_multiple_of(FRAMES_PER_MESSAGE) {
                let now = capture.position();
                observer.advances(now - position);
                position = now;
            }
        };
        observer.advances(capture.position() - position);
        self.summary.duration += clock.duration();
        result
    }

    fn frame(&mut self, frame: &Frame<'_>, clock: &mut Clock, judges: &mut [Judge<'_>]) {
        self.summary.frames += 1;
        self.summary.bytes += u64::from(frame.wire_length);
        let now = clock.advance(frame.timestamp);
        let Some(link) = LinkLayer::from_link_type(frame.link_type) else {
            let unknown = &mut self.summary.unknown_link_types;
            *unknown.entry(frame.link_type).or_default() += 1;
            return;
        };
        for judge in judges {
            judge.frame(frame, link, now);
        }
    }
}

/// The time in a capture. It does not go back where a frame is out of order, or a second of a host
/// would be counted twice.
#[derive(Default)]
struct Clock {
    span: Option<(u64, u64)>,
}

impl Clock {
    fn advance(&mut self, timestamp: u64) -> u64 {
        let (first, last) = self.span.unwrap_or((timestamp, timestamp));
        let last = last.max(timestamp);
        self.span = Some((first, last));
        last
    }

    fn duration(&self) -> Duration {
        let (first, last) = self.span.unwrap_or_default();
        Duration::from_nanos(last - first)
    }
}
