//! A virtual machine from its first instruction to its power-off, in bounded time.
//!
//! The processor is emulated. A machine that is virtual itself often has a /dev/kvm which fails on the
//! way, and the guests' work is short.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

const MEMORY: &str = "2048";
const PROCESSORS: &str = "2";
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

/// Boots a kernel and waits for the machine's end. What the guest said on its second serial line.
pub(super) fn boot(
    kernel: &Path,
    initramfs: &Path,
    logs: &Path,
    patience: Duration,
) -> Result<String> {
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
    match ended {
        Some(status) if status.success() && said.contains("@done") => Ok(said),
        Some(status) => bail!(
            "the guest ended before its work ({status}); its console ends with\n{}",
            console()
        ),
        None => bail!(
            "the guest did not end within {} s; its report ends with\n{}\nand its console with\n{}",
            patience.as_secs(),
            tail(&said),
            console()
        ),
    }
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
