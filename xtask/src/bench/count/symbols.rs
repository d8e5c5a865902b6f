//! Names of the kernel's functions: a call in a loaded program is a distance in the kernel's memory.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};

/// The kernel's functions by address.
pub(super) struct Symbols {
    names: HashMap<u64, String>,
    /// What the distances of calls are counted from.
    base: u64,
}

impl Symbols {
    pub(super) fn read() -> Result<Self> {
        let text = std::fs::read_to_string("/proc/kallsyms")
            .context("cannot read /proc/kallsyms, which names the helpers")?;
        Self::parse(&text)
    }

    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut names = HashMap::new();
        let mut base = 0;
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(_), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Ok(address) = u64::from_str_radix(address, 16) else {
                continue;
            };
            if name == "__bpf_call_base" {
                base = address;
            }
            names.entry(address).or_insert_with(|| name.to_owned());
        }
        ensure!(
            base != 0,
            "the kernel hides its addresses: it needs root, with kernel.kptr_restrict below 2"
        );
        Ok(Self { names, base })
    }

    /// The function that a call goes to.
    pub(super) fn called(&self, distance: i32) -> Result<&str> {
        let address = self.base.wrapping_add_signed(i64::from(distance));
        let name = self.names.get(&address);
        Ok(name.with_context(|| format!("a call of an unknown function, at {address:#x}"))?)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LIST: &str = "ffffffff81000010 T __bpf_call_base\n\
        ffffffff81000000 t before\n\
        ffffffff81000110 T bpf_ktime_get_boot_ns\n";

    #[test]
    fn a_distance_leads_to_a_name() {
        let symbols = Symbols::parse(LIST).unwrap();
        assert_eq!(symbols.called(0x100).unwrap(), "bpf_ktime_get_boot_ns");
        assert_eq!(symbols.called(-0x10).unwrap(), "before");
        assert!(symbols.called(1).is_err());
    }

    #[test]
    fn hidden_addresses_are_noticed() {
        assert!(Symbols::parse("0000000000000000 T __bpf_call_base").is_err());
    }
}
