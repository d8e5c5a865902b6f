//! Small programs, written by hand.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// Code, destination, source, offset, immediate.
type Word = (u8, u8, u8, i16, i32);

const EXIT: Word = (0x95, 0, 0, 0, 0);
/// Where the made-up kernel has `bpf_ktime_get_boot_ns`, from its base.
const BOOT: i32 = 0x100;
const BOOT_TIME: u64 = 77;

fn machine(program: &[Word]) -> Machine {
    let symbols = "ffffffff81000000 T __bpf_call_base\n\
        ffffffff81000100 T bpf_ktime_get_boot_ns\n\
        ffffffff81000200 T bpf_override_return\n";
    let clock = Clock {
        boot: BOOT_TIME,
        coarse: 0,
        jiffies: 9,
    };
    let mut machine = Machine::with(0, clock, Symbols::parse(symbols).unwrap());
    let code = program
        .iter()
        .map(|&(code, dst, src, offset, imm)| Instruction {
            code,
            dst,
            src,
            offset,
            imm,
        });
    machine.programs.insert(1, code.collect());
    machine
}

fn run(program: &[Word]) -> Result<Run> {
    machine(program).run(1, &[0xab; 60])
}

#[test]
fn a_loop_is_counted_each_time_around() {
    let program = [
        (0xb7, 0, 0, 0, 0),  // r0 = 0
        (0xb7, 1, 0, 0, 5),  // r1 = 5
        (0x0f, 0, 1, 0, 0),  // r0 += r1
        (0x07, 1, 0, 0, -1), // r1 -= 1
        (0x55, 1, 0, -3, 0), // if r1 != 0 goto -3
        EXIT,
    ];
    let run = run(&program).unwrap();
    assert_eq!(run.verdict, 15);
    assert_eq!(run.instructions, 2 + 3 * 5 + 1);
}

#[test]
fn a_function_keeps_its_callers_registers_and_stack() {
    let program = [
        (0xb7, 6, 0, 0, 40),  // r6 = 40
        (0x7a, 10, 0, -8, 1), // [fp - 8] = 1
        (0x85, 0, 1, 4, 1),   // call +4, which is function 1
        (0x0f, 0, 6, 0, 0),   // r0 += r6
        (0x79, 1, 10, -8, 0), // r1 = [fp - 8]
        (0x0f, 0, 1, 0, 0),   // r0 += r1
        EXIT,
        (0xb7, 6, 0, 0, 7),   // r6 = 7
        (0x7b, 10, 6, -8, 0), // [fp - 8] = r6
        (0xb7, 0, 0, 0, 1),   // r0 = 1
        EXIT,
    ];
    let run = run(&program).unwrap();
    assert_eq!((run.verdict, run.calls), (42, 1));
    assert_eq!(run.instructions, 11);
}

#[test]
fn the_kernels_functions_are_counted_by_name() {
    let call = (0x85, 0, 0, 0, BOOT);
    let run = run(&[call, call, EXIT]).unwrap();
    assert_eq!(u64::from(run.verdict), BOOT_TIME);
    assert_eq!(run.instructions, 3);
    let expected = BTreeMap::from([("bpf_ktime_get_boot_ns".to_owned(), 2)]);
    assert_eq!(run.helpers, expected);
}

#[test]
fn a_wide_instruction_is_one() {
    let program = [
        (0x18, 0, 0, 0, -1),
        (0, 0, 0, 0, 1), // r0 = 0x1_ffff_ffff
        (0x77, 0, 0, 0, 32),
        EXIT,
    ];
    let run = run(&program).unwrap();
    assert_eq!((run.verdict, run.instructions), (1, 3));
}

#[test]
fn ticks_are_known_and_other_memory_of_the_kernel_is_not() {
    let address = (0x18, 0, 0, 0, -0x7d00_0000);
    let upper = (0, 0, 0, 0, -1);
    let ticks = run(&[address, upper, (0x79, 0, 0, 0, 0), EXIT]).unwrap();
    assert_eq!(ticks.verdict, 9);
    assert!(run(&[address, upper, (0x61, 0, 0, 0, 0), EXIT]).is_err());
    assert!(run(&[address, upper, (0x79, 0, 0, 8, 0), EXIT]).is_err());
}

#[test]
fn a_load_may_bring_a_sign() {
    let program = [
        (0x79, 1, 1, 0, 0), // r1 = data
        (0x91, 0, 1, 3, 0), // r0 = a byte with its sign: 0xab
        (0x77, 0, 0, 0, 4),
        EXIT,
    ];
    assert_eq!(run(&program).unwrap().verdict, 0xffff_fffa);
}

#[test]
fn an_atomic_addition_gives_what_was_there() {
    let program = [
        (0x7a, 10, 0, -8, 5), // [fp - 8] = 5
        (0xb7, 0, 0, 0, 3),
        (0xdb, 10, 0, -8, 0x01), // r0 = fetch and add
        (0x79, 1, 10, -8, 0),
        (0x27, 1, 0, 0, 10), // 8 * 10
        (0x0f, 0, 1, 0, 0),
        EXIT,
    ];
    assert_eq!(run(&program).unwrap().verdict, 85);
}

#[test]
fn what_is_not_known_ends_the_run() {
    let endless = [(0x05, 0, 0, -1, 0)];
    let past_the_end = [(0xb7, 0, 0, 0, 0)];
    let not_interpreted = [(0x85, 0, 0, 0, 0x200), EXIT];
    let may_goto = [(0xe5, 0, 0, 0, 0), EXIT];
    for program in [&endless[..], &past_the_end, &not_interpreted, &may_goto] {
        assert!(run(program).is_err(), "{program:?}");
    }
}
