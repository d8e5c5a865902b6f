#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails may panic"
)]

mod formats;
mod guests;

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use imblock_common::Outcome;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::exposition::Exposition;
use super::formats::Format;
use super::guests::Guests;
use super::server::serve_guests;
use super::{Options, Source, SourceError};
use crate::output::sample;
use crate::snapshot::Snapshot;
use crate::status::Status;

/// A source that gives the sample, and fails or panics on demand.
#[derive(Default)]
struct Sample {
    odd_names: bool,
    /// Readers that came to it.
    asked: AtomicUsize,
    /// They wait for as long as this is so.
    held: AtomicBool,
    fails: AtomicBool,
    panics: AtomicBool,
}

/// A name that breaks an exposition unless it is escaped.
const ODD: &str = "a\"b\\c\nd{e=\"f\"} 1";

impl Source for Sample {
    fn status(&self) -> Result<Status, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        while self.held.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut status = sample::status();
        if self.odd_names {
            status.policy.name = ODD.to_owned();
            status.policy.services[0].id = ODD.to_owned();
            status.interfaces[0].plan.name = ODD.to_owned();
        }
        Ok(status)
    }

    fn snapshot(&self) -> Result<Snapshot, SourceError> {
        assert!(!self.panics.load(Ordering::Relaxed), "out of wits");
        if self.fails.load(Ordering::Relaxed) {
            let cause = io::Error::other("the map is gone");
            return Err(SourceError::Counters(Box::new(cause)));
        }
        Ok(sample::snapshot())
    }
}

/// Longer than any answer takes on a busy machine, and shorter than the server waits for a request.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server on a port of its own, until it is dropped or stopped.
struct Running {
    at: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Running {
    async fn start(source: Arc<Sample>, options: Options) -> Self {
        Self::with_guests(Guests::new(8, 2 * PATIENCE), source, options).await
    }

    async fn with_guests(guests: Guests, source: Arc<Sample>, options: Options) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async move {
            let _ = stopped.await;
        };
        Self {
            at,
            stop: Some(stop),
            server: tokio::spawn(serve_guests(listener, guests, source, options, shutdown)),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(path, &[]).await
    }

    async fn ask(&self, path: &str, accepts: &[&str]) -> Answer {
        let accepts: String = accepts
            .iter()
            .map(|line| format!("Accept: {line}\r\n"))
            .collect();
        // It doesn't ask to close the connection: the server does that by itself.
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n{accepts}\r\n");
        let at = self.at;
        let asking = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(at).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        });
        let answer = asking.await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let (status, headers) = head.split_once("\r\n").unwrap();
        Answer {
            code: status.split(' ').nth(1).unwrap().parse().unwrap(),
            headers: headers.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn scrape(&self) -> Exposition {
        self.scrape_as(Format::OpenMetrics).await
    }

    async fn scrape_as(&self, format: Format) -> Exposition {
        let answer = self.ask("/metrics", &[format.media_type()]).await;
        assert_eq!(answer.code, 200, "{}", answer.body);
        answer.is_of(format);
        Exposition::parse(format, &answer.body)
    }
}

struct Answer {
    code: u16,
    headers: String,
    body: String,
}

impl Answer {
    fn is_of(&self, format: Format) {
        let line = format!("content-type: {}", format.media_type());
        assert!(self.headers.contains(&line), "{line}: {}", self.headers);
    }
}

/// No sample at all.
const NONE: [u64; 0] = [];

fn top(hosts: usize) -> Options {
    Options {
        per_host: NonZeroUsize::new(hosts),
    }
}

#[tokio::test]
async fn a_scrape_tells_what_the_source_says() {
    let server = Running::start(Arc::default(), Options::default()).await;
    let seen = server.scrape().await;
    let irc = |verdict| {
        [
            ("service", "irc"),
            ("evidence", "port"),
            ("verdict", verdict),
        ]
    };
    seen.has("imblock_service_packets_total", &irc("counted"), 30);
    seen.has("imblock_service_packets_total", &irc("dropped"), 13);
    seen.has("imblock_service_bytes_total", &irc("dropped"), 940);
    let xmpp = [("service", "xmpp"), ("verdict", "allowed")];
    seen.has("imblock_service_bytes_total", &xmpp, 1_234_567);
    seen.has("imblock_service_packets_total", &[("service", "#9")], 1);
    let lan = [("view", "lan_ingress"), ("outcome", "not_ip")];
    seen.has("imblock_frames_total", &lan, 44);
    assert_eq!(seen.sum("imblock_frames_total", &[]), 44 + 524 + 1_020);
    seen.has("imblock_overflow_packets_total", &[("service", "irc")], 7);
    seen.has("imblock_hosts_in_use", &[], 3);
    seen.has("imblock_inside_in_use", &[], 0);
    seen.has("imblock_hosts_limit", &[], 16_384);
    seen.has("imblock_policy_generation", &[], 3);
    seen.has(
        "imblock_policy_applied_timestamp_seconds",
        &[],
        1_750_000_000,
    );
    seen.has("imblock_overrides", &[], 2);
    // Kept; `state::schedules` says when they are not.
    seen.has("imblock_schedules_frozen", &[], 0);
    let policy = [("name", "office"), ("hash", "9f86d081884c7d65")];
    seen.has("imblock_policy_info", &policy, 1);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    seen.has("imblock_build_info", &version, 1);
    seen.has("imblock_scrape_errors_total", &[], 0);
    for (interface, side, hook, attached) in [
        ("br-lan", "lan", "ingress", 1),
        ("br-lan", "lan", "egress", 0),
        ("eth0", "wan", "ingress", 1),
    ] {
        let labels = [("interface", interface), ("side", side), ("hook", hook)];
        seen.has("imblock_interface_attached", &labels, attached);
    }
    // Nobody asked for an egress program on the WAN side, so none is missing there.
    let labels = [("interface", "eth0"), ("hook", "egress")];
    assert_eq!(seen.values("imblock_interface_attached", &labels), NONE);
}

#[tokio::test]
async fn what_the_policy_can_make_move_is_there_from_the_start() {
    let server = Running::start(Arc::default(), Options::default()).await;
    let seen = server.scrape().await;
    for verdict in ["dropped", "allowed"] {
        let icq = [("service", "icq"), ("verdict", verdict)];
        seen.has("imblock_service_packets_total", &icq, 0);
        seen.has("imblock_service_bytes_total", &icq, 0);
    }
    let icq = [("service", "icq"), ("verdict", "counted")];
    assert_eq!(seen.values("imblock_service_packets_total", &icq), NONE);
    seen.has("imblock_overflow_packets_total", &[("service", "icq")], 0);
    // What a program may see: both ways on the LAN, and what enters on the WAN.
    for (view, outcomes) in [
        ("lan_ingress", Outcome::ALL.len()),
        ("lan_egress", Outcome::ALL.len()),
        ("wan_ingress", Outcome::ALL.len()),
        ("wan_egress", 0),
    ] {
        let found = seen.values("imblock_frames_total", &[("view", view)]);
        assert_eq!(found.len(), outcomes, "{view}");
    }
    let truncated = [("view", "lan_egress"), ("outcome", "truncated")];
    seen.has("imblock_frames_total", &truncated, 0);
}

#[tokio::test]
async fn hosts_are_told_only_when_asked_for() {
    let server = Running::start(Arc::default(), Options::default()).await;
    let seen = server.scrape().await;
    assert!(!seen.text.contains("10.0.0.2") && !seen.text.contains("imblock_host_"));
}

#[tokio::test]
async fn hosts_sum_up_to_their_services_however_many_are_named() {
    for named in [1, 2, 1_000] {
        let server = Running::start(Arc::default(), top(named)).await;
        let seen = server.scrape().await;
        for service in ["irc", "xmpp", "#9"] {
            for unit in ["packets", "bytes"] {
                let service = [("service", service)];
                assert_eq!(
                    seen.sum(&format!("imblock_host_{unit}_total"), &service),
                    seen.sum(&format!("imblock_service_{unit}_total"), &service),
                    "{unit} of {service:?} with {named} hosts named"
                );
            }
        }
        let hosts: BTreeSet<_> = seen
            .samples
            .iter()
            .filter_map(|(_, labels, _)| labels.get("host"))
            .collect();
        // The overflow belongs to no host, so there is always an `other`.
        assert_eq!(hosts.len(), named.min(3) + 1, "{hosts:?}");
        assert!(hosts.contains(&"2001:db8::17".to_owned()), "{hosts:?}");
    }
}

#[tokio::test]
async fn hosts_tell_direction_and_verdict() {
    let server = Running::start(Arc::default(), top(2)).await;
    let seen = server.scrape().await;
    let labels = |direction, verdict| {
        [
            ("host", "10.0.0.2"),
            ("service", "irc"),
            ("direction", direction),
            ("verdict", verdict),
        ]
    };
    let name = "imblock_host_packets_total";
    seen.has(name, &labels("sent", "passed"), 10);
    seen.has(name, &labels("received", "passed"), 20);
    seen.has(name, &labels("sent", "refused"), 6);
    assert_eq!(seen.values(name, &labels("received", "refused")), NONE);
}

#[tokio::test]
async fn odd_names_arrive_as_they_are() {
    let source = Sample {
        odd_names: true,
        ..Sample::default()
    };
    let server = Running::start(Arc::new(source), top(5)).await;
    let seen = server.scrape().await;
    seen.has("imblock_policy_info", &[("name", ODD)], 1);
    let dropped = [("service", ODD), ("verdict", "dropped")];
    seen.has("imblock_service_packets_total", &dropped, 13);
    let ingress = [("interface", ODD), ("hook", "ingress")];
    seen.has("imblock_interface_attached", &ingress, 1);
}

#[tokio::test]
async fn a_failing_source_is_503_with_the_reason_and_is_counted() {
    let source = Arc::new(Sample::default());
    let server = Running::start(Arc::clone(&source), Options::default()).await;
    source.fails.store(true, Ordering::Relaxed);
    let answer = server.get("/metrics").await;
    assert_eq!(answer.code, 503);
    assert_eq!(answer.body, "can't read the counters: the map is gone\n");
    source.fails.store(false, Ordering::Relaxed);
    source.panics.store(true, Ordering::Relaxed);
    let answer = server.get("/metrics").await;
    assert_eq!(answer.code, 503);
    assert!(answer.body.contains("out of wits"), "{}", answer.body);
    source.panics.store(false, Ordering::Relaxed);
    let seen = server.scrape().await;
    seen.has("imblock_scrape_errors_total", &[], 2);
}

#[tokio::test]
async fn other_pages() {
    let server = Running::start(Arc::default(), Options::default()).await;
    let index = server.get("/").await;
    assert_eq!(index.code, 200);
    assert!(index.headers.contains("content-type: text/html"));
    assert!(index.body.contains("href=\"/metrics\""));
    assert!(
        index.headers.contains("connection: close"),
        "{}",
        index.headers
    );
    let health = server.get("/healthz").await;
    assert_eq!((health.code, health.body.as_str()), (200, "ok\n"));
    assert_eq!(server.get("/nowhere").await.code, 404);
}

#[tokio::test]
async fn a_shutdown_ends_the_server_even_with_a_silent_client() {
    let mut server = Running::start(Arc::default(), Options::default()).await;
    server.scrape().await;
    let mut silent = TcpStream::connect(server.at).unwrap();
    silent.write_all(b"GET /metrics HTT").unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop.take().unwrap().send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), server.server).await;
    ended.unwrap().unwrap();
}
