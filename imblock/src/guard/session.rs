//! The session in which the operator types.

use std::net::{IpAddr, SocketAddr};
use std::{env, fs};

/// How many processes above this one are asked: a shell in a terminal in a shell and so on.
const ANCESTORS_MAX: usize = 32;
/// The variable in which sshd tells both ends: "client address, client port, server address, server
/// port" (ssh(1)).
const VARIABLE: &str = "SSH_CONNECTION";

/// Both ends of a session over SSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Where the operator sits.
    pub client: SocketAddr,
    /// The end at this box.
    pub server: SocketAddr,
}

impl Session {
    /// The session of this process, if it runs in one. `sudo` takes the variable away, so the
    /// processes above are asked too, as far as they may be read.
    pub fn here() -> Option<Self> {
        if let Ok(value) = env::var(VARIABLE) {
            return Self::parse(&value);
        }
        let mut process = "self".to_owned();
        for _ in 0..ANCESTORS_MAX {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            let parent = status
                .lines()
                .find_map(|line| line.strip_prefix("PPid:"))?
                .trim();
            if parent == "0" {
                return None;
            }
            process = parent.to_owned();
            let told = fs::read(format!("/proc/{process}/environ")).ok();
            if let Some(session) = told.and_then(|environment| Self::of_environment(&environment)) {
                return Some(session);
            }
        }
        None
    }

    fn of_environment(environment: &[u8]) -> Option<Self> {
        let mut variables = environment.split(|byte| *byte == 0);
        let value = variables.find_map(|variable| {
            let variable = str::from_utf8(variable).ok()?;
            variable.strip_prefix(VARIABLE)?.strip_prefix('=')
        })?;
        Self::parse(value)
    }

    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_whitespace();
        let mut end = || {
            let address = words.next()?;
            // A link-local address has its interface behind it.
            let address = address.split('%').next()?;
            let address: IpAddr = address.parse().ok()?;
            let port = words.next()?.parse().ok()?;
            Some(SocketAddr::new(address.to_canonical(), port))
        };
        Some(Self {
            client: end()?,
            server: end()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_two_ends() {
        let session = |client: &str, server: &str| {
            Some(Session {
                client: client.parse().ok()?,
                server: server.parse().ok()?,
            })
        };
        for (value, expected) in [
            (
                "192.0.2.9 51000 10.0.0.1 2222",
                session("192.0.2.9:51000", "10.0.0.1:2222"),
            ),
            (
                "fe80::9%eth0 51000 fe80::1%eth0 22",
                session("[fe80::9]:51000", "[fe80::1]:22"),
            ),
            (
                "::ffff:192.0.2.9 51000 ::ffff:10.0.0.1 22",
                session("192.0.2.9:51000", "10.0.0.1:22"),
            ),
        ] {
            assert!(expected.is_some());
            assert_eq!(Session::parse(value), expected, "{value}");
        }
        for nothing in [
            "",
            "x",
            "192.0.2.9",
            "192.0.2.9 51000 10.0.0.1",
            "a b c d",
            "192.0.2.9 70000 10.0.0.1 22",
        ] {
            assert_eq!(Session::parse(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn it_is_found_in_what_sudo_left_behind() {
        let environment =
            b"HOME=/root\0XSSH_CONNECTION=1\0SSH_CONNECTION=192.0.2.9 51000 10.0.0.1 22\0A=b\0";
        let found = Session::of_environment(environment);
        assert_eq!(found, Session::parse("192.0.2.9 51000 10.0.0.1 22"));
        assert!(found.is_some());
        assert_eq!(Session::of_environment(b"HOME=/root\0\xff\0"), None);
    }
}
