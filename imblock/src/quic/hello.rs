//! The names in a TLS ClientHello (RFC 8446 section 4.1.2) of which the end may still be missing.

use super::cursor::Cursor;

/// How many application protocols are told.
pub const ALPN_MAX: usize = 8;

const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const HOST_NAME: u8 = 0;
/// The most bytes of a name as text, without the dot of the root (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 253;

/// What a hello says of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientHello {
    /// The server's name.
    pub name: Named,
    /// The first [`ALPN_MAX`] application protocols, as far as they are printable. They may be
    /// missing while the hello is not `complete`.
    pub protocols: Vec<String>,
    /// Whether the whole hello was there.
    pub complete: bool,
}

/// What a hello says of the server's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// The name, in lower case, without the dot of the root.
    Name(String),
    /// Not yet: the hello goes on.
    More,
    /// It has none, or is no hello.
    None,
}

/// The server name of a hello; see [`client_hello`].
pub fn client_hello_name(hello: &[u8]) -> Named {
    client_hello(hello).name
}

/// Reads a hello from its handshake header on, without a TLS record around it. It may end anywhere;
/// what lies behind it is not read.
pub fn client_hello(hello: &[u8]) -> ClientHello {
    let mut found = Found::default();
    let mut cursor = Cursor::new(hello);
    let complete = match cursor.u32().map(u32::to_be_bytes) {
        Some([CLIENT_HELLO, length @ ..]) => {
            let [high, middle, low] = length.map(usize::from);
            let length = high << 16 | middle << 8 | low;
            let there = cursor.rest();
            found.hello(there.get(..length).unwrap_or(there));
            there.len() >= length
        }
        Some(_) => true,
        None => hello.first().is_some_and(|&first| first != CLIENT_HELLO),
    };
    let name = match found.name {
        Some(Some(name)) => Named::Name(name),
        Some(None) => Named::None,
        None if complete => Named::None,
        None => Named::More,
    };
    ClientHello {
        name,
        protocols: found.protocols,
        complete,
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    /// There is an extension for the name, and maybe a name in it.
    name: Option<Option<String>>,
    protocols: Vec<String>,
}

impl Found {
    /// `None` as soon as the bytes end; what was found until then stays.
    fn hello(&mut self, bytes: &[u8]) -> Option<()> {
        let mut cursor = Cursor::new(bytes);
        let _version = cursor.u16()?;
        let _random = cursor.take(32)?;
        let _session_id = cursor.with_u8_length()?;
        let _cipher_suites = cursor.with_u16_length()?;
        let _compression_methods = cursor.with_u8_length()?;
        let length = usize::from(cursor.u16()?);
        let there = cursor.rest();
        let mut extensions = Cursor::new(there.get(..length).unwrap_or(there));
        loop {
            let kind = extensions.u16()?;
            let content = extensions.with_u16_length()?;
            match kind {
                SERVER_NAME if self.name.is_none() => self.name = Some(server_name(content)),
                ALPN if self.protocols.is_empty() => self.protocols = protocols(content),
                _ => {}
            }
        }
    }
}

/// The host name of a `server_name` extension (RFC 6066 section 3).
fn server_name(content: &[u8]) -> Option<String> {
    let mut list = Cursor::new(Cursor::new(content).with_u16_length()?);
    loop {
        let kind = list.u8()?;
        let name = list.with_u16_length()?;
        if kind == HOST_NAME {
            let name = name.strip_suffix(b".").unwrap_or(name);
            return text(name).filter(|name| name.len() <= NAME_MAX);
        }
    }
}

/// The protocols of an `application_layer_protocol_negotiation` extension (RFC 7301 section 3.1).
fn protocols(content: &[u8]) -> Vec<String> {
    let list = Cursor::new(content).with_u16_length().unwrap_or_default();
    let mut list = Cursor::new(list);
    let protocols = std::iter::from_fn(|| list.with_u8_length());
    protocols.filter_map(protocol).take(ALPN_MAX).collect()
}

fn protocol(bytes: &[u8]) -> Option<String> {
    let printable = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    printable.then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// Printable ASCII in lower case; everything else is no host name.
fn text(bytes: &[u8]) -> Option<String> {
    protocol(bytes).map(|text| text.to_ascii_lowercase())
}
