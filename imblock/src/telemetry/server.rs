//! The HTTP server: `/metrics`, `/healthz`, and a page that points to them.
//!
//! It has no authentication and tells who talks to whom; whoever listens elsewhere than on the
//! loopback address decides who may connect.

use std::error::Error;
use std::fmt::Write as _;
use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, oneshot};
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
    let guests = Guests::new(listener, PLACES, PATIENCE);
    serve_guests(guests, source, options, shutdown).await
}

pub(super) async fn serve_guests(
    guests: Guests,
    source: Arc<dyn Source>,
    options: Options,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
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
        .layer(map_response(close))
        .with_state(server);
    let (began, begun) = oneshot::channel();
    let shutdown = async move {
        shutdown.await;
        // Nobody listens any more when the server has ended by itself.
        let _ = began.send(());
    };
    let deadline = async move {
        match begun.await {
            Ok(()) => tokio::time::sleep(GRACE).await,
            // The server dropped its end: it is done, and the other branch says how.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        done = axum::serve(guests, routes).with_graceful_shutdown(shutdown).into_future() => done,
        () = deadline => Ok(()),
    }
}

/// One request a connection: a reader that comes back in 15 seconds does not keep a place until then.
async fn close(mut response: Response) -> Response {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
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
