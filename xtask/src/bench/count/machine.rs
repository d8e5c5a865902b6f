//! Runs the instructions of loaded programs over a frame, and counts them.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context as _, Result, bail, ensure};
use aya::programs::loaded_programs;

use super::clock::Clock;
use super::instruction::{self, BARRIER, Instruction, LOAD_WIDE, class, jump, mode, target};
use super::memory::{FRAME, Memory};
use super::symbols::Symbols;
use super::{arithmetic, helpers};
use crate::bpf;

/// More than the verifier lets a packet take.
const INSTRUCTIONS_MAX: u64 = 10_000_000;
/// What the kernel allows.
const TAIL_CALLS_MAX: u64 = 33;
/// The registers that a function may not change for its caller, but for the frame pointer.
const SAVED: std::ops::Range<usize> = 6..10;
const FRAME_POINTER: usize = 10;
/// The helper that needs no name: its number is in the instruction.
const TAIL_CALL: i32 = 12;

/// What a packet took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::bench) struct Run {
    pub(in crate::bench) verdict: u32,
    /// Instructions of BPF, those of the functions called included; one of 16 bytes is one.
    pub(in crate::bench) instructions: u64,
    /// Functions of the program that were called.
    pub(in crate::bench) calls: u64,
    /// Programs that went on where another had stopped.
    pub(in crate::bench) tail_calls: u64,
    /// Functions of the kernel, and how often. What they take is not in the instructions.
    pub(in crate::bench) helpers: BTreeMap<String, u64>,
}

/// What a function is left with.
struct Caller {
    code: Rc<[Instruction]>,
    pc: usize,
    saved: [u64; 4],
    frame_pointer: u64,
}

/// Where the next instruction comes from.
enum Next {
    At(usize),
    Done,
}

/// Memory and programs; the registers are those of the frame that is being looked at.
pub(super) struct Machine {
    pub(super) memory: Memory,
    pub(super) clock: Clock,
    symbols: Symbols,
    /// By number.
    programs: HashMap<u32, Rc<[Instruction]>>,
    code: Rc<[Instruction]>,
    registers: [u64; 11],
    callers: Vec<Caller>,
    run: Run,
}

impl Machine {
    pub(super) fn new(cpu: usize) -> Result<Self> {
        Ok(Self::with(cpu, Clock::read()?, Symbols::read()?))
    }

    fn with(cpu: usize, clock: Clock, symbols: Symbols) -> Self {
        Self {
            memory: Memory::new(cpu),
            clock,
            symbols,
            programs: HashMap::new(),
            code: Rc::from([]),
            registers: [0; 11],
            callers: Vec::new(),
            run: Run::default(),
        }
    }

    /// Runs a loaded program over a frame.
    pub(super) fn run(&mut self, program: u32, frame: &[u8]) -> Result<Run> {
        self.memory.receive(frame)?;
        self.code = self.program(program)?;
        self.callers.clear();
        self.registers = [0; 11];
        self.set(1, Memory::context())?;
        self.set(FRAME_POINTER, Memory::stack_top())?;
        self.run = Run::default();
        let mut pc = 0;
        loop {
            let found = self.code.get(pc).copied();
            let instruction = found.context("the program's end was passed")?;
            self.run.instructions += 1;
            ensure!(
                self.run.instructions < INSTRUCTIONS_MAX,
                "the program does not end"
            );
            let next = self.step(pc, instruction);
            match next.with_context(|| format!("at instruction {pc}, {instruction:x?}"))? {
                Next::At(next) => pc = next,
                Next::Done => break,
            }
        }
        self.run.verdict = u32::try_from(arithmetic::low(self.get(0)?, 32))?;
        Ok(std::mem::take(&mut self.run))
    }

    fn program(&mut self, id: u32) -> Result<Rc<[Instruction]>> {
        if let Some(known) = self.programs.get(&id) {
            return Ok(known.clone());
        }
        let mut loaded = loaded_programs().filter_map(Result::ok);
        let info = loaded.find(|info| info.id() == id);
        let info = info
            .with_context(|| format!("program {id} can't be seen: it is gone, or it needs root"))?;
        let bytes = bpf::instructions(info.fd()?)?;
        let code: Rc<[Instruction]> = instruction::decode(&bytes)?.into();
        self.programs.insert(id, code.clone());
        Ok(code)
    }

    /// A register.
    pub(super) fn get(&self, register: usize) -> Result<u64> {
        let value = self.registers.get(register).copied();
        value.context("a register that is none")
    }

    fn set(&mut self, register: usize, value: u64) -> Result<()> {
        *self
            .registers
            .get_mut(register)
            .context("a register that is none")? = value;
        Ok(())
    }

    fn step(&mut self, pc: usize, this: Instruction) -> Result<Next> {
        let Instruction { imm, offset, .. } = this;
        let (dst, src) = (usize::from(this.dst), usize::from(this.src));
        match this.class() {
            class::ALU | class::ALU64 => self.arithmetic(this)?,
            class::LD if this.code == LOAD_WIDE => {
                let value = self.wide(pc, this)?;
                self.set(dst, value)?;
                return Ok(Next::At(pc + 2));
            }
            class::LDX => {
                let from = offset_by(self.get(src)?, offset);
                let value = match (self.jiffies(pc, this)?, this.mode()) {
                    (Some(jiffies), _) => jiffies,
                    (None, mode::MEM) => self.memory.read(from, this.size())?,
                    (None, mode::MEMSX) => {
                        let word = self.memory.read(from, this.size())?;
                        let bits = u32::try_from(this.size() * 8)?;
                        arithmetic::signed(word, bits).cast_unsigned()
                    }
                    _ => bail!("a load of an unknown kind"),
                };
                self.set(dst, value)?;
            }
            class::ST if this.code == BARRIER => {}
            class::ST if this.mode() == mode::MEM => {
                let to = offset_by(self.get(dst)?, offset);
                self.memory.write(to, this.size(), this.immediate())?;
            }
            class::STX if this.mode() == mode::MEM => {
                let to = offset_by(self.get(dst)?, offset);
                let word = self.get(src)?;
                self.memory.write(to, this.size(), word)?;
            }
            class::STX if this.mode() == mode::ATOMIC => self.atomic(this)?,
            class::JMP | class::JMP32 => match this.operation() {
                jump::JA if this.class() == class::JMP => {
                    return Ok(Next::At(target(pc, offset.into())?));
                }
                jump::JA => return Ok(Next::At(target(pc, imm.into())?)),
                jump::CALL => return self.call(pc, this),
                jump::EXIT => return self.leave(),
                _ => {
                    let operand = self.operand(this)?;
                    let holds = arithmetic::holds(this, self.get(dst)?, operand);
                    if holds.context("a jump of an unknown kind")? {
                        return Ok(Next::At(target(pc, offset.into())?));
                    }
                }
            },
            _ => bail!("an instruction of an unknown kind"),
        }
        Ok(Next::At(pc + 1))
    }

    /// The second operand.
    fn operand(&self, this: Instruction) -> Result<u64> {
        if this.has_register_operand() {
            self.get(this.src.into())
        } else {
            Ok(this.immediate())
        }
    }

    fn arithmetic(&mut self, this: Instruction) -> Result<()> {
        /// `dst += imm`.
        const ADD: u8 = 0x07;
        /// `dst = src`, of this CPU if the offset is -1.
        const MOVE: u8 = 0xbf;

        let dst = usize::from(this.dst);
        let (old, operand) = (self.get(dst)?, self.operand(this)?);
        let value = match (this.code, this.offset) {
            (ADD, _) if let Some(values) = Memory::values_of(old) => values,
            (MOVE, -1) => Memory::per_cpu(operand),
            _ => arithmetic::result(this, old, operand).context("unknown arithmetic")?,
        };
        self.set(dst, value)
    }

    /// What an instruction of 16 bytes loads.
    fn wide(&mut self, pc: usize, this: Instruction) -> Result<u64> {
        let second = self.code.get(pc + 1).copied();
        let high = second.context("half a wide instruction")?.imm;
        let id = this.imm.cast_unsigned();
        match this.src {
            0 => Ok(u64::from(high.cast_unsigned()) << 32 | u64::from(id)),
            1 | 5 => self.memory.handle(id),
            2 | 6 => self.memory.value_of(id, high),
            _ => bail!("an address of an unknown kind"),
        }
    }

    /// The kernel's clock of ticks, if that is what is loaded: a word at an address that the instruction
    /// before has put into the same register, which is how the verifier writes `bpf_jiffies64`.
    fn jiffies(&self, pc: usize, this: Instruction) -> Result<Option<u64>> {
        /// Where the kernel's memory begins.
        const KERNEL: u64 = 0xffff_8000_0000_0000;

        let address = self.get(this.src.into())?;
        if address < KERNEL {
            return Ok(None);
        }
        let before = pc.checked_sub(2).and_then(|pc| self.code.get(pc));
        let put_there = before
            .is_some_and(|wide| wide.code == LOAD_WIDE && wide.src == 0 && wide.dst == this.src);
        let whole = this.code == 0x79 && this.offset == 0 && this.dst == this.src;
        ensure!(
            put_there && whole,
            "memory of the kernel at {address:#x}, which is not known here"
        );
        Ok(Some(self.clock.jiffies))
    }

    fn atomic(&mut self, this: Instruction) -> Result<()> {
        let (dst, src) = (usize::from(this.dst), usize::from(this.src));
        let to = offset_by(self.get(dst)?, this.offset);
        let bits = u32::try_from(this.size() * 8)?;
        let old = self.memory.read(to, this.size())?;
        let operand = arithmetic::low(self.get(src)?, bits);
        let expected = arithmetic::low(self.get(0)?, bits);
        let new = arithmetic::atomic(this.imm, old, operand, expected);
        let new = new.context("an unknown atomic operation")?;
        self.memory.write(to, this.size(), new)?;
        match this.imm {
            0xf1 => self.set(0, old),
            fetching if fetching & 1 != 0 => self.set(src, old),
            _ => Ok(()),
        }
    }

    fn call(&mut self, pc: usize, this: Instruction) -> Result<Next> {
        if this.src == 1 {
            return self.enter(pc, this);
        }
        ensure!(this.src == 0 && this.code == 0x85, "a call of another kind");
        if this.imm == TAIL_CALL {
            return self.tail_call(pc);
        }
        let name = self.symbols.called(this.imm)?.to_owned();
        let value = helpers::call(self, &name).with_context(|| format!("in {name}"))?;
        *self.run.helpers.entry(name).or_default() += 1;
        self.set(0, value)?;
        Ok(Next::At(pc + 1))
    }

    /// Goes on in another function of the program.
    fn enter(&mut self, pc: usize, this: Instruction) -> Result<Next> {
        ensure!(
            i16::try_from(self.code.len()).is_ok(),
            "the program is too long for the kernel to tell where its calls go"
        );
        self.run.calls += 1;
        let frame_pointer = self.get(FRAME_POINTER)?;
        let saved = self.registers.get(SAVED).and_then(<[u64]>::first_chunk);
        self.callers.push(Caller {
            code: self.code.clone(),
            pc: pc + 1,
            saved: *saved.context("too few registers")?,
            frame_pointer,
        });
        self.set(FRAME_POINTER, frame_pointer - FRAME)?;
        Ok(Next::At(target(pc, this.offset.into())?))
    }

    fn leave(&mut self) -> Result<Next> {
        let Some(caller) = self.callers.pop() else {
            return Ok(Next::Done);
        };
        self.code = caller.code;
        for (register, value) in SAVED.zip(caller.saved) {
            self.set(register, value)?;
        }
        self.set(FRAME_POINTER, caller.frame_pointer)?;
        Ok(Next::At(caller.pc))
    }

    /// Goes on in another program, which answers in this one's place; with the next instruction where
    /// the slot is empty.
    fn tail_call(&mut self, pc: usize) -> Result<Next> {
        let slot = u32::try_from(arithmetic::low(self.get(3)?, 32))?;
        let map = self.get(2)?;
        let program = self.memory.map(map)?.program(slot)?;
        let Some(program) = program.filter(|_| self.run.tail_calls < TAIL_CALLS_MAX) else {
            return Ok(Next::At(pc + 1));
        };
        self.run.tail_calls += 1;
        self.code = self.program(program)?;
        Ok(Next::At(0))
    }
}

fn offset_by(address: u64, offset: i16) -> u64 {
    address.wrapping_add_signed(offset.into())
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;
