//! Mistakes in markers.

/// A kind, and a marker of a service.
pub(crate) const MARKERS: &[(&str, &str)] = &[
    ("Marker/BadByte", "transport: tcp, bytes: 'zz'"),
    ("Marker/BackwardsRange", "transport: tcp, bytes: '05..01'"),
    ("Marker/BadEscape", "transport: tcp, text: 'A\\q'"),
    ("Marker/NoBytes", "transport: tcp, bytes: ''"),
    (
        "Marker/PatternTooLong",
        "transport: tcp, offset: 47, bytes: '41 42'",
    ),
    (
        "Marker/NeedleTooLong",
        "transport: tcp, find: { text: 'a needle of more than thirty two bytes', within: 9 }",
    ),
    (
        "Marker/LastTooLong",
        "transport: tcp, bytes: '41', last: '01 02 03 04 05'",
    ),
    (
        "Marker/BytesAndText",
        "transport: tcp, bytes: '41', text: 'A'",
    ),
    (
        "Marker/NothingToFind",
        "transport: tcp, find: { within: 9 }",
    ),
    (
        "Marker/NocaseWithoutText",
        "transport: tcp, bytes: '41', nocase: true",
    ),
    (
        "Marker/OutOfRange",
        "transport: tcp, bytes: '41', length: { at: 4, size: 9 }",
    ),
    (
        "Marker/BadPayload",
        "transport: tcp, bytes: '41', payload: 'long'",
    ),
    (
        "Marker/WindowTooLarge",
        "transport: tcp, find: { text: 'ACME', within: 2000 }",
    ),
    (
        "Marker/EmptyWindow",
        "transport: tcp, find: { text: 'ACME', from: 9, within: 9 }",
    ),
    (
        "Marker/BadPort",
        "transport: tcp, bytes: '41', ports: ['0']",
    ),
    (
        "Marker/TooManyPorts",
        "transport: tcp, bytes: '41', ports: ['1', '3', '5', '7', '9', '11', '13']",
    ),
    (
        "Marker/PortsAndNotPorts",
        "transport: tcp, bytes: '41', ports: ['1'], not_ports: ['2']",
    ),
    (
        "Marker/WithPortWithoutPorts",
        "transport: tcp, bytes: '41', use: with-port",
    ),
    (
        "Marker/AnyWithoutIn",
        "transport: tcp, bytes: '41', packet: any",
    ),
    (
        "Marker/InWithPacket",
        "transport: tcp, bytes: '41', packet: first, in: irc",
    ),
    ("Marker/NothingFixed", "transport: tcp, payload: '9'"),
];
