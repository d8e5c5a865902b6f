//! Frames that the kernel makes: live frames of `BPF_PROG_TEST_RUN`, redirected into a cable. What they
//! cost is the CPU time of this thread, in which all of their way happens.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions};
use rustix::thread::sched_getcpu;
use rustix::time::{ClockId, clock_gettime};

use super::super::programs;
use super::frames::Frame;
use crate::kernel_object;

/// What it rewrites in each frame. See `imblock-ebpf/src/bench.rs`.
pub(super) const HEAD: usize = 60;
/// Frames that are under way at once; what a driver takes from the ring in one go.
pub(super) const BATCH: u32 = 64;

const PROGRAM: &str = "generate";
/// `Orders` of `imblock-ebpf/src/bench.rs`, in words.
type Orders = [u32; HEAD / 4 + 3];

pub(super) struct Generator {
    object: Ebpf,
    soft_irqs: HashMap<usize, PathBuf>,
}

impl Generator {
    pub(super) fn load() -> Result<Self> {
        Ok(Self {
            object: programs::bench(PROGRAM)?,
            soft_irqs: soft_irqs(),
        })
    }

    /// From now on, such frames into that interface of the network that a run is started in.
    pub(super) fn order(&mut self, frame: &Frame, out: u32) -> Result<()> {
        let map = self.object.map_mut("ORDERS").context("no map ORDERS")?;
        let mut map: Array<&mut MapData, Orders> = map.try_into()?;
        Ok(map.set(0, orders(frame, out), 0)?)
    }

    /// Sends frames; the CPU time that they took, in nanoseconds.
    pub(super) fn run(&self, frame: &Frame, count: u32) -> Result<f64> {
        let program = kernel_object::xdp(&self.object, PROGRAM)?;
        let mut options = TestRunOptions::new();
        options.data_in = Some(&frame.bytes);
        options.repeat = count;
        options.attrs = TestRunAttrs::new().xdp_live_frames(BATCH);
        let before = (clock_gettime(ClockId::ThreadCPUTime), self.soft_irq_time());
        program
            .test_run(options)
            .context("cannot generate frames (live frames need Linux 5.18)")?;
        let after = (clock_gettime(ClockId::ThreadCPUTime), self.soft_irq_time());
        let own = std::time::Duration::try_from(after.0 - before.0)?;
        Ok(own.as_secs_f64() * 1e9 + (after.1 - before.1))
    }

    /// The CPU time, in nanoseconds, of that thread of the kernel on this CPU; nothing where it can't be
    /// seen.
    fn soft_irq_time(&self) -> f64 {
        let path = self.soft_irqs.get(&sched_getcpu());
        let text = path.and_then(|path| fs::read_to_string(path).ok());
        let time = text.and_then(|text| text.split_whitespace().next()?.parse().ok());
        time.unwrap_or(0.0)
    }
}

/// The kernel's threads that go on with packets when there are too many at once, by CPU: where their
/// CPU time can be read.
fn soft_irqs() -> HashMap<usize, PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let threads = processes.filter_map(|process| {
        let comm = fs::read_to_string(process.path().join("comm")).ok()?;
        let cpu = comm.trim_end().strip_prefix("ksoftirqd/")?.parse().ok()?;
        Some((cpu, process.path().join("schedstat")))
    });
    threads.collect()
}

fn orders(frame: &Frame, out: u32) -> Orders {
    let mut orders = [0; HEAD / 4 + 3];
    let words = frame.bytes.chunks_exact(4).take(HEAD / 4);
    let words = words.filter_map(|word| word.first_chunk().copied());
    let rest = [out, frame.hosts, frame.ports];
    for (order, word) in orders
        .iter_mut()
        .zip(words.map(u32::from_ne_bytes).chain(rest))
    {
        *order = word;
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_the_head_and_three_numbers() {
        let frame = Frame::udp(5050, 300).of_new_flows();
        let orders = orders(&frame, 7);
        let bytes: Vec<u8> = orders.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(bytes.get(..HEAD), frame.bytes.get(..HEAD));
        assert_eq!(orders.last_chunk(), Some(&[7, 0xffff, 0x7fff]));
    }
}
