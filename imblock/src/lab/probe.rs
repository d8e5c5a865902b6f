//! Asks from inside a namespace whether a port answers, with real connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use imblock_common::Transport;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{LabError, Namespace};

/// What is sent, and must come back.
const HELLO: &[u8] = b"is anybody there?\n";

/// A port to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// How.
    pub transport: Transport,
    /// Whom.
    pub to: SocketAddr,
}

/// What came of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was sent came back.
    Echoed,
    /// Nothing came back in time.
    Silence,
    /// The stack refused: nobody listens, or there is no route.
    Error(io::ErrorKind),
}

/// Asks all ports at the same time, and gives the answers in the same order after at most
/// `patience`.
///
/// With a patience below a second, an unanswered probe is one packet on the wire: Linux repeats a
/// SYN after a second (RFC 6298 section 2.1), and a datagram never.
///
/// # Errors
///
/// Only if the namespace can't be entered; a port that does not answer is an [`Answer`].
pub fn probe(
    from: &Namespace,
    probes: &[Probe],
    patience: Duration,
) -> Result<Vec<Answer>, LabError> {
    from.run(|| {
        from.runtime().map(|runtime| {
            runtime.block_on(async {
                let asked: Vec<JoinHandle<Answer>> = probes
                    .iter()
                    .map(|probe| tokio::spawn(probe.ask(patience)))
                    .collect();
                let mut answers = Vec::with_capacity(asked.len());
                for answer in asked {
                    answers.push(answer.await.unwrap_or(Answer::Error(io::ErrorKind::Other)));
                }
                answers
            })
        })
    })?
}

impl Probe {
    /// Asks one port.
    async fn ask(self, patience: Duration) -> Answer {
        let exchange = async {
            match self.transport {
                Transport::Tcp => tcp(self.to).await,
                Transport::Udp => udp(self.to).await,
            }
        };
        match timeout(patience, exchange).await {
            Ok(Ok(())) => Answer::Echoed,
            Ok(Err(error)) => Answer::Error(error.kind()),
            Err(_) => Answer::Silence,
        }
    }
}

async fn tcp(to: SocketAddr) -> io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.write_all(HELLO).await?;
    let mut back = [0; HELLO.len()];
    stream.read_exact(&mut back).await?;
    // Both directions are closed before the probe is over, so that counters stand still after it.
    stream.shutdown().await?;
    while stream.read(&mut back).await? > 0 {}
    Ok(())
}

async fn udp(to: SocketAddr) -> io::Result<()> {
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(to).await?;
    socket.send(HELLO).await?;
    let mut back = [0; HELLO.len()];
    socket.recv(&mut back).await?;
    Ok(())
}
