//! How much stack a program's deepest chain of calls takes. The verifier holds that under 512 bytes
//! and does not say it: it says what each function takes.

use aya_obj::generated::{BPF_CALL, BPF_JMP, BPF_PSEUDO_CALL, BPF_PSEUDO_FUNC, bpf_insn};

/// What a verifier takes a function's stack for.
#[derive(Clone, Copy)]
pub(super) enum Grain {
    /// Steps of 16 bytes: kernel 6.9 and later, where programs become machine code.
    Fine,
    /// Steps of 32 bytes, one at least: kernels before, and interpreters.
    Coarse,
}

impl Grain {
    const fn round(self, bytes: u32) -> u32 {
        match self {
            Self::Fine => bytes.next_multiple_of(16),
            Self::Coarse if bytes == 0 => 32,
            Self::Coarse => bytes.next_multiple_of(32),
        }
    }
}

/// Functions as the verifier sees them: where each begins, and which it calls.
struct Functions {
    starts: Vec<usize>,
    calls: Vec<Vec<usize>>,
}

/// Bytes of stack on the deepest chain of calls from the first function on. `stacks` are the bytes of
/// each function, in the order in which they lie in the program. `None` when they are not as many
/// as the program has functions, or a function calls itself, which no verifier accepts.
pub(super) fn deepest(program: &[bpf_insn], stacks: &[u32], grain: Grain) -> Option<u32> {
    let functions = Functions::of(program);
    if functions.starts.len() != stacks.len() {
        return None;
    }
    let stacks: Vec<u32> = stacks.iter().map(|bytes| grain.round(*bytes)).collect();
    // The depth below each function, once it is known.
    let mut known = vec![None; stacks.len()];
    functions.below(0, &stacks, &mut known, stacks.len())
}

impl Functions {
    fn of(program: &[bpf_insn]) -> Self {
        let called = || {
            let numbered = program.iter().enumerate();
            numbered.filter_map(|(at, instruction)| Some((at, target(at, instruction)?)))
        };
        let mut starts: Vec<usize> = called().map(|(_, target)| target).collect();
        starts.push(0);
        starts.sort_unstable();
        starts.dedup();
        let holder = |at| starts.partition_point(|start| *start <= at).checked_sub(1);
        let mut calls = vec![Vec::new(); starts.len()];
        for (at, target) in called() {
            if let (Some(caller), Some(callee)) = (holder(at), holder(target))
                && let Some(of_caller) = calls.get_mut(caller)
            {
                of_caller.push(callee);
            }
        }
        for of_caller in &mut calls {
            of_caller.sort_unstable();
            of_caller.dedup();
        }
        Self { starts, calls }
    }

    /// The depth of the deepest chain that begins with a function. `left` bounds a circle.
    fn below(
        &self,
        function: usize,
        stacks: &[u32],
        known: &mut [Option<u32>],
        left: usize,
    ) -> Option<u32> {
        if let Some(depth) = known.get(function)? {
            return Some(*depth);
        }
        let left = left.checked_sub(1)?;
        let mut deepest = 0;
        for callee in self.calls.get(function)? {
            deepest = deepest.max(self.below(*callee, stacks, known, left)?);
        }
        let depth = stacks.get(function)?.checked_add(deepest)?;
        *known.get_mut(function)? = Some(depth);
        Some(depth)
    }
}

/// Where the function begins that an instruction calls, or hands over to be called.
fn target(at: usize, instruction: &bpf_insn) -> Option<usize> {
    /// `BPF_LD | BPF_IMM | BPF_DW`, with a function's address when its source says so.
    const LOAD_WIDE: u8 = 0x18;

    let source = u32::from(instruction.src_reg());
    let is_call = u32::from(instruction.code) == BPF_JMP | BPF_CALL && source == BPF_PSEUDO_CALL;
    let is_address = instruction.code == LOAD_WIDE && source == BPF_PSEUDO_FUNC;
    if !is_call && !is_address {
        return None;
    }
    let distance = isize::try_from(instruction.imm).ok()?;
    at.checked_add(1)?.checked_add_signed(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instruction(code: u32, source: u32, imm: i32) -> bpf_insn {
        let registers = bpf_insn::new_bitfield_1(0, u8::try_from(source).unwrap_or(0));
        bpf_insn {
            code: u8::try_from(code).unwrap_or(0),
            _bitfield_align_1: [],
            _bitfield_1: registers,
            off: 0,
            imm,
        }
    }

    fn call(from: i32, to: i32) -> bpf_insn {
        instruction(BPF_JMP | BPF_CALL, BPF_PSEUDO_CALL, to - from - 1)
    }

    fn coarse(program: &[bpf_insn], stacks: &[u32]) -> Option<u32> {
        deepest(program, stacks, Grain::Coarse)
    }

    fn exit() -> bpf_insn {
        instruction(0x95, 0, 0)
    }

    #[test]
    fn a_program_without_calls_takes_its_own() {
        assert_eq!(coarse(&[exit()], &[40]), Some(64));
        assert_eq!(coarse(&[exit()], &[0]), Some(32));
        assert_eq!(deepest(&[exit()], &[40], Grain::Fine), Some(48));
        assert_eq!(deepest(&[exit()], &[0], Grain::Fine), Some(0));
        // A helper is no function of the program.
        let helper = instruction(BPF_JMP | BPF_CALL, 0, 5);
        assert_eq!(coarse(&[helper, exit()], &[512]), Some(512));
    }

    #[test]
    fn of_two_chains_the_deeper_counts() {
        // 0..3 calls 3 and 5; 3 calls 5.
        let program = [call(0, 3), call(1, 5), exit(), call(3, 5), exit(), exit()];
        assert_eq!(coarse(&program, &[32, 96, 64]), Some(192));
        assert_eq!(coarse(&program, &[32, 0, 64]), Some(128));
    }

    #[test]
    fn a_function_that_is_handed_over_counts_as_called() {
        let hand_over = instruction(0x18, BPF_PSEUDO_FUNC, 2);
        let program = [hand_over, instruction(0, 0, 0), exit(), exit()];
        assert_eq!(coarse(&program, &[32, 64]), Some(96));
    }

    #[test]
    fn what_does_not_fit_the_program_is_not_summed_up() {
        assert_eq!(coarse(&[exit()], &[32, 32]), None);
        let circle = [call(0, 2), exit(), call(2, 2), exit()];
        assert_eq!(coarse(&circle, &[32, 32]), None);
    }
}
