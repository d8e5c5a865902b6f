//! One instruction of eight bytes, taken apart. The names are those of RFC 9669.

use anyhow::{Context as _, Result, ensure};

/// Classes: the low three bits of the code.
pub(super) mod class {
    pub(in super::super) const LD: u8 = 0;
    pub(in super::super) const LDX: u8 = 1;
    pub(in super::super) const ST: u8 = 2;
    pub(in super::super) const STX: u8 = 3;
    pub(in super::super) const ALU: u8 = 4;
    pub(in super::super) const JMP: u8 = 5;
    pub(in super::super) const JMP32: u8 = 6;
    pub(in super::super) const ALU64: u8 = 7;
}

/// How a load or a store addresses: the high three bits of the code.
pub(super) mod mode {
    pub(in super::super) const MEM: u8 = 0x60;
    pub(in super::super) const MEMSX: u8 = 0x80;
    pub(in super::super) const ATOMIC: u8 = 0xc0;
}

/// What a jump does that has no condition: the high four bits of the code.
pub(super) mod jump {
    pub(in super::super) const JA: u8 = 0x00;
    pub(in super::super) const CALL: u8 = 0x80;
    pub(in super::super) const EXIT: u8 = 0x90;
}

/// The code of the instruction of 16 bytes.
pub(super) const LOAD_WIDE: u8 = 0x18;
/// `BPF_ST_NOSPEC` of `linux/filter.h`, which verifiers put in: a barrier against speculation, which does
/// nothing else.
pub(super) const BARRIER: u8 = 0xc2;

/// See the RFC for the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instruction {
    pub(super) code: u8,
    pub(super) dst: u8,
    pub(super) src: u8,
    pub(super) offset: i16,
    pub(super) imm: i32,
}

impl Instruction {
    pub(super) fn class(self) -> u8 {
        self.code & 0x07
    }

    /// The operation of an arithmetic instruction or a jump.
    pub(super) fn operation(self) -> u8 {
        self.code & 0xf0
    }

    /// Whether the second operand is a register.
    pub(super) fn has_register_operand(self) -> bool {
        self.code & 0x08 != 0
    }

    /// How a load or a store addresses.
    pub(super) fn mode(self) -> u8 {
        self.code & 0xe0
    }

    /// How many bytes are loaded or stored.
    pub(super) fn size(self) -> usize {
        match self.code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            0x10 => 1,
            _ => 8,
        }
    }

    /// The immediate as the second operand of 64 bits.
    pub(super) fn immediate(self) -> u64 {
        i64::from(self.imm).cast_unsigned()
    }
}

/// The instructions of a program.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Instruction>> {
    let (words, rest) = bytes.as_chunks::<8>();
    ensure!(rest.is_empty(), "half an instruction at a program's end");
    let decoded = words.iter().map(|[code, registers, o0, o1, imm @ ..]| {
        // The fields of a word are in the machine's order of bytes, the registers' half bytes too.
        let (low, high) = (registers & 0x0f, registers >> 4);
        let (dst, src) = if cfg!(target_endian = "little") {
            (low, high)
        } else {
            (high, low)
        };
        Instruction {
            code: *code,
            dst,
            src,
            offset: i16::from_ne_bytes([*o0, *o1]),
            imm: i32::from_ne_bytes(*imm),
        }
    });
    Ok(decoded.collect())
}

/// The place of a jump's target.
pub(super) fn target(pc: usize, distance: i64) -> Result<usize> {
    let next = i64::try_from(pc)?.checked_add(1);
    let place = next.and_then(|next| next.checked_add(distance));
    usize::try_from(place.context("a jump to nowhere")?).context("a jump before the program")
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_taken_apart() {
        // `if r1 != r2 goto -3`, as this kernel prints it.
        let bytes = [0x5d, 0x21, 0xfd, 0xff, 0, 0, 0, 0];
        let [found] = decode(&bytes).unwrap()[..] else {
            unreachable!("one of eight bytes")
        };
        assert_eq!((found.dst, found.src, found.offset), (1, 2, -3));
        assert_eq!(found.class(), class::JMP);
        assert!(found.has_register_operand());
        assert_eq!(target(10, i64::from(found.offset)).unwrap(), 8);
    }

    #[test]
    fn a_cut_program_is_refused() {
        assert!(decode(&[0; 12]).is_err());
        assert!(target(0, -2).is_err());
    }
}
