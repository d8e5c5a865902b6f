//! `cargo xtask fuzz`: policies that nobody would write, or captures that nobody recorded, read until
//! the time is up.
//!
//! The work is done by a child, whose memory the kernel bounds: what it can't survive (an overflown
//! stack, memory without end, a loop) leaves the input behind that did it. No nightly compiler and no
//! instrumentation: what a policy is refused for or compiles to, and what is told of a capture, says
//! whether a way was new.

mod captures;
mod corpus;
mod policies;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::workspace::root;
use captures::Captures;
use corpus::{Corpus, Subject};
use policies::Policies;

/// What the child may hold in memory, in bytes. The plan of the largest policy takes a tenth.
const MEMORY_MAX: u64 = 384 << 20;
/// How much of a CPU one input may take: not of the day, which others take their share of too. The
/// largest policies take a second, unoptimised.
const INPUT_MAX: Duration = Duration::from_secs(10);
const MINUTE: u64 = 60;

/// What may be read.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Of {
    /// Policies, read, compiled, printed and proved harmless.
    Policies,
    /// Captures, replayed under the policy `audit`.
    Captures,
}

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is read.
    #[arg(value_enum, default_value = "policies")]
    of: Of,
    /// How long.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How long, in seconds, in place of `--minutes`.
    #[arg(long)]
    seconds: Option<u64>,
    /// Repeats a run, as far as it gets in its time.
    #[arg(long)]
    seed: Option<u64>,
    /// Try this input alone.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Be the child.
    #[arg(long, hide = true)]
    child: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    match args.of {
        Of::Policies => run_with(args, || Ok(Policies)),
        Of::Captures => run_with(args, Captures::new),
    }
}

fn run_with<S: Subject>(args: &Args, subject: impl FnOnce() -> Result<S>) -> Result<()> {
    let seconds = args.seconds.unwrap_or(args.minutes * MINUTE);
    let seed = args.seed.unwrap_or_else(random_seed);
    if args.child {
        let time = Duration::from_secs(seconds);
        return child(&subject()?, seed, time, args.input.as_deref());
    }
    let folder = folder();
    fs::create_dir_all(&folder)?;
    let mut command = Command::new(env::current_exe()?);
    command.args(["fuzz", S::NAME, "--child", "--seed", &seed.to_string()]);
    command.args(["--seconds", &seconds.to_string()]);
    if let Some(input) = &args.input {
        command.arg("--input").arg(input);
    }
    let mut child = command.spawn().context("cannot start the child")?;
    let current = current::<S>(&folder, child.id());
    let status = child.wait()?;
    if status.success() {
        return Ok(fs::remove_file(current)?);
    }
    bail!("{}", blame::<S>(&current, &folder, status, seed)?)
}

/// Keeps the input that ended the child, and says where.
fn blame<S: Subject>(
    current: &Path,
    folder: &Path,
    status: ExitStatus,
    seed: u64,
) -> Result<String> {
    let name = format!("finding-{seed}.{}", S::ENDING);
    fs::rename(current, folder.join(&name))?;
    let path = folder.join(name);
    Ok(format!(
        "{} ended with {status} (--seed {seed}); the input is {}: make it a test in {}",
        format_args!("the reader of {}", S::NAME),
        path.display(),
        S::TESTS,
    ))
}

fn child<S: Subject>(subject: &S, seed: u64, time: Duration, input: Option<&Path>) -> Result<()> {
    let limit = Some(MEMORY_MAX);
    let memory = Rlimit {
        current: limit,
        maximum: limit,
    };
    setrlimit(Resource::Data, memory).context("cannot bound the memory")?;
    let watch = Watch::start();
    let current = current::<S>(&folder(), process::id());
    let tried = |input: &[u8]| {
        fs::write(&current, input)?;
        watch.begin();
        let fate = subject.read(input, &current);
        watch.end();
        anyhow::Ok(fate)
    };
    if let Some(input) = input {
        tried(&fs::read(input)?)?;
        return Ok(());
    }
    let mut corpus = Corpus::new(subject, seed)?;
    let (start, mut inputs, mut worked) = (Instant::now(), 0_u64, 0_u64);
    while start.elapsed() < time {
        let input = corpus.invent();
        let fate = tried(&input)?;
        inputs += 1;
        worked += u64::from(fate.works);
        corpus.learn(input, fate.mark);
    }
    let (known, kinds) = (corpus.len(), corpus.marks());
    let slowest = watch.slowest();
    println!(
        "fuzz: seed {seed}, {inputs} inputs in {} s, {worked} without an error, {kinds} ways, {known} kept, \
         slowest {slowest} ms of CPU, peak memory {} MiB of {} allowed: nothing found",
        start.elapsed().as_secs(),
        peak_memory()? >> 20,
        MEMORY_MAX >> 20,
    );
    ensure!(
        worked > 0,
        "no input was without an error: only the way to errors was tried"
    );
    Ok(())
}

/// Ends the process when an input takes too long.
struct Watch {
    /// Milliseconds of CPU time when the current input began; 0 between inputs.
    began: Arc<AtomicU64>,
    slowest: AtomicU64,
}

impl Watch {
    fn start() -> Self {
        let began = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&began);
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(500));
                let began = watched.load(Ordering::Relaxed);
                if began != 0 && cpu_time().saturating_sub(began) > millis(INPUT_MAX) {
                    let most = INPUT_MAX.as_secs();
                    eprintln!("an input took more than {most} s of CPU time");
                    process::abort();
                }
            }
        });
        Self {
            began,
            slowest: AtomicU64::new(0),
        }
    }

    fn begin(&self) {
        self.began.store(cpu_time().max(1), Ordering::Relaxed);
    }

    fn end(&self) {
        let began = self.began.swap(0, Ordering::Relaxed);
        let took = cpu_time().saturating_sub(began);
        self.slowest.fetch_max(took, Ordering::Relaxed);
    }

    fn slowest(&self) -> u64 {
        self.slowest.load(Ordering::Relaxed)
    }
}

/// Milliseconds that this process has had of the CPUs.
fn cpu_time() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    millis(Duration::try_from(time).unwrap_or_default())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The most memory that this process has held, in bytes.
fn peak_memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib: u64 = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .context("no VmHWM in /proc/self/status")?
        .trim()
        .parse()?;
    Ok(kib << 10)
}

fn folder() -> PathBuf {
    root().join("target/fuzz")
}

/// What is being tried: a file each child, for two may run at a time.
fn current<S: Subject>(folder: &Path, child: u32) -> PathBuf {
    folder.join(format!("current-{child}.{}", S::ENDING))
}

fn random_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs() << 30)
}
