//! Reading captures: each frame once, whoever judges it.

use std::fs::File;
use std::io::{self, Read};
use std::time::Duration;

use super::capture::{Capture, CaptureError, Frame};
use super::clock::{Clock, Time};
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
    /// Of the capture that is being read.
    clock: Clock,
    doubtful: Option<Doubtful>,
    not_believed: u64,
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
        self.clock = Clock::default();
        self.not_believed = 0;
        judges.iter_mut().for_each(Judge::begin);
        let result = self.frames(&mut capture, judges, observer);
        self.summary.duration += self.clock.duration();
        self.summary.times_not_believed += self.not_believed;
        if self.not_believed > 0 {
            observer.disbelieves(name, self.not_believed);
        }
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
        let mut position = 0;
        let result = loop {
            match capture.next_frame() {
                Ok(Some(frame)) => self.frame(&frame, judges),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.summary.frames.is_multiple_of(FRAMES_PER_MESSAGE) {
                let now = capture.position();
                observer.advances(now - position);
                position = now;
            }
        };
        self.settle(None, judges);
        observer.advances(capture.position() - position);
        result
    }

    fn frame(&mut self, frame: &Frame<'_>, judges: &mut [Judge<'_>]) {
        self.summary.frames += 1;
        self.summary.bytes += u64::from(frame.wire_length);
        self.settle(Some(frame.timestamp), judges);
        if self.clock.doubts(frame.timestamp) {
            self.doubtful = Some(Doubtful::new(frame));
        } else {
            self.judge(frame, judges);
        }
    }

    /// Judges the frame that had to wait; `next` is the time of the one behind it, if there is one.
    fn settle(&mut self, next: Option<u64>, judges: &mut [Judge<'_>]) {
        let Some(doubtful) = self.doubtful.take() else {
            return;
        };
        let time = self.clock.settle(doubtful.timestamp, next);
        self.not_believed += u64::from(time != doubtful.timestamp);
        self.judge(&doubtful.at(time), judges);
    }

    fn judge(&mut self, frame: &Frame<'_>, judges: &mut [Judge<'_>]) {
        let now = match self.clock.advance(frame.timestamp) {
            Time::GoesOn(now) => now,
            Time::BeginsAgain(now) => {
                judges.iter_mut().for_each(Judge::begin);
                now
            }
        };
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

/// A frame whose time the next one may contradict, so that it has to wait for that.
struct Doubtful {
    timestamp: u64,
    link_type: u16,
    bytes: Vec<u8>,
    wire_length: u32,
}

impl Doubtful {
    fn new(frame: &Frame<'_>) -> Self {
        Self {
            timestamp: frame.timestamp,
            link_type: frame.link_type,
            bytes: frame.bytes.to_vec(),
            wire_length: frame.wire_length,
        }
    }

    /// The frame, as if it had been seen at that time.
    fn at(&self, timestamp: u64) -> Frame<'_> {
        Frame {
            timestamp,
            link_type: self.link_type,
            bytes: &self.bytes,
            wire_length: self.wire_length,
        }
    }
}
