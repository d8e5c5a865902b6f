//! `cargo xtask build-ebpf`: the kernel object from source, the same bytes on every machine.
//!
//! The object is committed, so that building and using imblock needs stable Rust alone. What makes
//! that honest is `--check`: it builds a copy of the sources in another folder and compares every
//! byte.

mod guard;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow};

use crate::workspace::{BENCH_OBJECT, OBJECT, call, root};
use toolchain::Toolchain;

const TARGET: &str = "bpfel-unknown-none";

/// What is built, and where it is committed: the kernel object, and the benchmark's own programs.
const OBJECTS: [(&str, &str); 2] = [("imblock", OBJECT), ("bench", BENCH_OBJECT)];

/// What the objects are made from.
const SOURCES: [&str; 2] = ["imblock-common", "imblock-ebpf"];

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build in a temporary folder and compare with the committed object instead of replacing it.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check { check() } else { replace() }
}

fn replace() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let root = root();
    let target_dir = root.join("target/bpf");
    let stage = root.join("target/bpf-sources");
    stage_sources(&root, &stage)?;
    compile(&toolchain, &stage, &target_dir)?;
    for (binary, path) in OBJECTS {
        let object = object_of(&toolchain, &target_dir, binary)?;
        let file = root.join(path);
        fs::create_dir_all(file.parent().context("an object has no folder")?)?;
        fs::write(&file, &object).with_context(|| format!("cannot write {path}"))?;
        println!("{path}: {} bytes", object.len());
    }
    fs::write(record_path(), toolchain.record())?;
    Ok(())
}

/// An error unless the committed objects are what the sources make.
pub(crate) fn check() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let root = root();
    let copy = tempfile::tempdir()?;
    stage_sources(&root, copy.path())?;
    let target_dir = copy.path().join("target");
    compile(&toolchain, copy.path(), &target_dir)?;
    for (binary, path) in OBJECTS {
        let built = object_of(&toolchain, &target_dir, binary)?;
        let committed = fs::read(root.join(path))
            .with_context(|| format!("cannot read {path}; `cargo xtask build-ebpf` makes it"))?;
        if built != committed {
            return Err(difference(&toolchain, path, &committed, &built));
        }
        println!("{path} is what the sources make, byte for byte");
    }
    Ok(())
}

/// Lays the sources out as one workspace. In the checkout they are two, and cargo mixes the path of
/// what lies outside a workspace into the names of its symbols; their order, and with it the code,
/// would differ from folder to folder.
fn stage_sources(root: &Path, stage: &Path) -> Result<()> {
    for source in SOURCES {
        let staged = stage.join(source);
        if staged.exists() {
            fs::remove_dir_all(&staged)?;
        }
        copy_tree(&root.join(source), &staged)?;
    }
    let read = |path: PathBuf| {
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let shared = read(root.join("Cargo.toml"))?;
    let shared = section(&shared, "[workspace.package]", "[profile.release]")
        .context("Cargo.toml has no [workspace.package] in front of its profiles")?;
    let kernel = read(root.join("imblock-ebpf/Cargo.toml"))?;
    let (package, profile) = kernel
        .split_once("[profile.release]")
        .context("imblock-ebpf/Cargo.toml has no [profile.release]")?;
    let members = SOURCES.map(|source| format!("{source:?}")).join(", ");
    let manifest = format!(
        "[workspace]\nresolver = \"3\"\nmembers = [{members}]\n\n{shared}\n[profile.release]{profile}"
    );
    fs::write(stage.join("Cargo.toml"), manifest)?;
    // What tests alone need is not in the kernel's lock file.
    let common = read(root.join("imblock-common/Cargo.toml"))?;
    let for_tests = section(&common, "[dev-dependencies]", "[lints]").unwrap_or_default();
    fs::write(
        stage.join("imblock-common/Cargo.toml"),
        common.replace(for_tests, ""),
    )?;
    let package = package.replace("\n[workspace]\n", "\n");
    fs::write(stage.join("imblock-ebpf/Cargo.toml"), package)?;
    fs::rename(
        stage.join("imblock-ebpf/Cargo.lock"),
        stage.join("Cargo.lock"),
    )?;
    Ok(())
}

/// The part of a text from one line to another.
fn section<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    let start = text.find(from)?;
    let length = text.get(start..)?.find(to)?;
    text.get(start..start + length)
}

fn difference(toolchain: &Toolchain, path: &str, committed: &[u8], built: &[u8]) -> anyhow::Error {
    let recorded = fs::read_to_string(record_path()).unwrap_or_default();
    let why = if recorded == toolchain.record() {
        "the sources changed since; run `cargo xtask build-ebpf` and commit the objects".to_owned()
    } else {
        format!(
            "another compiler or linker makes other bytes, so this alone proves nothing\n\
             the committed objects were made by:\n{recorded}this machine has:\n{}",
            toolchain.record()
        )
    };
    anyhow!(
        "{path} ({} bytes) differs from what the sources make ({} bytes): {why}",
        committed.len(),
        built.len(),
    )
}

/// The linter over the kernel crate, if the BPF compiler has one.
pub(crate) fn clippy() -> Result<()> {
    let toolchain = Toolchain::find()?;
    let root = root();
    if !toolchain.has_clippy() {
        println!(
            "skipped: no cargo-clippy beside the BPF compiler (apt-get install rust-web-clippy)"
        );
        return Ok(());
    }
    let mut cargo = toolchain.cargo(&root.join("imblock-ebpf"));
    cargo
        .args(["clippy", "--release", "--locked", "--target", TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(root.join("target/bpf"))
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(&toolchain, &root)?)
        .args(["--", "-Dwarnings"]);
    call(&mut cargo)
}

/// Compiles and links the sources in a folder.
fn compile(toolchain: &Toolchain, sources: &Path, target_dir: &Path) -> Result<()> {
    let package = sources.join("imblock-ebpf");
    // The sources of the dependencies must lie where they will be compiled before their paths can
    // be mapped away.
    let mut fetch = toolchain.cargo(&package);
    call(fetch.args(["fetch", "--locked", "--target", TARGET]))?;
    let mut cargo = toolchain.cargo(&package);
    cargo
        .args(["build", "--release", "--locked", "--target", TARGET])
        .args(["-Z", "build-std=core", "--target-dir"])
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain, sources)?);
    call(&mut cargo)
}

/// A linked object as it is committed: without the DWARF, with the .BTF and .BTF.ext that the kernel
/// reads, and sure to be fit for it.
fn object_of(toolchain: &Toolchain, target_dir: &Path, binary: &str) -> Result<Vec<u8>> {
    let linked = target_dir.join(TARGET).join("release").join(binary);
    let stripped = target_dir.join(format!("{binary}.o"));
    let mut strip = Command::new(&toolchain.strip);
    call(strip.arg("-g").arg("-o").args([&stripped, &linked]))?;
    let object = fs::read(&stripped)?;
    guard::assert_anonymous(&object)?;
    if binary == "imblock" {
        guard::assert_complete(&object)?;
    }
    Ok(object)
}

/// Compiler flags, divided by the byte 0x1f as cargo wants them.
fn rustflags(toolchain: &Toolchain, sources: &Path) -> Result<String> {
    let mut flags = vec![
        r#"--cfg=bpf_target_arch="x86_64""#.to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // 32-bit registers and jumps: kernel 5.1.
        "-Ctarget-cpu=v3".to_owned(),
        // Packet fields are unaligned. The kernels of x86-64 and arm64 allow such reads, and the
        // program is a fifth smaller with them than byte by byte. rustc warns that the feature has
        // no promise of stability; nothing silences that.
        "-Ctarget-feature=+allows-misaligned-mem-access".to_owned(),
    ];
    for (from, to) in path_maps(toolchain, sources)? {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    Ok(flags.join("\x1f"))
}

/// Folders whose names would otherwise get into the object, and what stands for them there. Where
/// two apply, the compiler takes the later one.
fn path_maps(toolchain: &Toolchain, sources: &Path) -> Result<Vec<(PathBuf, &'static str)>> {
    let mut maps = vec![
        (sources.to_path_buf(), "/imblock"),
        (toolchain.cargo_home.clone(), "/cargo"),
        (toolchain.rust_source.clone(), "/rust"),
    ];
    if let Ok(resolved) = sources.canonicalize() {
        maps.push((resolved, "/imblock"));
    }
    if let Ok(resolved) = toolchain.rust_source.canonicalize() {
        maps.push((resolved, "/rust"));
    }
    // One folder a registry, with a name that differs where a mirror stands in for crates.io.
    let registries = toolchain.cargo_home.join("registry/src");
    for registry in fs::read_dir(&registries)
        .with_context(|| format!("cannot list {}", registries.display()))?
    {
        maps.push((registry?.path(), "/cargo"));
    }
    Ok(maps)
}

fn record_path() -> PathBuf {
    root().join("imblock/bpf/TOOLCHAIN")
}

/// Copies a file, or a folder with all that is in it but build products.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_name() != "target" {
            copy_tree(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}
