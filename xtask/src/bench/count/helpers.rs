//! What the kernel's functions do for a program, done here. One that is not in the list is an error.

use anyhow::{Context as _, Result, bail};

use super::arithmetic::{low, signed};
use super::machine::Machine;

/// Errors, as a register holds them.
const FAULT: u64 = 14_u64.wrapping_neg();
const INVALID: u64 = 22_u64.wrapping_neg();
/// Farther than a frame can reach.
const OFFSET_MAX: u64 = 0xffff;

/// Calls a function by its name in the kernel; what it returns.
pub(super) fn call(machine: &mut Machine, name: &str) -> Result<u64> {
    match name {
        "bpf_ktime_get_boot_ns" => Ok(machine.clock.boot),
        "bpf_ktime_get_coarse_ns" => Ok(machine.clock.coarse),
        "bpf_jiffies64" => Ok(machine.clock.jiffies),
        "bpf_xdp_get_buff_len" => Ok(machine.memory.frame_length() as u64),
        "bpf_xdp_load_bytes" => copy(machine, Direction::FromFrame),
        "bpf_xdp_store_bytes" => copy(machine, Direction::ToFrame),
        "bpf_xdp_adjust_head" => {
            let by = signed(low(machine.get(2)?, 32), 32);
            Ok(or_invalid(machine.memory.adjust_head(by)))
        }
        "bpf_xdp_adjust_tail" => {
            let by = signed(low(machine.get(2)?, 32), 32);
            Ok(or_invalid(machine.memory.adjust_tail(by)))
        }
        "trie_lookup_elem" | "htab_map_lookup_elem" => {
            let value = value(machine)?;
            value.map_or(Ok(0), |value| machine.memory.keep_value(value))
        }
        // Its inlined form returns the element and not the value in it.
        "__htab_map_lookup_elem" => {
            let value = value(machine)?;
            value.map_or(Ok(0), |value| machine.memory.keep_entry(value))
        }
        "bpf_ringbuf_reserve" => {
            let size = usize::try_from(machine.get(2)?)?;
            machine.memory.keep_record(size)
        }
        "bpf_ringbuf_submit" | "bpf_ringbuf_discard" => Ok(0),
        _ => bail!("this function is not interpreted"),
    }
}

/// The value of the key that is asked for.
fn value(machine: &mut Machine) -> Result<Option<Vec<u8>>> {
    let (map, key) = (machine.get(1)?, machine.get(2)?);
    let length = machine.memory.map(map)?.key_size();
    let key = machine.memory.bytes(key, length, false)?.to_vec();
    machine.memory.map(map)?.lookup(&key)
}

#[derive(Clone, Copy)]
enum Direction {
    FromFrame,
    ToFrame,
}

/// Copies bytes between the frame and a buffer of the program.
fn copy(machine: &mut Machine, direction: Direction) -> Result<u64> {
    let [at, length] = [low(machine.get(2)?, 32), low(machine.get(4)?, 32)];
    let buffer = machine.get(3)?;
    if at > OFFSET_MAX || length > OFFSET_MAX {
        return Ok(FAULT);
    }
    let (at, length) = (usize::try_from(at)?, usize::try_from(length)?);
    let Some(part) = machine.memory.frame(at, length) else {
        return Ok(INVALID);
    };
    match direction {
        Direction::FromFrame => {
            let bytes = part.to_vec();
            machine
                .memory
                .bytes(buffer, length, true)?
                .copy_from_slice(&bytes);
        }
        Direction::ToFrame => {
            let bytes = machine.memory.bytes(buffer, length, false)?.to_vec();
            let part = machine.memory.frame(at, length);
            part.context("the frame has become shorter")?
                .copy_from_slice(&bytes);
        }
    }
    Ok(0)
}

fn or_invalid(done: bool) -> u64 {
    if done { 0 } else { INVALID }
}
