//! A server that sends back what it gets, on many ports.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread::JoinHandle;

use imblock_common::Transport;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{Host, LabError};

/// Larger than any datagram that fits a cable.
const BUFFER: usize = 2048;

/// Listens until it is dropped.
#[derive(Debug)]
pub struct EchoServer {
    /// Dropping it stops the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EchoServer {
    /// Listens on every address of a host. When this returns, every port answers.
    ///
    /// # Errors
    ///
    /// A port that is taken.
    pub fn start(on: &Host, ports: &[(Transport, u16)]) -> Result<Self, LabError> {
        let sockets = on.namespace.run(|| bind(on, ports))??;
        let runtime = on.namespace.runtime()?;
        let (stop, stopped) = oneshot::channel();
        // The sockets belong to the namespace; the thread that serves them need not.
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                for socket in sockets {
                    tokio::spawn(socket.serve());
                }
                // A word and a dropped sender mean the same: it is over.
                let _ = stopped.await;
            });
        });
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to stop.
            let _ = thread.join();
        }
    }
}

/// A socket that waits for clients.
enum Listening {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Listening {
    fn on(transport: Transport, at: SocketAddr) -> io::Result<Self> {
        match transport {
            Transport::Tcp => {
                let listener = TcpListener::bind(at)?;
                listener.set_nonblocking(true)?;
                Ok(Self::Tcp(listener))
            }
            Transport::Udp => {
                let socket = UdpSocket::bind(at)?;
                socket.set_nonblocking(true)?;
                Ok(Self::Udp(socket))
            }
        }
    }

    /// Serves for ever. An error of one client is its own affair; one of the socket ends it, and
    /// the next probe will tell.
    async fn serve(self) {
        let _ = match self {
            Self::Tcp(listener) => accept(listener).await,
            Self::Udp(socket) => echo_datagrams(socket).await,
        };
    }
}

/// Called inside the namespace.
fn bind(on: &Host, ports: &[(Transport, u16)]) -> Result<Vec<Listening>, LabError> {
    let mut sockets = Vec::new();
    for address in on.addresses() {
        for &(transport, port) in ports {
            let at = SocketAddr::new(address, port);
            let socket = Listening::on(transport, at).map_err(|source| LabError::Socket {
                namespace: on.name().to_owned(),
                what: format!("listen on {at}"),
                source,
            })?;
            sockets.push(socket);
        }
    }
    Ok(sockets)
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo_stream(stream));
    }
}

async fn echo_stream(mut stream: TcpStream) -> io::Result<u64> {
    let (mut from, mut to) = stream.split();
    tokio::io::copy(&mut from, &mut to).await
}

async fn echo_datagrams(socket: UdpSocket) -> io::Result<()> {
    let socket = tokio::net::UdpSocket::from_std(socket)?;
    let mut buffer = [0; BUFFER];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let datagram = buffer.get(..length).unwrap_or_default();
        // A client that is gone must not end the service for the others.
        let _ = socket.send_to(datagram, client).await;
    }
}
