//! Finds what compiles for BPF: a compiler that comes with the source of `core`, bpf-linker, and
//! llvm-strip.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use crate::workspace::output_of;

const INSTALL_COMPILER: &str =
    "apt-get install -y --no-install-recommends rustc-web cargo-web rust-web-src llvm-22-dev";
const INSTALL_LINKER: &str = "PATH=/usr/lib/llvm-22/bin:$PATH cargo install bpf-linker \
                              --version 0.13.0 --no-default-features --features llvm-22";

/// The programs that make the kernel object.
pub(super) struct Toolchain {
    rustc: PathBuf,
    cargo: PathBuf,
    linker: PathBuf,
    /// llvm-strip, of the compiler's LLVM if that is there.
    pub(super) strip: PathBuf,
    /// The compiler's own source.
    pub(super) rust_source: PathBuf,
    /// Where cargo keeps the sources of dependencies.
    pub(super) cargo_home: PathBuf,
    versions: Versions,
}

/// What decides about the bytes that come out.
struct Versions {
    rustc: String,
    llvm: String,
    linker: String,
}

impl Toolchain {
    /// Debian's compiler if it is there, else rustup's nightly.
    pub(super) fn find() -> Result<Self> {
        let mut compilers = std::iter::once(PathBuf::from("/usr/bin")).chain(nightly());
        let (rust_source, folder) = compilers
            .find_map(|folder| Some((source_of(&folder.join("rustc"))?, folder)))
            .ok_or_else(|| {
                anyhow!("no compiler with the source of `core`: {INSTALL_COMPILER} (or: rustup toolchain install nightly -c rust-src)")
            })?;
        let cargo_home = cargo_home()?;
        let linker = on_path("bpf-linker")
            .or_else(|| is_file(cargo_home.join("bin/bpf-linker")))
            .ok_or_else(|| anyhow!("no bpf-linker: {INSTALL_LINKER}"))?;
        let rustc = folder.join("rustc");
        let versions = Versions::ask(&rustc, &linker)?;
        let major = versions.llvm.split('.').next().unwrap_or_default();
        let strip = is_file(format!("/usr/lib/llvm-{major}/bin/llvm-strip").into())
            .or_else(|| on_path("llvm-strip"))
            .ok_or_else(|| anyhow!("no llvm-strip: {INSTALL_COMPILER}"))?;
        Ok(Self {
            cargo: folder.join("cargo"),
            rustc,
            linker,
            strip,
            rust_source,
            cargo_home,
            versions,
        })
    }

    /// The toolchain's cargo in a folder, deaf to whatever settings the caller's cargo left in the
    /// environment.
    pub(super) fn cargo(&self, folder: &Path) -> Command {
        let mut cargo = Command::new(&self.cargo);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(changes_the_build) {
                cargo.env_remove(name);
            }
        }
        // First the folder of this very cargo, whose clippy would else be another toolchain's.
        let mut path = Vec::from([&self.cargo, &self.linker].map(|program| folder_of(program)));
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        if let Ok(path) = std::env::join_paths(path) {
            cargo.env("PATH", path);
        }
        cargo
            .current_dir(folder)
            .env("CARGO_HOME", &self.cargo_home)
            .env("RUSTC", &self.rustc)
            // Building `core` is unstable; this is how a stable compiler is asked to do it.
            .env("RUSTC_BOOTSTRAP", "1");
        cargo
    }

    /// Whether the linter is there too.
    pub(super) fn has_clippy(&self) -> bool {
        self.cargo.with_file_name("cargo-clippy").is_file()
    }

    /// What is kept beside the object, to tell another compiler from other sources.
    pub(super) fn record(&self) -> String {
        let Versions {
            rustc,
            llvm,
            linker,
        } = &self.versions;
        format!("{rustc}\nLLVM {llvm}\n{linker}\n")
    }
}

impl Versions {
    fn ask(rustc: &Path, linker: &Path) -> Result<Self> {
        let about = output_of(Command::new(rustc).arg("-vV"))?;
        let llvm = about
            .lines()
            .find_map(|line| line.strip_prefix("LLVM version: "))
            .context("rustc -vV names no LLVM version")?;
        Ok(Self {
            rustc: about.lines().next().unwrap_or_default().to_owned(),
            llvm: llvm.to_owned(),
            linker: output_of(Command::new(linker).arg("--version"))?
                .trim()
                .to_owned(),
        })
    }
}

/// Whether an environment variable would change what is built. Proxy and registry settings don't.
fn changes_the_build(name: &str) -> bool {
    let harmless = [
        "CARGO_HOME",
        "CARGO_HTTP",
        "CARGO_NET",
        "CARGO_REGISTR",
        "CARGO_SOURCE",
    ];
    let harmful = [
        "CARGO",
        "RUSTC",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
        "LD_LIBRARY_PATH",
    ];
    harmful.iter().any(|start| name.starts_with(start))
        && !harmless.iter().any(|start| name.starts_with(start))
}

/// The source of `core` that belongs to a compiler.
fn source_of(rustc: &Path) -> Option<PathBuf> {
    let sysroot = output_of(Command::new(rustc).args(["--print", "sysroot"])).ok()?;
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src");
    source
        .join("rust/library/core/src/lib.rs")
        .is_file()
        .then_some(source)
}

fn nightly() -> Option<PathBuf> {
    let rustc =
        output_of(Command::new("rustup").args(["which", "--toolchain", "nightly", "rustc"]));
    Some(Path::new(rustc.ok()?.trim()).parent()?.to_path_buf())
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = std::env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::home_dir().context("neither CARGO_HOME nor HOME is set")?;
    Ok(home.join(".cargo"))
}

fn folder_of(program: &Path) -> PathBuf {
    program.parent().map(PathBuf::from).unwrap_or_default()
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| is_file(folder.join(name)))
}

fn is_file(path: PathBuf) -> Option<PathBuf> {
    path.is_file().then_some(path)
}
