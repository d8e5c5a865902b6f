//! What filters cost on a cable: veth in native XDP mode, in CPU nanoseconds a packet.
//!
//! Method: the kernel makes the frames (live frames of `BPF_PROG_TEST_RUN`) and redirects them into a
//! cable; its far end, the filter there, the stack behind it and what throws the packets away all run
//! within that call, on this thread's CPU, so its CPU time is the whole cost. Each candidate has a network
//! of its own. They take turns in one run; what a table says is the median over the rounds, and
//! differences and ratios are taken round by round.
//! imblock is put in by its own program, as users do. After each measurement the counters of device and
//! stack say that every frame fared as the line says, and in the end imblock's own agree; if they do not,
//! there is no figure.

mod candidates;
mod counters;
mod drop;
mod filter;
mod forward;
mod frames;
mod generator;
mod hosts;
mod imblock;
mod latency;
mod offload;
mod payload;
mod peers;
mod policy;
mod queues;
mod rig;
mod series;

use anyhow::Result;

use super::sheet::Sheet;
use super::{Args, timer};
use candidates::Field;
use generator::Generator;
use imblock::Tool;
use series::Effort;

/// The key of these tables.
const PART: &str = "veth";

pub(super) fn run(args: &Args) -> Result<Vec<Sheet>> {
    let tool = Tool::build()?;
    timer::bind_to_one_cpu()?;
    let mut generator = Generator::load()?;
    let effort = Effort {
        rounds: args.rounds,
        most: args.repeat,
    };
    let wanted = |title: &str| title.contains(&args.only);
    let mut sheets = Vec::new();
    if wanted(drop::TITLE) || wanted(forward::TITLE) {
        let field = Field::build(&candidates::BY_PORT, 1, &tool)?;
        if wanted(drop::TITLE) {
            sheets.push(drop::sheet(&field, &mut generator, effort)?);
        }
        if wanted(forward::TITLE) {
            sheets.push(forward::sheet(&field, &mut generator, effort)?);
        }
    }
    if wanted(payload::TITLE) {
        sheets.push(payload::sheet(&tool, &mut generator, effort)?);
    }
    if wanted(hosts::TITLE) {
        sheets.push(hosts::sheet(&tool, &mut generator, effort)?);
    }
    if wanted(queues::TITLE) {
        sheets.extend(queues::sheet(&tool, &mut generator, effort)?);
    }
    if wanted(latency::TITLE) {
        sheets.push(latency::sheet(&tool, args.rounds)?);
    }
    Ok(sheets)
}
