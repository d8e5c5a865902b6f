//! What the controller at a router tells a scraper.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use imblock::lab::Host;

/// Where it does, unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:9863";

/// The page of metrics.
pub(crate) fn metrics(router: &Host) -> String {
    let connect = || TcpStream::connect(LISTEN).unwrap();
    let mut stream = router.namespace.run(connect).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {LISTEN}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(!answer.is_empty(), "no answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    body.to_owned()
}
