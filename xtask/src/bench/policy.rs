//! The policy that is measured: the whole catalogue, counted, and a service of the benchmark's own,
//! dropped. So its tables are as full as those of a real one.

use anyhow::{Result, anyhow, ensure};
use imblock::policy::plan::{Limits, Plan};
use imblock::policy::{self, Policy, PolicyErrors, ServiceNumbers, Source, Surroundings};
use imblock_common::layout::Inside;

use super::classes::{
    COUNTED_NAME, DROPPED_NAME, DROPPED_PORT, ENDED_PORT, FlowTable, MARKER, REJECTED_PORT,
};

/// How many names it knows: those of the catalogue, and the benchmark's own for the rest.
const NAMES: usize = 1_000;
/// Room for every host and flow of the largest class.
const LIMITS: Limits = Limits {
    hosts: 131_072,
    prefixes: 262_144,
    flows: 131_072,
    inside: Inside::NONE,
};

/// The plan, with as many names as promised.
pub(super) fn plan() -> Result<Plan> {
    let bare = compile(&[])?;
    let more = NAMES.saturating_sub(bare.names.len());
    let filling: Vec<_> = (0..more).map(|n| format!("n{n}.bench.example")).collect();
    let plan = compile(&filling)?;
    ensure!(
        plan.names.len() >= NAMES,
        "the benchmark's policy has {} names",
        plan.names.len()
    );
    Ok(plan)
}

/// The same for classes of few hosts, whose tables are many.
pub(super) fn few_hosts(plan: &Plan, flows: FlowTable) -> Plan {
    let mut plan = plan.clone();
    plan.limits.hosts = 4096;
    if flows == FlowTable::Small {
        plan.limits.flows = 1024;
    }
    plan
}

fn compile(filling: &[String]) -> Result<Plan> {
    let filling = filling.join(", ");
    let markers: Vec<_> = (1..=8)
        .map(|digit| format!("      - {{ transport: tcp, text: \"{MARKER}{digit}\" }}"))
        .collect();
    let markers = markers.join("\n");
    let text = format!(
        "version: 1
name: bench
defaults: {{ action: count }}
services:
  - id: own-dropped
    name: what the benchmark drops
    category: im
    ports: [tcp/{DROPPED_PORT}, udp/{DROPPED_PORT}]
    names: [{DROPPED_NAME}]
  - id: own-ended
    name: what has ended
    category: im
    status: historic
    ports: [tcp/{ENDED_PORT}, udp/{ENDED_PORT}]
  - {{ id: own-rejected, name: what it rejects, category: im, ports: [tcp/{REJECTED_PORT}] }}
  - {{ id: own-counted, name: what it counts, category: im, names: [{COUNTED_NAME}, {filling}] }}
  - id: own-marked
    name: what it tells by markers
    category: im
    markers:
{markers}
rules:
  - {{ services: [own-dropped, own-ended], action: drop }}
  - {{ services: [own-rejected], action: reject }}
"
    );
    of_text(text, LIMITS)
}

/// The plan of a policy that the benchmark has made up, with room for so much.
pub(super) fn of_text(text: String, limits: Limits) -> Result<Plan> {
    let source = Source::new("bench.yaml".to_owned(), text);
    compiled(policy::parse(source), limits)
}

/// The same of a policy that was read.
pub(super) fn compiled(read: Result<Policy, PolicyErrors>, limits: Limits) -> Result<Plan> {
    let compiled = read.and_then(|policy| {
        policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())
    });
    let plan = compiled.map_err(|errors| anyhow!("the benchmark's policy: {errors}"))?;
    Ok(Plan { limits, ..plan })
}
