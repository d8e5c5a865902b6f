//! Metrics over HTTP, in the text format of Prometheus and in OpenMetrics.
//!
//! Nothing is counted here: each scrape reads the [`Source`] anew, so the metrics are the kernel's
//! counters and can't drift from them. A source that fails gives an HTTP error with the reason,
//! never stale or partial figures.

mod collector;
mod families;
mod formats;
mod guests;
mod per_host;
mod server;

#[cfg(test)]
mod exposition;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::num::NonZeroUsize;

pub use server::serve;

use crate::snapshot::Snapshot;
use crate::status::Status;

/// Where the figures come from. Called off the async threads, so it may block.
pub trait Source: Send + Sync + 'static {
    /// What the instance is and does.
    fn status(&self) -> Result<Status, SourceError>;
    /// What the counters say.
    fn snapshot(&self) -> Result<Snapshot, SourceError>;
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The state of the instance is not to be had.
    #[error("can't read the state of the instance")]
    Status(#[source] Box<dyn Error + Send + Sync>),
    /// The counters are not to be had.
    #[error("can't read the counters")]
    Counters(#[source] Box<dyn Error + Send + Sync>),
}

/// What to tell.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Series of their own for this many hosts, those with the most bytes; the rest as host
    /// `other`. None for no series of hosts at all: who talks to whom is not everybody's business,
    /// and thousands of hosts are a burden on the reader.
    pub per_host: Option<NonZeroUsize>,
}
