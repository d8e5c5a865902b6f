//! The clients of the HTTP server, held short: anybody who reaches the port may connect, and each
//! connection takes one of the file descriptors with which the controller reads its maps and its state.
//!
//! Invariant: never more than so many connections at a time, and one in the door; none longer than the
//! patience, whatever its client sends, doesn't send, or doesn't read, and however long its answer takes.
//! Where all places are taken the oldest goes, so that clients that only hold on don't keep out a reader
//! of metrics.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};

/// Those who are being served.
#[derive(Debug)]
pub(super) struct Guests {
    places: usize,
    patience: Duration,
    /// A task each. Who drops them sends all of them away.
    visits: JoinSet<()>,
    /// To make a guest go; the oldest is in front.
    stays: VecDeque<AbortHandle>,
}

impl Guests {
    /// At most `places` at a time, each of whom has `patience` for all it wants.
    pub(super) fn new(places: usize, patience: Duration) -> Self {
        Self {
            places,
            patience,
            visits: JoinSet::new(),
            stays: VecDeque::new(),
        }
    }

    /// One more guest, and what serving it is: dropped, and the connection with it, when its time is over or
    /// its place is needed. Returns when there is a place, which is soon.
    pub(super) async fn welcome(&mut self, visit: impl Future<Output = ()> + Send + 'static) {
        while self.visits.try_join_next().is_some() {}
        self.stays.retain(|stay| !stay.is_finished());
        while self.visits.len() >= self.places {
            if let Some(oldest) = self.stays.pop_front() {
                oldest.abort();
            }
            // Whoever goes makes room, also if it is another one who was done just now.
            self.visits.join_next().await;
        }
        let patience = self.patience;
        let stay = self.visits.spawn(async move {
            let _ = tokio::time::timeout(patience, visit).await;
        });
        self.stays.push_back(stay);
    }

    /// Until all have gone.
    pub(super) async fn all_gone(&mut self) {
        while self.visits.join_next().await.is_some() {}
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    /// A guest who stays for good, and word of when it is gone.
    async fn welcome(guests: &mut Guests) -> oneshot::Receiver<()> {
        let (stays, gone) = oneshot::channel::<()>();
        guests
            .welcome(async move {
                let _stays = stays;
                pending::<()>().await;
            })
            .await;
        gone
    }

    #[tokio::test]
    async fn nobody_stays_longer_than_the_patience() {
        let mut guests = Guests::new(1, Duration::from_millis(50));
        let gone = welcome(&mut guests).await;
        gone.await.unwrap_err();
        guests.all_gone().await;
    }

    #[tokio::test]
    async fn who_comes_when_all_places_are_taken_gets_that_of_the_oldest() {
        let mut guests = Guests::new(2, LONG);
        let oldest = welcome(&mut guests).await;
        let mut second = welcome(&mut guests).await;
        let mut third = welcome(&mut guests).await;
        oldest.await.unwrap_err();
        assert_eq!(guests.visits.len(), 2);
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let mut fourth = welcome(&mut guests).await;
        second.await.unwrap_err();
        for inside in [&mut third, &mut fourth] {
            assert_eq!(inside.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        }
    }

    #[tokio::test]
    async fn who_is_done_costs_nobody_a_place() {
        let mut guests = Guests::new(2, LONG);
        let mut first = welcome(&mut guests).await;
        for _ in 0..10 {
            let (done, is_done) = oneshot::channel::<()>();
            guests.welcome(async move { drop(done) }).await;
            is_done.await.unwrap_err();
            tokio::task::yield_now().await;
        }
        assert_eq!(first.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
