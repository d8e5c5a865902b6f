//! Clients that do not behave like a reader of metrics, and one that does so only by half.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{PATIENCE, Running, Sample};
use crate::telemetry::Options;
use crate::telemetry::guests::Guests;

const SHORT: Duration = Duration::from_millis(200);
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n";

async fn impatient(source: &Arc<Sample>) -> Running {
    let guests = Guests::new(2, SHORT);
    Running::with_guests(guests, Arc::clone(source), Options::default()).await
}

async fn connect(server: &Running) -> TcpStream {
    TcpStream::connect(server.at).await.unwrap()
}

/// All that the server says until it hangs up, in whatever way.
async fn rest(client: &mut TcpStream) -> Vec<u8> {
    let mut said = Vec::new();
    let listen = client.read_to_end(&mut said);
    let _ = tokio::time::timeout(PATIENCE, listen).await.unwrap();
    said
}

/// Sends a request, and nothing after it. On a busy machine the server may have hung up by then.
async fn asks_and_closes(server: &Running) -> TcpStream {
    let mut client = connect(server).await;
    let _ = client.write_all(REQUEST).await;
    let _ = client.shutdown().await;
    client
}

/// The same, of a patient server, when the source was asked.
async fn half_closed(server: &Running, source: &Sample) -> TcpStream {
    let before = source.asked.load(Ordering::Relaxed);
    let client = asks_and_closes(server).await;
    while source.asked.load(Ordering::Relaxed) == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client
}

#[tokio::test]
async fn who_closes_its_sending_half_gets_its_answer() {
    let source = Arc::new(Sample::default());
    let server = Running::start(Arc::clone(&source), Options::default()).await;
    source.held.store(true, Ordering::Relaxed);
    let mut client = half_closed(&server, &source).await;
    source.held.store(false, Ordering::Relaxed);
    let answer = String::from_utf8(rest(&mut client).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let end = answer.rsplit_once("imblock_scrape_errors_total ");
    assert_eq!(end.unwrap().1, "0\n", "the whole of it");
}

#[tokio::test]
async fn who_waits_for_an_answer_goes_when_its_time_is_over() {
    let source = Arc::new(Sample::default());
    let server = impatient(&source).await;
    source.held.store(true, Ordering::Relaxed);
    let mut client = asks_and_closes(&server).await;
    let said = rest(&mut client).await;
    source.held.store(false, Ordering::Relaxed);
    assert_eq!(said, b"");
}

#[tokio::test]
async fn who_waits_for_an_answer_goes_when_its_place_is_needed() {
    let source = Arc::new(Sample::default());
    let guests = Guests::new(1, 2 * PATIENCE);
    let server = Running::with_guests(guests, Arc::clone(&source), Options::default()).await;
    source.held.store(true, Ordering::Relaxed);
    let mut client = half_closed(&server, &source).await;
    let index = server.get("/").await;
    let said = rest(&mut client).await;
    source.held.store(false, Ordering::Relaxed);
    assert_eq!((index.code, said.as_slice()), (200, &b""[..]));
}

#[tokio::test]
async fn who_says_nothing_is_hung_up_on() {
    let server = impatient(&Arc::default()).await;
    let mut silent = connect(&server).await;
    assert_eq!(rest(&mut silent).await, b"");
}

#[tokio::test]
async fn who_dribbles_is_hung_up_on() {
    let server = impatient(&Arc::default()).await;
    let (mut hears, mut says) = connect(&server).await.into_split();
    let dribble = async {
        // A head that never ends.
        while says.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SHORT / 20).await;
        }
    };
    let hung_up = async {
        let mut said = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, hears.read_to_end(&mut said))
            .await
            .unwrap();
    };
    tokio::select! {
        () = hung_up => {}
        () = dribble => {}
    }
}
