//! What the kernel programs say in their rare conditions. Never a line a packet: a program speaks
//! only where something that should not happen happened to it.

use aya_log::EbpfLogger;
use imblock_common::Hook;
use log::{Log, Metadata, Record};

use super::attach::attachments;
use super::{Instance, KernelError};

/// The logs of an instance's programs, until they are replaced.
pub struct KernelLog {
    programs: Vec<EbpfLogger<Teller>>,
}

impl KernelLog {
    /// Hands every message to `tell`. Only the egress programs have something to say; a program
    /// whose log can't be opened stays silent.
    pub fn of(instance: &Instance, tell: fn(&str)) -> Result<Self, KernelError> {
        let mut ids: Vec<u32> = attachments(&instance.pins)?
            .into_iter()
            .filter(|attachment| attachment.hook == Hook::Egress)
            .map(|attachment| attachment.program)
            .collect();
        ids.sort_unstable();
        ids.dedup();
        let log_of = |id| EbpfLogger::init_from_id_with_logger(id, Teller(tell)).ok();
        Ok(Self {
            programs: ids.into_iter().filter_map(log_of).collect(),
        })
    }

    /// Tells what was said since the last time.
    pub fn flush(&mut self) {
        for program in &mut self.programs {
            program.flush();
        }
    }
}

struct Teller(fn(&str));

impl Log for Teller {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        (self.0)(&format!("kernel program: {}", record.args()));
    }

    fn flush(&self) {}
}
