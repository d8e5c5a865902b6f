//! A virtual machine from its first instruction to its power-off, in bounded time.
//!
//! The processor is emulated. A machine that is virtual itself often has a /dev/kvm which fails on the
//! way, and the guests' work is short. An emulated one is not free of faults either: on a busy machine a
//! guest may die while its kernel starts, of an instruction that patches another.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

const MEMORY: &str = "2048";
const PROCESSORS: &str = "2";
/// How often a machine is started whose guest dies before it says a word.
const ATTEMPTS: usize = 4;
/// Lines of the console that an error shows.
const TAIL: usize = 25;

/// A machine that is gone when this is.
struct Machine(Child);

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Boots a kernel and waits for the machine's end. What the guest said on its second serial line. Boots
/// again if the guest dies before it gets to say anything.
pub(super) fn boot(
    kernel: &Path,
    initramfs: &Path,
    logs: &Path,
    patience: Duration,
) -> Result<String> {
    let mut attempt = 1;
    loop {
        let Ended { said, how } = boot_once(kernel, initramfs, logs, patience)?;
        match how {
            Err(death) if said.is_empty() && attempt < ATTEMPTS => {
                eprintln!("attempt {attempt} of {ATTEMPTS}: {death:#}\nstarting it again");
                attempt += 1;
            }
            how => return how.map(|()| said),
        }
    }
}

/// A machine's end.
struct Ended {
    /// What the guest said.
    said: String,
    /// Whether it had done its work.
    how: Result<()>,
}

fn boot_once(kernel: &Path, initramfs: &Path, logs: &Path, patience: Duration) -> Result<Ended> {
    fs::create_dir_all(logs)?;
    let (console, report) = (logs.join("console.log"), logs.join("report.log"));
    for log in [&console, &report] {
        fs::write(log, "")?;
    }
    let mut machine = start(kernel, initramfs, &console, &report)?;
    let begin = Instant::now();
    let ended = loop {
        if let Some(status) = machine.0.try_wait()? {
            break Some(status);
        }
        if begin.elapsed() > patience {
            break None;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    drop(machine);
    let said = String::from_utf8_lossy(&fs::read(&report)?).into_owned();
    let console = || {
        tail(&String::from_utf8_lossy(
            &fs::read(&console).unwrap_or_default(),
        ))
    };
    let how = match ended {
        Some(status) if status.success() && said.contains("@done") => Ok(()),
        Some(status) => Err(anyhow!(
            "the guest ended before its work ({status}); its console ends with\n{}",
            console()
        )),
        None => Err(anyhow!(
            "the guest did not end within {} s; its report ends with\n{}\nand its console with\n{}",
            patience.as_secs(),
            tail(&said),
            console()
        )),
    };
    Ok(Ended { said, how })
}

fn start(kernel: &Path, initramfs: &Path, console: &Path, report: &Path) -> Result<Machine> {
    let serial = |path: &Path| format!("file:{}", path.display());
    let machine = Command::new("qemu-system-x86_64")
        .args([
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            PROCESSORS,
        ])
        .args([
            "-m",
            MEMORY,
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        // A panic ends the machine, for it may not boot again.
        .args(["-append", "console=ttyS0 panic=-1 quiet loglevel=4"])
        .args(["-serial", &serial(console), "-serial", &serial(report)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("cannot start qemu-system-x86_64")?;
    Ok(Machine(machine))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let from = lines.len().saturating_sub(TAIL);
    lines.get(from..).unwrap_or_default().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_end_of_the_console() {
        let console: String = (0..100).map(|line| format!("{line}\r\n")).collect();
        let tail = tail(&console);
        assert!(tail.starts_with("75\n") && tail.ends_with("\n99"), "{tail}");
    }
}
