//! The clients of the HTTP server, held short: anybody who reaches the port may connect, and each
//! connection takes one of the file descriptors with which the controller reads its maps and its state.
//!
//! Invariant: never more than so many connections at a time, and none longer than the patience, whatever
//! its client sends, doesn't send, or doesn't read. Who comes when all places are taken waits in the
//! kernel's queue.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// Accepts guests while there is room.
#[derive(Debug)]
pub(super) struct Guests {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
}

impl Guests {
    /// At most `places` connections at a time, each of which has `patience` for all it wants.
    pub(super) fn new(listener: TcpListener, places: usize, patience: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(places)),
            patience,
        }
    }
}

impl Listener for Guests {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        // Nobody closes the semaphore; without a place the guest would only not be counted.
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let guest = Guest {
            stream,
            leaves: Box::pin(tokio::time::sleep(self.patience)),
            _place: place,
        };
        (guest, from)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection with an end.
#[derive(Debug)]
pub(super) struct Guest {
    stream: TcpStream,
    leaves: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Guest {
    /// What is done with the connection; an error as soon as the time is over, also for who waits.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match self.leaves.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(ErrorKind::TimedOut.into())),
            Poll::Pending => done(Pin::new(&mut self.stream), cx),
        }
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_read(cx, buffer))
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx, |stream, cx| stream.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.in_time(cx, |stream, cx| stream.poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);
    const SHORT: Duration = Duration::from_millis(200);

    async fn guests(places: usize, patience: Duration) -> (Guests, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        (Guests::new(listener, places, patience), at)
    }

    #[tokio::test]
    async fn who_says_nothing_is_hung_up_on() {
        let (mut guests, at) = guests(1, SHORT).await;
        let _silent = TcpStream::connect(at).await.unwrap();
        let (mut guest, _) = guests.accept().await;
        let error = guest.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_dribbles_is_hung_up_on() {
        let (mut guests, at) = guests(1, SHORT).await;
        let mut slow = TcpStream::connect(at).await.unwrap();
        let dribble = async {
            while slow.write_all(b"x").await.is_ok() {
                tokio::time::sleep(SHORT / 20).await;
            }
        };
        let listen = async {
            let (mut guest, _) = guests.accept().await;
            loop {
                if let Err(error) = guest.read_u8().await {
                    break error.kind();
                }
            }
        };
        tokio::select! {
            kind = listen => assert_eq!(kind, ErrorKind::TimedOut),
            () = dribble => unreachable!("the connection is open while it is listened to"),
        }
    }

    #[tokio::test]
    async fn who_does_not_read_is_hung_up_on() {
        let (mut guests, at) = guests(1, SHORT).await;
        let _deaf = TcpStream::connect(at).await.unwrap();
        let (mut guest, _) = guests.accept().await;
        let answer = vec![0; 64 << 20]; // more than any socket buffer
        let error = guest.write_all(&answer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_waits_for_one() {
        let (mut guests, at) = guests(1, LONG).await;
        let _clients = [
            TcpStream::connect(at).await.unwrap(),
            TcpStream::connect(at).await.unwrap(),
        ];
        let (first, _) = guests.accept().await;
        let none = tokio::time::timeout(SHORT, guests.accept()).await;
        assert!(none.is_err(), "a second one has a place");
        drop(first);
        guests.accept().await;
    }
}
