//! What is put into a guest: an initial RAM disk with the real binaries, their libraries, the
//! kernel's modules, and a script as its first process.
//!
//! Files lie in the guest where they lie here, for tests know the checkout by its path.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::kernels::Kernel;
use super::{modules, programs};
use crate::executable;
use crate::workspace::{OBJECT, call, root};

/// Modules that a box with imblock has: cables and bridges, VLANs, and what programs at egress hang on
/// where there is no TCX.
const MODULES: [&str; 5] = ["veth", "bridge", "8021q", "sch_ingress", "cls_bpf"];
/// What tests read in the checkout, beside [`OBJECT`].
const FOLDERS: [&str; 2] = ["policies", "imblock-common/tests/hellos"];
/// The differential test's frames: a guest takes some fifteen times as long for each as its host.
const FRAMES: u32 = 26_000;
/// From the first instruction to the first step.
const BOOT: Duration = Duration::from_secs(120);

/// Something that is tried in a guest.
struct Step {
    name: &'static str,
    command: String,
    /// Seconds that it may take, at most.
    patience: u64,
}

/// The guest's files but for what depends on the kernel.
pub(super) struct Guest {
    pub(super) work: PathBuf,
    steps: Vec<Step>,
    binaries: Vec<PathBuf>,
    busybox: PathBuf,
}

impl Guest {
    /// Builds the binaries. `load` leaves out all but the verifier; `only` is a part of the names of
    /// the kernel tests that are wanted.
    pub(super) fn build(work: &Path, load: bool, only: Option<&str>) -> Result<Self> {
        let imblock = executable::debug()?;
        let (kernel, netns) = (executable::tests("kernel")?, executable::tests("netns")?);
        let xtask = std::env::current_exe().context("this program has no path")?;
        let busybox = programs::find("busybox").context("busybox is gone")?;
        ensure!(
            libraries(&busybox)?.is_empty(),
            "{} needs libraries: `apt-get install busybox-static`",
            busybox.display()
        );
        let mut steps = steps(&xtask, &imblock, &kernel, &netns, only.unwrap_or_default());
        steps.retain(|step| !load || step.name == "load");
        Ok(Self {
            work: work.to_owned(),
            steps,
            binaries: vec![xtask, imblock, kernel, netns],
            busybox,
        })
    }

    /// The steps that are taken.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|step| step.name).collect()
    }

    /// How long a guest may live.
    pub(super) fn patience(&self) -> Duration {
        let steps = self
            .steps
            .iter()
            .map(|step| Duration::from_secs(step.patience));
        BOOT + steps.sum::<Duration>()
    }

    /// Packs everything for one kernel.
    pub(super) fn initramfs(&self, kernel: &Kernel) -> Result<PathBuf> {
        let stage = self.work.join("guest");
        let _ = fs::remove_dir_all(&stage);
        let result = self
            .fill(&stage, kernel)
            .and_then(|()| pack(&stage, &self.work.join("guest.cpio")));
        let _ = fs::remove_dir_all(&stage);
        result
    }

    fn fill(&self, stage: &Path, kernel: &Kernel) -> Result<()> {
        for folder in [
            "bin", "dev", "proc", "sys", "tmp", "run", "modules", "var/lib",
        ] {
            fs::create_dir_all(stage.join(folder))?;
        }
        copy_to(&self.busybox, &stage.join("bin/busybox"))?;
        let mut files = self.binaries.clone();
        for binary in &self.binaries {
            files.extend(libraries(binary)?);
        }
        files.push(root().join(OBJECT));
        for folder in FOLDERS {
            files.extend(files_below(&root().join(folder))?);
        }
        files.sort_unstable();
        files.dedup();
        for file in files {
            copy_to(&file, &below(stage, &file)?)?;
        }
        let modules = modules::in_order(&kernel.modules, &MODULES)?;
        for module in &modules {
            fs::write(
                stage.join(format!("modules/{}.ko", module.name)),
                &module.image,
            )?;
        }
        let names: Vec<&str> = modules.iter().map(|module| module.name.as_str()).collect();
        let init = stage.join("init");
        fs::write(&init, script(&names, &self.steps))?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;
        Ok(())
    }
}

fn steps(xtask: &Path, imblock: &Path, kernel: &Path, netns: &Path, only: &str) -> Vec<Step> {
    let (xtask, imblock) = (xtask.display(), imblock.display());
    let (kernel, netns) = (kernel.display(), netns.display());
    let manifest = root().join("xtask");
    let manifest = manifest.display();
    let step = |name, patience, command| Step {
        name,
        command,
        patience,
    };
    let up = format!("{imblock} up -i lan0:lan");
    vec![
        step(
            "load",
            900,
            format!("CARGO_MANIFEST_DIR={manifest} {xtask} matrix --inside"),
        ),
        step("up", 120, up.clone()),
        step("status", 60, format!("{imblock} status --json")),
        step(
            "again",
            120,
            format!("{up} && {imblock} status --json >/dev/null && {imblock} down"),
        ),
        step("demo", 600, format!("{imblock} demo")),
        step(
            "attach tests",
            1200,
            format!("{netns} attach:: --test-threads 2"),
        ),
        step(
            "kernel tests",
            3600,
            format!("{kernel} {only} --test-threads 2"),
        ),
    ]
}

/// The guest's first process: says on the second serial line what each step printed and how it ended,
/// and switches the machine off.
fn script(modules: &[&str], steps: &[Step]) -> String {
    let mut script = String::from(SCRIPT_BEGIN);
    for module in modules {
        let _ = writeln!(script, "insmod /modules/{module}.ko");
    }
    script.push_str(SCRIPT_CABLE);
    for Step {
        name,
        command,
        patience,
    } in steps
    {
        let _ = writeln!(script, "step '{name}' {patience} '{command}'");
    }
    script.push_str("tell '@done'\npoweroff -f\n");
    script.replace("FRAMES", &FRAMES.to_string())
}

const SCRIPT_BEGIN: &str = "#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/ TMPDIR=/tmp RUST_BACKTRACE=0 NO_COLOR=1
export IMBLOCK_REQUIRE_KERNEL=1 IMBLOCK_FRAMES=FRAMES IMBLOCK_SKIP_LOG=/tmp/skips
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
# The line would make two characters of each end of a line.
stty -F /dev/ttyS1 raw -echo
tell() { echo \"$1\" >/dev/ttyS1; }
step() {
    tell \"@begin $1\"
    : >/tmp/skips
    timeout -s KILL \"$2\" sh -c \"$3\" >/tmp/out 2>&1 </dev/null
    status=$?
    cat /tmp/out /tmp/skips >/dev/ttyS1
    tell \"\"
    tell \"@end $status\"
}
";

/// A cable whose other end has the name that the kernel gives.
const SCRIPT_CABLE: &str = "ip link set lo up
ip link add lan0 type veth
ip link set lan0 up
tell \"@begin interfaces\"
ip link >/dev/ttyS1
tell \"@end 0\"
";

/// Makes the archive that the kernel unpacks.
fn pack(stage: &Path, archive: &Path) -> Result<PathBuf> {
    let mut find = Command::new("find")
        .arg(".")
        .current_dir(stage)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start find")?;
    let names = find.stdout.take().context("find has no output")?;
    call(
        Command::new("cpio")
            .args(["--create", "--format=newc", "--quiet", "--owner=0:0"])
            .current_dir(stage)
            .stdin(names)
            .stdout(File::create(archive)?),
    )?;
    ensure!(find.wait()?.success(), "find failed in {}", stage.display());
    Ok(archive.to_owned())
}

/// The shared libraries of a program, and what loads them.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd").arg(program).output()?;
    // Of a program without any, ldd says so and fails.
    Ok(paths_of(&String::from_utf8_lossy(&output.stdout)))
}

/// The files in what ldd prints: `NAME => PATH (ADDRESS)`, or `PATH (ADDRESS)` for the loader.
fn paths_of(listing: &str) -> Vec<PathBuf> {
    listing
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn below(stage: &Path, file: &Path) -> Result<PathBuf> {
    let rest = file.strip_prefix("/");
    let rest = rest.with_context(|| format!("{} is no whole path", file.display()))?;
    Ok(stage.join(rest))
}

fn copy_to(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_what_ldd_lists() {
        let listing = "\tlinux-vdso.so.1 (0x00007f58)\n\
                       \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f58)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f58)\n";
        let expected = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(paths_of(listing), expected.map(PathBuf::from));
        assert!(paths_of("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn the_first_process_inserts_modules_in_order_and_then_takes_the_steps() {
        let steps = [Step {
            name: "up",
            command: "/t/imblock up".to_owned(),
            patience: 7,
        }];
        let script = script(&["llc", "bridge"], &steps);
        let places: Vec<Option<usize>> = [
            "llc.ko",
            "bridge.ko",
            "step 'up' 7 '/t/imblock up'",
            "poweroff",
        ]
        .map(|text| script.find(text))
        .to_vec();
        assert!(places.iter().all(Option::is_some), "{script}");
        assert!(places.is_sorted(), "{script}");
        assert!(!script.contains("FRAMES=FRAMES"));
    }
}
