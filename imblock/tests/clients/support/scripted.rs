//! Small servers for protocols whose real ones would prove no more.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use imblock::lab::Host;
use imblock_common::Transport;

const TICK: Duration = Duration::from_millis(20);
/// How long a client may be silent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whether something listens on a port of a host, as its kernel says: asking the port itself could
/// confuse the server.
pub(super) fn is_open(host: &Host, transport: Transport, port: u16) -> bool {
    let (tables, state) = match transport {
        Transport::Tcp => (["tcp", "tcp6"], "0A"),
        Transport::Udp => (["udp", "udp6"], "07"),
    };
    let port = format!(":{port:04X}");
    let listed = |table: String| {
        table.lines().any(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let local = columns.next().unwrap_or_default();
            local.ends_with(&port) && columns.nth(1) == Some(state)
        })
    };
    let read = || tables.map(|name| fs::read_to_string(format!("/proc/thread-self/net/{name}")));
    let read = host.namespace.run(read).unwrap();
    read.into_iter().any(|table| table.is_ok_and(listed))
}

/// The lines that a client sends, and where the answers go.
pub(crate) struct Lines(BufReader<TcpStream>);

impl Lines {
    /// The next line without its end; none when the client is gone.
    pub(crate) fn next(&mut self) -> io::Result<Option<String>> {
        let mut line = String::new();
        let length = self.0.read_line(&mut line)?;
        Ok((length > 0).then(|| line.trim_end().to_owned()))
    }

    pub(crate) fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }
}

/// A TCP server that talks by a script, one client after the other.
pub(crate) struct Dialogue {
    _background: Background,
}

impl Dialogue {
    /// A client that is cut off ends its talk only.
    pub(crate) fn start(
        on: &Host,
        port: u16,
        talk: impl Fn(&mut Lines) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let at = SocketAddr::new(on.v4.into(), port);
        let listener = on.namespace.run(|| TcpListener::bind(at)).unwrap().unwrap();
        listener.set_nonblocking(true).unwrap();
        let background = Background::start(move || {
            let Ok((stream, _)) = listener.accept() else {
                thread::sleep(TICK);
                return;
            };
            let prepared = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_read_timeout(Some(PATIENCE)));
            let _ = prepared.and_then(|()| talk(&mut Lines(BufReader::new(stream))));
        });
        Self {
            _background: background,
        }
    }
}

/// A UDP server that answers each datagram by itself.
pub(crate) struct Datagrams {
    _background: Background,
}

impl Datagrams {
    pub(crate) fn start(
        on: &Host,
        port: u16,
        answer: impl Fn(&[u8], SocketAddr) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let at = SocketAddr::new(on.v4.into(), port);
        let socket = on.namespace.run(|| UdpSocket::bind(at)).unwrap().unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let background = Background::start(move || {
            let mut buffer = [0; 2048];
            if let Ok((length, client)) = socket.recv_from(&mut buffer) {
                let _ = socket.send_to(&answer(&buffer[..length], client), client);
            }
        });
        Self {
            _background: background,
        }
    }
}

/// Repeats something short until dropped.
struct Background {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    fn start(step: impl Fn() + Send + 'static) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                step();
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
