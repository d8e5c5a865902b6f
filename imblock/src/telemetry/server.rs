//! The HTTP server: `/metrics`, `/healthz`, and a page that points to them.
//!
//! It has no authentication and tells who talks to whom; whoever listens elsewhere than on the
//! loopback address decides who may connect.

use std::error::Error;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinError;

use super::collector::Scrape;
use super::formats::Format;
use super::guests::Guests;
use super::{Options, Source, SourceError};

/// How long a client that is being served may hold up the shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// Connections at a time: a few readers of metrics, each with a request or two.
const PLACES: usize = 32;

/// How long a connection may take for its one request: longer than any reader of metrics waits.
const PATIENCE: Duration = Duration::from_secs(30);

const INDEX: &str = "<!doctype html>\n<html lang=\"en\"><title>imblock</title>\n<h1>imblock</h1>\n\
<p><a href=\"/metrics\">/metrics</a> for Prometheus, and whoever reads its text format or OpenMetrics</p>\n\
<p><a href=\"/healthz\">/healthz</a> says whether the controller can read its state</p>\n</html>\n";

/// What all requests share.
struct Server {
    source: Arc<dyn Source>,
    options: Options,
    errors: AtomicU64,
    /// Held while the source is read: many clients at once cost no more than one.
    reading: Arc<Mutex<()>>,
}

/// Why a request got no figures.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error("reading was cut short")]
    CutShort(#[source] JoinError),
}

/// Serves until `shutdown` is done, then gives running requests two seconds to end.
///
/// # Errors
///
/// None at present: a connection that fails is that connection's trouble. The type leaves room for
/// a listener that can't go on.
pub async fn serve(
    listener: TcpListener,
    source: Arc<dyn Source>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let guests = Guests::new(PLACES, PATIENCE);
    serve_guests(listener, guests, source, options, shutdown).await;
    Ok(())
}

pub(super) async fn serve_guests(
    mut listener: TcpListener,
    mut guests: Guests,
    source: Arc<dyn Source>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let server = Arc::new(Server {
        source,
        options,
        errors: AtomicU64::new(0),
        reading: Arc::default(),
    });
    let routes = Router::new()
        .route("/", get(async || Html(INDEX)))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .with_state(server);
    let (open, closes) = watch::channel(());
    let mut shutdown = pin!(shutdown);
    loop {
        let (stream, _) = tokio::select! {
            // The trait's, which goes on after errors.
            accepted = axum::serve::Listener::accept(&mut listener) => accepted,
            () = &mut shutdown => break,
        };
        let visit = converse(stream, routes.clone(), closes.clone());
        guests.welcome(visit).await;
    }
    drop((listener, open));
    let _ = tokio::time::timeout(GRACE, guests.all_gone()).await;
}

/// Answers the one request of a connection: a reader that comes back in 15 seconds does not keep a place
/// until then. Who says nothing more after its request (`nc -N`) still gets the answer.
///
/// Nothing is read from the client while its answer is made, so nobody notices that it is gone, or that it
/// takes too long: that is for [`Guests`] to see.
async fn converse(stream: TcpStream, routes: Router, mut closes: watch::Receiver<()>) {
    let mut http = http1::Builder::new();
    http.half_close(true).keep_alive(false);
    let service = TowerToHyperService::new(routes);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // One that fails is its client's trouble.
        _ = connection.as_mut() => return,
        _ = closes.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn metrics(State(server): State<Arc<Server>>, headers: HeaderMap) -> Response {
    let format = Format::accepted(&headers);
    let shared = Arc::clone(&server);
    let exposition = server.read(move |source| {
        let scrape = Scrape {
            status: source.status()?,
            snapshot: source.snapshot()?,
            options: shared.options,
            errors: shared.errors.load(Ordering::Relaxed),
        };
        Ok(scrape.page(format))
    });
    match exposition.await {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, format.media_type()),
                (header::VARY, header::ACCEPT.as_str()),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            server.errors.fetch_add(1, Ordering::Relaxed);
            unavailable(&error)
        }
    }
}

async fn health(State(server): State<Arc<Server>>) -> Response {
    let status = server.read(|source| Ok(source.status()?));
    match status.await {
        Ok(_) => "ok\n".into_response(),
        Err(error) => unavailable(&error),
    }
}

impl Server {
    /// Reads the source on a thread where it may block, one request at a time. A source that panics
    /// is an error like another.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Source) -> Result<T, ScrapeError> + Send + 'static,
    ) -> Result<T, ScrapeError> {
        let turn = Arc::clone(&self.reading).lock_owned().await;
        let source = Arc::clone(&self.source);
        let reading = tokio::task::spawn_blocking(move || {
            // Kept to the end of the reading, also when the client is gone before.
            let _turn = turn;
            read(&*source)
        });
        reading.await.map_err(ScrapeError::CutShort)?
    }
}

/// 503, with the error and everything that caused it on one line.
fn unavailable(error: &ScrapeError) -> Response {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(reason, ": {error}"); // into a string, which takes everything
        cause = error.source();
    }
    reason.push('\n');
    (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
}
