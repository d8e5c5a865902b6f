//! The names in a hello, wherever it ends.

use super::super::{ALPN_MAX, ClientHello, Named, client_hello, client_hello_name};
use super::{alpn, hello, large_hello, sni, with_length};

fn is(name: &str) -> Named {
    Named::Name(name.to_owned())
}

#[test]
fn names_are_read_as_soon_as_they_are_there() {
    let hello = large_hello("Large.Example.");
    let ends = (0..=hello.len()).map(|end| client_hello(&hello[..end]));
    let all: Vec<ClientHello> = ends.collect();
    let named = all.iter().position(|it| it.name != Named::More).unwrap();
    // Behind the name, only the transport parameters come.
    assert_eq!(named, hello.len() - 304);
    assert!(all[named..].iter().all(|it| it.name == is("large.example")));
    assert!(all[named..].iter().all(|it| it.protocols == ["h3"]));
    let complete = all.iter().position(|it| it.complete).unwrap();
    assert_eq!(complete, hello.len());
}

#[test]
fn the_name_may_be_anywhere_among_many_extensions() {
    for at in 0..40 {
        let mut extensions: Vec<_> = (0..39).map(|n| (0x1a1a + n, vec![n as u8; 9])).collect();
        extensions.insert(at, sni("many.example"));
        assert_eq!(client_hello_name(&hello(&extensions)), is("many.example"));
    }
}

#[test]
fn a_hello_may_have_no_name() {
    let quiet = hello(&[(51, vec![1; 40])]);
    assert_eq!(client_hello_name(&quiet), Named::None);
    assert_eq!(client_hello_name(&quiet[..60]), Named::More);
    assert_eq!(client_hello_name(&hello(&[])), Named::None);
    // What is behind the hello is not part of it.
    let behind = [quiet, hello(&[sni("behind.example")])].concat();
    assert_eq!(client_hello_name(&behind), Named::None);
}

#[test]
fn what_is_no_hello_has_no_name() {
    for bytes in [&b"\x02"[..], b"CHLO\x12\0\0\0", b"GET / HTTP/1.1"] {
        assert_eq!(client_hello_name(bytes), Named::None);
        assert!(client_hello(bytes).complete);
    }
    assert_eq!(client_hello_name(b""), Named::More);
    assert_eq!(client_hello_name(b"\x01\0"), Named::More);
}

#[test]
fn what_is_no_host_name_is_no_name() {
    let longest = "a.".repeat(126) + "b";
    assert_eq!(client_hello_name(&hello(&[sni(&longest)])), is(&longest));
    assert_eq!(
        client_hello_name(&hello(&[sni(&(longest.clone() + "."))])),
        is(&longest)
    );
    for name in [
        &(longest + "b"),
        "",
        ".",
        "two words",
        "zoë.example",
        "nul\0.example",
    ] {
        assert_eq!(
            client_hello_name(&hello(&[sni(name)])),
            Named::None,
            "{name}"
        );
    }
}

#[test]
fn a_list_of_names_may_hold_others_than_hosts() {
    let host = sni("host.example").1;
    let mut list = vec![9];
    list.extend(with_length(b"something"));
    list.extend(&host[2..]);
    let found = client_hello_name(&hello(&[(0, with_length(&list))]));
    assert_eq!(found, is("host.example"));
}

#[test]
fn lengths_that_lie_end_the_reading() {
    let mut long_extension = hello(&[sni("a.example"), (5, vec![0; 10])]);
    let at = long_extension.len() - 11;
    long_extension[at] = 200;
    assert_eq!(client_hello_name(&long_extension), is("a.example"));
    let mut long_list = hello(&[sni("a.example")]);
    let at = long_list.len() - "a.example".len() - 4;
    long_list[at] += 1;
    assert_eq!(client_hello_name(&long_list), Named::None);
}

#[test]
fn protocols_are_those_that_can_be_printed() {
    let grease: &[u8] = &[0x0a, 0x0a];
    let found = client_hello(&hello(&[alpn(&[grease, b"h3", b"", b"xmpp-client"])]));
    assert_eq!(found.protocols, ["h3", "xmpp-client"]);
    let many = [&b"p"[..]; ALPN_MAX + 1];
    assert_eq!(
        client_hello(&hello(&[alpn(&many)])).protocols.len(),
        ALPN_MAX
    );
}
