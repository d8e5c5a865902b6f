//! One instance on 64 interfaces, with every table at the size of a large site.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::super::control::files::{self, Size};
use super::super::control::memory;
use super::super::sheet::{Line, Sheet};
use super::super::site::{self, Site};
use super::super::timer;
use crate::executable;

const INTERFACES: u32 = 64;

/// The large site.
const LARGE: Size = Size {
    names: 100_000,
    prefixes: 100_000,
    hosts: 200_000,
    flows: 2_000_000,
};

pub(super) fn run() -> Result<Vec<Sheet>> {
    timer::use_every_cpu()?;
    let executable = executable::release()?;
    let one = measure(&Site::new(&executable, "one", 1)?, 1)?;
    let many = measure(&Site::new(&executable, "many", INTERFACES)?, INTERFACES)?;
    let line = |name: &str, figure: fn(&Figures) -> f64| Line {
        name: name.to_owned(),
        cells: vec![Some(figure(&one)), Some(figure(&many))],
    };
    Ok(vec![Sheet {
        part: "interfaces",
        title: "one instance on 1 and on 64 interfaces".to_owned(),
        columns: vec!["1", "64"],
        lines: vec![
            line("run, until it is at work, ms", |figures| figures.start),
            line("status, ms", |figures| figures.status),
            line("down, ms", |figures| figures.down),
            line("maps, MiB", |figures| figures.maps),
            line("controller, MiB", |figures| figures.controller),
        ],
        promises: Vec::new(),
        notes: vec![format!(
            "room for {} (host, service) pairs and {} flows (a million of which do not push each other \
             out); {} names, {} prefixes",
            LARGE.hosts, LARGE.flows, LARGE.names, LARGE.prefixes
        )],
    }])
}

/// Of one instance.
struct Figures {
    start: f64,
    status: f64,
    down: f64,
    maps: f64,
    controller: f64,
}

fn measure(site: &Site, interfaces: u32) -> Result<Figures> {
    const MIB: f64 = 1024.0;

    files::write(site.home(), "large", &LARGE, 1)?;
    let names: Vec<String> = (0..interfaces).map(site::interface).collect();
    let mut arguments = vec!["-p", "large.yaml", "--listen", "none", "--keep"];
    for name in &names {
        arguments.extend(["-i", name]);
    }
    let (controller, start) = site.controller(&arguments)?;
    let status = site.call(&["status", "--json"])?;
    let told: Value = serde_json::from_str(&status.output)?;
    let told = told.get("interfaces").and_then(Value::as_array);
    let told = told.context("status tells of no interfaces")?;
    ensure!(
        told.len() == names.len()
            && told.iter().all(|interface| {
                interface.get("xdp") == Some(&Value::from("native"))
                    && interface.get("egress") == Some(&Value::from(true))
            }),
        "of {interfaces} interfaces status tells {told:?}"
    );
    let maps = memory::maps(&site.pins().join("maps"))?;
    let [resident, _] = memory::resident(controller.process())?;
    drop(controller);
    let down = site.call(&["down"])?;
    Ok(Figures {
        start: start.as_secs_f64() * 1e3,
        status: status.time.as_secs_f64() * 1e3,
        down: down.time.as_secs_f64() * 1e3,
        maps: maps.iter().map(|(_, size)| size).sum::<f64>() / MIB,
        controller: resident / MIB,
    })
}
