//! `run`: the controller in the foreground. Attaches, serves /metrics, keeps the policy's schedules,
//! and detaches when told to stop.

use std::io;
use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::CommandError;
use super::attach::{adopt, describe, enforce, wanted};
use super::clockwork::Clockwork;
use super::say::{Trouble, complain, say, warn_of};
use super::target::{Target, read_at_once};
use crate::cli::{AttachArgs, Listen, RunArgs};
use crate::exit::Exit;
use crate::kernel::{Instance, KernelError, Maps, own_addresses};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::status::Status;
use crate::telemetry::{self, Source, SourceError};

/// A map's value passes over the stack, and the port table's 256 KiB pass through several frames when
/// a reload writes it: without optimisation more than the usual 2 MiB.
const STACK: usize = 16 << 20;

/// How often the controller looks whether a policy was not confirmed in time, and whether the box has
/// got an address.
const WATCH: Duration = Duration::from_secs(1);

pub(super) fn run(target: &Target, args: &RunArgs) -> Result<Exit, CommandError> {
    let _claim = target.claim()?;
    // Before anything is attached: a taken port must not leave a half-started controller.
    let listener = bind(args.listen)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .map_err(system("start the asynchronous runtime"))?;
    let adopted = match args.keep {
        // Who leaves things in place for the next start takes over what the last one left.
        true => adopt(target)?,
        false => None,
    };
    let start = match adopted {
        Some(instance) => Start::From(Box::new(instance)),
        // While a signal still ends this, however long the policy is in coming.
        None => Start::With(Box::new(wanted(&args.attach)?)),
    };
    // Before anything is attached, too: who is told to stop half-way must still detach.
    let signals = runtime.block_on(async { Signals::listen() })?;
    let instance = match start {
        Start::From(instance) => *instance,
        Start::With(policy) => enforce(target, &args.attach, &policy, args.listen)?.0,
    };
    for interface in instance.interfaces()? {
        say(describe(&interface));
    }
    drop(instance);
    let served = runtime.block_on(serve(target, args, listener, signals));
    if !args.keep {
        let _lock = target.lock()?;
        match Instance::down(&target.name) {
            // Somebody removed the pins by hand: there is nothing left to take down.
            Ok(()) | Err(KernelError::NotRunning(_)) => say("detached"),
            Err(error) => return Err(error.into()),
        }
    }
    served.map(|()| Exit::Ok)
}

/// What the controller begins with.
enum Start {
    /// What is there already.
    From(Box<Instance>),
    /// A policy that is to be put in force.
    With(Box<Policy>),
}

/// Serves /metrics and answers signals until one of them says stop.
async fn serve(
    target: &Target,
    args: &RunArgs,
    listener: Option<TcpListener>,
    mut signals: Signals,
) -> Result<(), CommandError> {
    let mut maps = target.open()?.maps;
    let mut guard = OwnAddresses::default();
    let mut settling = Trouble::default();
    let inspector = inspector(target)?;
    let mut clockwork = Clockwork::of(target)?;
    let mut wake = Instant::now() + tokio::task::block_in_place(|| clockwork.tick());
    let (told, wait) = tokio::sync::oneshot::channel::<()>();
    let server = listener
        .map(|listener| metrics(target, args, listener, wait))
        .transpose()?;
    // Outside of systemd there is nobody to notify.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let mut watch = tokio::time::interval(WATCH);
    loop {
        tokio::select! {
            Some(()) = signals.interrupt.recv() => break,
            Some(()) = signals.terminate.recv() => break,
            Some(()) = signals.hangup.recv() => reload(target, args),
            _ = watch.tick() => {
                settle(target, &maps, &mut settling);
                tokio::task::block_in_place(|| guard.keep_up(&mut maps));
            }
            () = tokio::time::sleep_until(wake) => {
                wake = Instant::now() + tokio::task::block_in_place(|| clockwork.tick());
            }
        }
    }
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let _ = told.send(());
    inspector.abort();
    match server {
        Some(server) => server
            .await
            .map_err(|error| io::Error::other(error.to_string()))?,
        None => Ok(()),
    }
    .map_err(system("serve /metrics"))
}

type Server = tokio::task::JoinHandle<io::Result<()>>;

fn metrics(
    target: &Target,
    args: &RunArgs,
    listener: TcpListener,
    stop: tokio::sync::oneshot::Receiver<()>,
) -> Result<Server, CommandError> {
    let prepare = || {
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    let listener = prepare().map_err(system("prepare the /metrics socket"))?;
    if let Ok(address) = listener.local_addr() {
        say(format_args!("serving http://{address}/metrics"));
    }
    let source = Arc::new(Live {
        target: Target::new(target.name.clone()),
    });
    let options = telemetry::Options {
        per_host: NonZeroUsize::new(args.per_host),
    };
    let stop = async {
        let _ = stop.await;
    };
    Ok(tokio::spawn(telemetry::serve(
        listener, source, options, stop,
    )))
}

/// Answers the QUIC handshakes that the programs hand over.
fn inspector(target: &Target) -> Result<tokio::task::JoinHandle<()>, CommandError> {
    let mut maps = target.open()?.maps;
    let handshakes = maps.take_handshakes()?;
    Ok(tokio::spawn(async move {
        // Maps that were just opened have them.
        let Some(handshakes) = handshakes else { return };
        if let Err(source) = super::inspect::answer(maps, handshakes).await {
            complain(&system("read QUIC handshakes")(source));
        }
    }))
}

/// Says and writes down what the kernel did when a policy was not confirmed in time.
fn settle(target: &Target, maps: &Maps, trouble: &mut Trouble) {
    let overdue = maps.is_overdue().map_err(CommandError::from);
    // Opening the instance settles it.
    let settled = overdue.and_then(|overdue| match overdue {
        true => tokio::task::block_in_place(|| target.open().map(drop)),
        false => Ok(()),
    });
    let settled = match settled {
        // Somebody took the instance down by hand: there is nothing left to settle.
        Err(CommandError::Kernel(KernelError::NotRunning(_))) => Ok(()),
        settled => settled,
    };
    let is_news = trouble.is_news(settled.is_ok());
    match settled {
        Ok(()) if is_news => {
            say("what became of a policy that was not confirmed is written down again");
        }
        Err(error) if is_news => complain(&error),
        _ => {}
    }
}

/// Keeps the guard over the box's own addresses, of which it may get some at any time.
#[derive(Default)]
struct OwnAddresses {
    trouble: Trouble,
}

impl OwnAddresses {
    fn keep_up(&mut self, maps: &mut Maps) {
        let guarded = own_addresses().and_then(|own| maps.guard_own(&own));
        let is_news = self.trouble.is_news(guarded.is_ok());
        match guarded {
            Ok(new) => {
                if is_news {
                    say("addresses that the box gets are guarded again");
                }
                for address in new {
                    say(format_args!(
                        "the box has the address {address} now: it is guarded like the others"
                    ));
                }
            }
            Err(error) if is_news => {
                complain(&error.into());
                say("addresses that the box gets now are not guarded until this is put right");
            }
            Err(_) => {}
        }
    }
}

/// On SIGHUP: the policy file again. A wrong one changes nothing.
fn reload(target: &Target, args: &RunArgs) {
    let reloaded = tokio::task::block_in_place(|| {
        let AttachArgs {
            policy, interfaces, ..
        } = &args.attach;
        let policy = read_at_once(policy)?;
        super::policy::put_in_force(target, &policy, interfaces, args.listen, None)
    });
    match reloaded {
        Ok(applied) => {
            warn_of(&applied.warnings);
            say(format_args!(
                "policy {} is in force, generation {}",
                applied.name, applied.generation
            ));
        }
        Err(error) => {
            complain(&error);
            if !error.is_done() {
                say("not reloaded: the old policy stays in force");
            }
        }
    }
}

/// What /metrics shows, read at each scrape. The pins are opened anew each time, so a scrape after
/// `imblock down` tells the truth.
struct Live {
    target: Target,
}

impl Source for Live {
    fn snapshot(&self) -> Result<Snapshot, SourceError> {
        let read =
            || -> Result<Snapshot, CommandError> { Ok(self.target.open()?.maps.snapshot()?) };
        read().map_err(|error| SourceError::Counters(Box::new(error)))
    }

    fn status(&self) -> Result<Status, SourceError> {
        let read = || self.target.status(&self.target.open()?);
        read().map_err(|error| SourceError::Status(Box::new(error)))
    }
}

fn bind(listen: Listen) -> Result<Option<TcpListener>, CommandError> {
    match listen {
        Listen::Nowhere => Ok(None),
        Listen::At(address) => TcpListener::bind(address)
            .map(Some)
            .map_err(|source| CommandError::Listen { address, source }),
    }
}

/// The signals that a controller obeys. One that comes before anybody asks is not lost.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, CommandError> {
        Ok(Self {
            interrupt: listen_for(SignalKind::interrupt())?,
            terminate: listen_for(SignalKind::terminate())?,
            hangup: listen_for(SignalKind::hangup())?,
        })
    }
}

fn listen_for(kind: SignalKind) -> Result<Signal, CommandError> {
    signal(kind).map_err(system("listen for signals"))
}

fn system(what: &'static str) -> impl Fn(io::Error) -> CommandError {
    move |source| CommandError::System { what, source }
}
