//! `imblock`: see `imblock --help`.

fn main() {}
