//! By what the router was told a service, as its metrics say.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use imblock::lab::Host;

/// Where the controller listens: an address of the router's own, hence free in every case.
pub(crate) const ADDRESS: &str = "127.0.0.1:9863";
const FAMILY: &str = "imblock_service_packets_total{";

/// Packets by service, evidence and verdict.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Told(BTreeMap<[String; 3], u64>);

impl Told {
    /// Asks the controller on a router.
    #[track_caller]
    pub(super) fn scrape(router: &Host) -> Self {
        let page = router.namespace.run(get).unwrap().unwrap();
        let cells = page.lines().filter_map(|line| {
            let (labels, count) = line.strip_prefix(FAMILY)?.split_once("} ")?;
            let key = ["service", "evidence", "verdict"].map(|name| label(labels, name));
            Some((key, count.trim().parse().unwrap()))
        });
        Self(cells.collect())
    }

    /// What was added since.
    pub(super) fn since(self, before: &Self) -> Self {
        let grown = self.0.into_iter().filter_map(|(key, count)| {
            let more = count - before.0.get(&key).copied().unwrap_or(0);
            (more > 0).then_some((key, more))
        });
        Self(grown.collect())
    }

    /// All services that were told.
    pub(super) fn services(&self) -> BTreeSet<&str> {
        self.0.keys().map(|[service, ..]| &**service).collect()
    }

    /// All evidence that told one.
    pub(super) fn evidence(&self) -> BTreeSet<&str> {
        self.0.keys().map(|[_, evidence, _]| &**evidence).collect()
    }

    /// Packets of a service that came to a verdict.
    pub(super) fn packets_of(&self, service: &str, verdict: &str) -> u64 {
        self.0
            .iter()
            .filter(|([of, _, came_to], _)| of == service && came_to == verdict)
            .map(|(_, packets)| packets)
            .sum()
    }
}

/// The page, by HTTP/1.0 so that it ends with the connection.
fn get() -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: router\r\n\r\n")?;
    let mut page = String::new();
    stream.read_to_string(&mut page)?;
    Ok(page)
}

/// The value of a label. No id has quotes in it.
#[track_caller]
fn label(labels: &str, name: &str) -> String {
    let value = labels
        .split(',')
        .find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""))
        .and_then(|rest| rest.strip_suffix('"'));
    value
        .unwrap_or_else(|| panic!("no {name} in {labels}"))
        .to_owned()
}
