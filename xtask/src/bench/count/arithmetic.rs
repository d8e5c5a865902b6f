//! What arithmetic and comparisons give. Pure functions of two operands.

use super::instruction::{Instruction, class};

/// All 64 bits.
const WIDE: u32 = 64;

/// The result of an arithmetic instruction for the old value of its register and the second operand;
/// `None` for one that is not known here.
pub(super) fn result(instruction: Instruction, a: u64, b: u64) -> Option<u64> {
    let Instruction { offset, .. } = instruction;
    if instruction.operation() == 0xd0 {
        return swapped(instruction, a);
    }
    let width = match instruction.class() {
        class::ALU64 => WIDE,
        _ => 32,
    };
    let (a, b) = (low(a, width), low(b, width));
    let (signed_a, signed_b) = (signed(a, width), signed(b, width));
    let shift = u32::try_from(b & u64::from(width - 1)).ok()?;
    let value = match (instruction.operation(), offset) {
        (0x00, 0) => a.wrapping_add(b),
        (0x10, 0) => a.wrapping_sub(b),
        (0x20, 0) => a.wrapping_mul(b),
        (0x30, 0) => a.checked_div(b).unwrap_or(0),
        (0x30, 1) if b == 0 => 0,
        (0x30, 1) => signed_a.wrapping_div(signed_b).cast_unsigned(),
        (0x40, 0) => a | b,
        (0x50, 0) => a & b,
        (0x60, 0) => a << shift,
        (0x70, 0) => a >> shift,
        (0x80, 0) => a.wrapping_neg(),
        (0x90, 0) => a.checked_rem(b).unwrap_or(a),
        (0x90, 1) if b == 0 => a,
        (0x90, 1) => signed_a.wrapping_rem(signed_b).cast_unsigned(),
        (0xa0, 0) => a ^ b,
        (0xb0, 0) => b,
        (0xb0, 8 | 16 | 32) if instruction.has_register_operand() => {
            let bits = u32::try_from(offset).ok()?;
            signed(low(b, bits), bits).cast_unsigned()
        }
        (0xc0, 0) => (signed_a >> shift).cast_unsigned(),
        _ => return None,
    };
    Some(low(value, width))
}

/// Bytes in the other order: to big or little endian, or swapped whatever the machine.
fn swapped(instruction: Instruction, value: u64) -> Option<u64> {
    let bits = u32::try_from(instruction.imm).ok()?;
    if !matches!(bits, 16 | 32 | 64) {
        return None;
    }
    let value = low(value, bits);
    let swap = if instruction.class() == class::ALU64 {
        true
    } else {
        instruction.has_register_operand() == cfg!(target_endian = "little")
    };
    Some(if swap {
        value.swap_bytes() >> (WIDE - bits)
    } else {
        value
    })
}

/// Whether a conditional jump is taken; `None` for one that is not known here.
pub(super) fn holds(instruction: Instruction, a: u64, b: u64) -> Option<bool> {
    let width = match instruction.class() {
        class::JMP => WIDE,
        _ => 32,
    };
    let (a, b) = (low(a, width), low(b, width));
    let (signed_a, signed_b) = (signed(a, width), signed(b, width));
    Some(match instruction.operation() {
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        0x40 => a & b != 0,
        0x50 => a != b,
        0x60 => signed_a > signed_b,
        0x70 => signed_a >= signed_b,
        0xa0 => a < b,
        0xb0 => a <= b,
        0xc0 => signed_a < signed_b,
        0xd0 => signed_a <= signed_b,
        _ => return None,
    })
}

/// The old value after an atomic operation, and the new; `None` for one that is not known here.
/// `expected` is what a compare-and-exchange compares with.
pub(super) fn atomic(operation: i32, old: u64, operand: u64, expected: u64) -> Option<u64> {
    Some(match operation & !1 {
        0x00 => old.wrapping_add(operand),
        0x40 => old | operand,
        0x50 => old & operand,
        0xa0 => old ^ operand,
        0xe0 => operand,
        0xf0 if old == expected => operand,
        0xf0 => old,
        _ => return None,
    })
}

/// The low bits of a word.
pub(super) fn low(word: u64, bits: u32) -> u64 {
    if bits >= WIDE {
        word
    } else {
        word & ((1 << bits) - 1)
    }
}

/// A word of fewer bits as a number with a sign.
pub(super) fn signed(word: u64, bits: u32) -> i64 {
    let unused = WIDE - bits;
    (word << unused).cast_signed() >> unused
}

#[cfg(test)]
#[path = "arithmetic_tests.rs"]
mod tests;
