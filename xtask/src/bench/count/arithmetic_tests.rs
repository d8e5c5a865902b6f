//! Results computed by hand.

use super::*;

fn of(code: u8, offset: i16, imm: i32, a: u64, b: u64) -> Option<u64> {
    let instruction = Instruction {
        code,
        dst: 0,
        src: 0,
        offset,
        imm,
    };
    result(instruction, a, b)
}

fn taken(code: u8, a: u64, b: u64) -> Option<bool> {
    let instruction = Instruction {
        code,
        dst: 0,
        src: 0,
        offset: 0,
        imm: 0,
    };
    holds(instruction, a, b)
}

const MINUS_ONE: u64 = u64::MAX;

#[test]
fn halves_leave_the_upper_half_empty() {
    // w = w + w, with something in the upper halves that must not count.
    assert_eq!(
        of(0x0c, 0, 0, 0x1_ffff_ffff, 0xff_0000_0002),
        Some(0x0000_0001)
    );
    assert_eq!(of(0x0f, 0, 0, 0xffff_ffff, 2), Some(0x1_0000_0001));
    assert_eq!(of(0x1c, 0, 0, 0, 1), Some(0xffff_ffff));
    assert_eq!(of(0x1f, 0, 0, 0, 1), Some(MINUS_ONE));
    assert_eq!(of(0xbc, 0, 0, 7, 0x1234_5678_9abc_def0), Some(0x9abc_def0));
    assert_eq!(of(0xa4, 0, -1, 0xffff_0000, MINUS_ONE), Some(0xffff));
    assert_eq!(of(0x84, 0, 0, 1, 0), Some(0xffff_ffff));
    assert_eq!(of(0x87, 0, 0, 1, 0), Some(MINUS_ONE));
}

#[test]
fn products_wrap() {
    assert_eq!(of(0x2f, 0, 0, 1 << 63, 2), Some(0));
    assert_eq!(of(0x2c, 0, 0, 0x8000_0001, 2), Some(2));
}

#[test]
fn shifts_take_their_distance_modulo_the_width() {
    assert_eq!(of(0x6f, 0, 0, 1, 65), Some(2));
    assert_eq!(of(0x6c, 0, 0, 1, 33), Some(2));
    assert_eq!(of(0x7f, 0, 0, 1 << 63, 63), Some(1));
    assert_eq!(of(0x7c, 0, 0, 0xff_8000_0000, 31), Some(1));
}

#[test]
fn signed_shifts_bring_the_sign_in() {
    assert_eq!(of(0xcf, 0, 0, 1 << 63, 62), Some(MINUS_ONE - 1));
    assert_eq!(of(0xcc, 0, 0, 0x8000_0000, 4), Some(0xf800_0000));
    assert_eq!(of(0xcc, 0, 0, 0x7000_0000, 4), Some(0x0700_0000));
}

#[test]
fn division_by_nothing_gives_nothing_and_the_rest_is_all() {
    for offset in [0, 1] {
        assert_eq!(of(0x3f, offset, 0, 17, 0), Some(0));
        assert_eq!(of(0x9f, offset, 0, 17, 0), Some(17));
    }
    assert_eq!(of(0x9c, 0, 0, 0x1_0000_0011, 0), Some(17));
}

#[test]
fn signed_division_is_another() {
    let minus_seven = 7_u64.wrapping_neg();
    assert_eq!(of(0x3f, 1, 0, minus_seven, 2), Some(3_u64.wrapping_neg()));
    assert_eq!(of(0x9f, 1, 0, minus_seven, 2), Some(MINUS_ONE));
    assert_eq!(of(0x3f, 0, 0, minus_seven, 2), Some(0x7fff_ffff_ffff_fffc));
    // -7 in half a word.
    assert_eq!(of(0x3c, 1, 0, 0xffff_fff9, 2), Some(0xffff_fffd));
    assert_eq!(of(0x9c, 1, 0, 0xffff_fff9, 2), Some(0xffff_ffff));
}

#[test]
fn the_smallest_number_over_minus_one_is_itself() {
    assert_eq!(of(0x3f, 1, 0, 1 << 63, MINUS_ONE), Some(1 << 63));
    assert_eq!(of(0x9f, 1, 0, 1 << 63, MINUS_ONE), Some(0));
    assert_eq!(of(0x3c, 1, 0, 0x8000_0000, MINUS_ONE), Some(0x8000_0000));
    assert_eq!(of(0x9c, 1, 0, 0x8000_0000, MINUS_ONE), Some(0));
}

#[test]
fn a_move_may_bring_a_sign() {
    assert_eq!(of(0xbf, 8, 0, 0, 0x180), Some(0xffff_ffff_ffff_ff80));
    assert_eq!(of(0xbf, 32, 0, 0, 0x8000_0000), Some(0xffff_ffff_8000_0000));
    assert_eq!(of(0xbc, 16, 0, 0, 0x8000), Some(0xffff_8000));
}

#[test]
fn bytes_are_swapped() {
    let word = 0x0102_0304_0506_0708;
    assert_eq!(of(0xd7, 0, 16, word, 0), Some(0x0807));
    assert_eq!(of(0xd7, 0, 32, word, 0), Some(0x0807_0605));
    assert_eq!(of(0xd7, 0, 64, word, 0), Some(0x0807_0605_0403_0201));
    let (to_big, to_little) = (
        of(0xdc, 0, 16, word, 0).map(|value| value == 0x0807),
        of(0xd4, 0, 16, word, 0).map(|value| value == 0x0708),
    );
    let little = cfg!(target_endian = "little");
    assert_eq!((to_big, to_little), (Some(little), Some(little)));
    assert_eq!(of(0xd7, 0, 24, word, 0), None);
}

#[test]
fn comparisons_know_signs_and_widths() {
    assert_eq!(taken(0x2d, MINUS_ONE, 1), Some(true)); // >
    assert_eq!(taken(0x6d, MINUS_ONE, 1), Some(false)); // signed >
    assert_eq!(taken(0xcd, MINUS_ONE, 1), Some(true)); // signed <
    assert_eq!(taken(0x1e, 0x1_0000_0005, 5), Some(true)); // == of halves
    assert_eq!(taken(0x1d, 0x1_0000_0005, 5), Some(false));
    assert_eq!(taken(0xce, 0x8000_0000, 0), Some(true)); // signed < of halves
    assert_eq!(taken(0xcd, 0x8000_0000, 0), Some(false));
    assert_eq!(taken(0x45, 6, 3), Some(true)); // a bit in common
    assert_eq!(taken(0xb5, 3, 3), Some(true)); // <=
    assert_eq!(taken(0xd5, 3, MINUS_ONE), Some(false)); // signed <=
}

#[test]
fn atomics_give_what_is_stored() {
    assert_eq!(atomic(0x01, 5, 3, 0), Some(8));
    assert_eq!(atomic(0x41, 5, 3, 0), Some(7));
    assert_eq!(atomic(0x51, 5, 3, 0), Some(1));
    assert_eq!(atomic(0xa0, 5, 3, 0), Some(6));
    assert_eq!(atomic(0xe1, 5, 3, 0), Some(3));
    assert_eq!(atomic(0xf1, 5, 3, 5), Some(3));
    assert_eq!(atomic(0xf1, 5, 3, 4), Some(5));
    assert_eq!(atomic(0x30, 5, 3, 4), None);
}

#[test]
fn what_is_not_known_is_not_guessed() {
    assert_eq!(of(0xe7, 0, 0, 1, 1), None);
    assert_eq!(of(0x0f, 1, 0, 1, 1), None);
    assert_eq!(of(0xbf, -1, 0, 1, 1), None);
    assert_eq!(taken(0xe5, 1, 1), None);
}
