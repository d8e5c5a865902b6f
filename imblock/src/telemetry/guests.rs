//! The clients of the HTTP server, held short: anybody who reaches the port may connect, and each
//! connection takes one of the file descriptors with which the controller reads its maps and its state.
//!
//! Invariant: never more than so many connections at a time, and one in the door; none longer than the
//! patience, whatever its client sends, doesn't send, or doesn't read. Where all places are taken the
//! oldest goes, so that clients that only hold on don't keep out a reader of metrics.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Sleep;

/// Accepts guests, and makes room for them.
#[derive(Debug)]
pub(super) struct Guests {
    listener: TcpListener,
    places: Arc<Semaphore>,
    patience: Duration,
    /// To be dropped to make a guest go; the oldest is in front.
    stays: VecDeque<oneshot::Sender<()>>,
}

impl Guests {
    /// At most `places` connections at a time, each of which has `patience` for all it wants.
    pub(super) fn new(listener: TcpListener, places: usize, patience: Duration) -> Self {
        Self {
            listener,
            places: Arc::new(Semaphore::new(places)),
            patience,
            stays: VecDeque::new(),
        }
    }

    /// A place for one more guest; the oldest one's, if all are taken.
    async fn place(&mut self) -> Option<OwnedSemaphorePermit> {
        self.stays.retain(|stay| !stay.is_closed());
        if self.places.available_permits() == 0 {
            self.stays.pop_front();
        }
        // Nobody closes the semaphore; without a place the guest would only not be counted.
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}

impl Listener for Guests {
    type Io = Guest;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Guest, SocketAddr) {
        let (stream, from) = Listener::accept(&mut self.listener).await;
        let place = self.place().await;
        let (stay, asked_to_go) = oneshot::channel();
        self.stays.push_back(stay);
        let guest = Guest {
            stream,
            leaves: Box::pin(tokio::time::sleep(self.patience)),
            asked_to_go: Some(asked_to_go),
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
    /// None after it was asked to.
    asked_to_go: Option<oneshot::Receiver<()>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Guest {
    /// What is done with the connection; an error as soon as its time is over, also for who waits.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        done: impl FnOnce(Pin<&mut TcpStream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let asked_to_go = self.asked_to_go.as_mut();
        if asked_to_go.is_none_or(|asked| Pin::new(asked).poll(cx).is_ready()) {
            self.asked_to_go = None;
            return Poll::Ready(Err(ErrorKind::ConnectionAborted.into()));
        }
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
        self.in_time(cx, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, AsyncWrite::poll_shutdown)
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
    async fn who_comes_when_all_places_are_taken_gets_that_of_the_oldest() {
        let (mut guests, at) = guests(2, LONG).await;
        let mut clients = Vec::new();
        let mut inside = Vec::new();
        for _ in 0..2 {
            clients.push(TcpStream::connect(at).await.unwrap());
            inside.push(guests.accept().await.0);
        }
        let mut oldest = inside.remove(0);
        clients.push(TcpStream::connect(at).await.unwrap());
        // As its task does, which is at work meanwhile.
        let goes = async move {
            let kind = oldest.read_u8().await.unwrap_err().kind();
            // Whoever closes a connection looks at it once more.
            oldest.shutdown().await.unwrap_err();
            kind
        };
        let ((third, _), gone) = tokio::join!(guests.accept(), goes);
        assert_eq!(gone, ErrorKind::ConnectionAborted);
        inside.push(third);
        // Those that are left are served.
        for (client, guest) in clients.iter_mut().skip(1).zip(&mut inside) {
            client.write_all(b"?").await.unwrap();
            assert_eq!(guest.read_u8().await.unwrap(), b'?');
        }
    }
}
