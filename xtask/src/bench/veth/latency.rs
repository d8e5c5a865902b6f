//! How much later a forwarded packet arrives: round trips of UDP through a router.
//!
//! One thread has both ends. All of a packet's way is done within the call that sends it, so nobody is
//! woken up, and what is measured is the way.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use imblock::lab::{Namespace, cable};

use super::super::sheet::{Line, Sheet};
use super::super::timer::{median, quantile};
use super::candidates::{
    BOTH_WAYS, BY_PORT, IMBLOCK, NFT_RAW, NFT_TRACKED, NOTHING, PASS, XDP_FILTER,
};
use super::filter::{Filter, Installed};
use super::frames::{OTHER_PORT, SERVER};
use super::imblock::Tool;
use super::peers::Step;
use super::rig::{self, ENTRANCE, EXIT};

pub(super) const TITLE: &str = "veth: round trip through a router, ns";

/// Round trips a round.
const TRIPS: usize = 2_000;
/// A round trip takes some microseconds.
const PATIENCE: Duration = Duration::from_secs(1);
const COMPARED: [&str; 7] = [
    NOTHING,
    PASS,
    IMBLOCK,
    BOTH_WAYS,
    XDP_FILTER,
    NFT_RAW,
    NFT_TRACKED,
];

/// A client, a router with a filter, and a server.
struct Path {
    name: &'static str,
    client: UdpSocket,
    server: UdpSocket,
    _filter: Installed,
    _networks: [Arc<Namespace>; 3],
    /// Of each round: the median, and what one in a hundred exceeds.
    medians: Vec<f64>,
    tails: Vec<f64>,
}

pub(super) fn sheet(tool: &Tool, rounds: u32) -> Result<Sheet> {
    let (mut paths, mut notes) = build(tool)?;
    for path in &paths {
        path.travel(TRIPS)?;
    }
    for _ in 0..rounds {
        for path in &mut paths {
            let times = path.travel(TRIPS)?;
            path.medians.push(quantile(&times, 50));
            path.tails.push(quantile(&times, 99));
        }
    }
    let nothing = paths.iter().find(|path| path.name == NOTHING);
    let nothing = nothing.context("there is no path without a filter")?;
    let lines = paths.iter().map(|path| Line {
        name: path.name.to_owned(),
        cells: vec![
            Some(median(&path.medians)),
            Some(added(&path.medians, &nothing.medians)),
            Some(median(&path.tails)),
            Some(added(&path.tails, &nothing.tails)),
        ],
    });
    let lines = lines.collect();
    notes.push(
        "XDP on a veth copies packets that come from sockets; that is what XDP_PASS adds here, and \
         no packet pays it that comes from a wire"
            .to_owned(),
    );
    Ok(Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec!["median", "added", "p99", "added"],
        lines,
        promises: Vec::new(),
        notes,
    })
}

/// A path for each that is compared, and why some are not.
fn build(tool: &Tool) -> Result<(Vec<Path>, Vec<String>)> {
    let (mut paths, mut notes) = (Vec::new(), Vec::new());
    for (name, filter, _) in BY_PORT {
        if !COMPARED.contains(&name) {
            continue;
        }
        match Path::build(name, filter, tool) {
            Ok(path) => paths.push(path),
            Err(error) if filter.must_be_there() => return Err(error),
            Err(error) => notes.push(format!("skipped: {name}: {error:#}")),
        }
    }
    Ok((paths, notes))
}

/// What one path takes over another, round by round.
fn added(own: &[f64], floor: &[f64]) -> f64 {
    let pairs = own.iter().zip(floor);
    let added: Vec<_> = pairs.map(|(own, floor)| own - floor).collect();
    median(&added)
}

impl Path {
    fn build(name: &'static str, filter: Filter, tool: &Tool) -> Result<Self> {
        let network = |name: &str| Namespace::new(name).map(Arc::new);
        let [client, router, server] = [network("client")?, network("router")?, network("server")?];
        router.sysctl("ipv4/ip_forward", "1")?;
        cable((&client, "eth0"), (&router, ENTRANCE))?;
        cable((&router, EXIT), (&server, "eth0"))?;
        addresses(
            &router,
            &[("10.0.0.1/8", ENTRANCE), ("198.51.100.1/24", EXIT)],
            None,
        )?;
        addresses(&client, &[("10.0.0.2/8", "eth0")], Some("10.0.0.1"))?;
        let server_address = format!("{SERVER}/24");
        addresses(&server, &[(&server_address, "eth0")], Some("198.51.100.1"))?;
        let filter = filter.install(&router, tool)?;
        let path = Self {
            name,
            client: client.run(|| UdpSocket::bind("10.0.0.2:49152"))??,
            server: server.run(|| UdpSocket::bind((SERVER, OTHER_PORT)))??,
            _filter: filter,
            _networks: [client, router, server],
            medians: Vec::new(),
            tails: Vec::new(),
        };
        path.client.connect((SERVER, OTHER_PORT))?;
        path.client.set_read_timeout(Some(PATIENCE))?;
        path.server.set_read_timeout(Some(PATIENCE))?;
        Ok(path)
    }

    /// Round trips, one after the other; how long each took, in nanoseconds.
    fn travel(&self, trips: usize) -> Result<Vec<f64>> {
        let mut buffer = [0; 64];
        let mut times = Vec::with_capacity(trips);
        for _ in 0..trips {
            let start = Instant::now();
            self.client.send(&[b'.'; 18])?;
            let (length, from) = self.server.recv_from(&mut buffer)?;
            let answer = buffer.get(..length).unwrap_or_default();
            self.server.send_to(answer, from)?;
            let returned = self.client.recv(&mut buffer)?;
            times.push(start.elapsed().as_secs_f64() * 1e9);
            ensure!(returned == length, "{}: another answer came", self.name);
        }
        Ok(times)
    }
}

fn addresses(
    namespace: &Namespace,
    addresses: &[(&str, &str)],
    router: Option<&str>,
) -> Result<()> {
    let adds = addresses
        .iter()
        .map(|(address, interface)| format!("addr add {address} dev {interface}\n"));
    let route = router.map(|router| format!("route add default via {router}\n"));
    let script = adds.chain(route).collect();
    rig::run(namespace, &Step::new("ip", "-batch -").reading(script))
}
