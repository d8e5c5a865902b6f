//! Datagrams that are counted by whoever sends and whoever receives them.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use imblock::lab::Host;
use jiff::Timestamp;
use rustix::net::sockopt;

/// Every this many datagrams the sender rests, so that no queue on the way overflows.
const BURST: u32 = 8;
const REST: Duration = Duration::from_millis(1);
/// Room for all that a test sends, should the receiver not get the processor for a while.
const QUEUE: usize = 64 << 20;
/// How often a thread looks whether it is over.
const TICK: Duration = Duration::from_millis(20);

/// Sends numbered datagrams of `length` bytes of payload.
pub(crate) fn send(from: &Host, to: SocketAddr, count: u32, length: usize) {
    let socket = socket_towards(from, to);
    for number in 0..count {
        socket.send(&datagram(number, length)).unwrap();
        if number % BURST == BURST - 1 {
            thread::sleep(REST);
        }
    }
}

/// Sends numbered datagrams until it is stopped.
pub(crate) struct Stream {
    over: Arc<AtomicBool>,
    thread: JoinHandle<u32>,
}

impl Stream {
    pub(crate) fn start(from: &Host, to: SocketAddr) -> Self {
        let socket = socket_towards(from, to);
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                socket.send(&datagram(number, 64)).unwrap();
                number += 1;
                if number % BURST == 0 {
                    thread::sleep(REST);
                }
            }
            number
        });
        Self { over, thread }
    }

    /// Stops, and says how many were sent.
    pub(crate) fn stop(self) -> u32 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Sends numbered datagrams, not many, and notes when.
pub(crate) struct Numbered {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Timestamp>>,
}

impl Numbered {
    pub(crate) fn start(from: &Host, to: SocketAddr) -> Self {
        let socket = socket_towards(from, to);
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let thread = thread::spawn(move || {
            let mut sent = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let number = u32::try_from(sent.len()).unwrap();
                sent.push(Timestamp::now());
                socket.send(&datagram(number, 64)).unwrap();
                thread::sleep(TICK);
            }
            sent
        });
        Self { over, thread }
    }

    /// Stops, and says when each was sent.
    pub(crate) fn stop(self) -> Vec<Timestamp> {
        self.over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Receives numbered datagrams on a port.
pub(crate) struct Sink {
    seen: Arc<Mutex<BTreeSet<u32>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub(crate) fn start(on: &Host, port: u16) -> Self {
        let at = SocketAddr::new(on.v4.into(), port);
        let socket = on.namespace.run(|| UdpSocket::bind(at).unwrap()).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE).unwrap();
        let seen = Arc::new(Mutex::new(BTreeSet::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (store, stop) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                let Ok(length) = socket.recv(&mut buffer) else {
                    continue;
                };
                let number = buffer[..length].first_chunk().copied().unwrap();
                store.lock().unwrap().insert(u32::from_be_bytes(number));
            }
        });
        Self {
            seen,
            over,
            thread: Some(thread),
        }
    }

    /// Those that came.
    pub(crate) fn numbers(&self) -> BTreeSet<u32> {
        self.seen.lock().unwrap().clone()
    }

    /// How many came, once the last ones are in: when that many are there, or it is certain that no more
    /// come. Where none is expected, that is after a second.
    pub(crate) fn count(&self, expected: u32) -> u32 {
        let patience = if expected == 0 { 1 } else { 20 };
        let deadline = Instant::now() + Duration::from_secs(patience);
        loop {
            let count = self.seen.lock().unwrap().len() as u32;
            if count >= expected && expected > 0 || Instant::now() > deadline {
                return count;
            }
            thread::sleep(TICK);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn socket_towards(from: &Host, to: SocketAddr) -> UdpSocket {
    from.namespace
        .run(|| {
            let any = if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            socket.connect(to).unwrap();
            socket
        })
        .unwrap()
}

fn datagram(number: u32, length: usize) -> Vec<u8> {
    let mut payload = number.to_be_bytes().to_vec();
    payload.resize(length.max(4), b'.');
    payload
}
