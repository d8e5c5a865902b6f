//! What the binary carries: the catalogue of services, one file each, their families, and the ready
//! policies.
//!
//! Invariant: every file under `policies/` is carried (a test looks).

use std::sync::{Arc, OnceLock};

use crate::policy::{Family, PolicyErrors, Service, Source};

/// Files of `policies/catalogue`, each the id and the text of one service, by id.
macro_rules! catalogue {
    ($($id:literal)*) => {
        &[$(($id, include_str!(concat!("../../policies/catalogue/", $id, ".yaml")))),*]
    };
}

/// Files of `policies`, each the name and the text of one policy.
macro_rules! policies {
    ($($name:literal)*) => {
        &[$(($name, include_str!(concat!("../../policies/", $name, ".yaml")))),*]
    };
}

/// The ready policies: name and text. The first is the one that holds when none is given.
pub const POLICIES: &[(&str, &str)] = policies!["audit" "historic" "office" "school" "home"];

/// The services that every policy may name: id and text.
pub const SERVICES: &[(&str, &str)] = catalogue![
    "adobe-connect" "aim" "ares" "bantu" "bittorrent" "bonjour-chat" "chikka" "dingtalk"
    "directconnect" "discord" "edonkey" "everybuddy" "fuze" "gadu-gadu" "gnutella"
    "google-chat" "google-meet" "gotomeeting" "groupme" "groupwise" "gtalk" "h323" "hangouts"
    "iana-chat" "iax2" "icq" "iims" "imessage" "imo" "instagram-direct" "irc" "irc-dcc" "jami"
    "kakaotalk" "kazaa" "kik" "lark" "line" "mailru-agent" "matrix" "mattermost" "max" "megaco"
    "messenger" "mgcp" "msn" "msnftp" "mumble" "oscar-oft" "paltalk" "qq" "rcs" "rocketchat"
    "rtp" "sametime" "sccp" "session" "signal" "silc" "simplex" "sip" "skype" "slack"
    "snapchat" "soulseek" "steam-chat" "stun" "talk" "tango" "teams" "teamspeak" "telegram"
    "threema" "tox" "ventrilo" "viber" "vk" "webex" "wechat" "whatsapp" "wimd" "winmx-napster"
    "wire" "xfire" "xmpp" "xmpp-bytestreams" "yahoo" "ymsg-ft" "zalo" "zephyr" "zoom" "zulip"
];

/// The text of `policies/catalogue/families.yaml`.
const FAMILIES: &str = include_str!("../../policies/catalogue/families.yaml");

/// The text of a ready policy.
pub fn ready_policy(name: &str) -> Option<&'static str> {
    let found = POLICIES.iter().find(|(known, _)| *known == name);
    found.map(|(_, text)| *text)
}

/// The services of the catalogue, by id. They are read once.
///
/// # Errors
/// A mistake in the catalogue itself; the tests read all of it, so a released binary has none.
pub fn services() -> Result<&'static [Service], PolicyErrors> {
    static CATALOGUE: OnceLock<Vec<Service>> = OnceLock::new();
    if let Some(services) = CATALOGUE.get() {
        return Ok(services);
    }
    let services = SERVICES
        .iter()
        .map(|(id, text)| read(id, text))
        .collect::<Result<_, _>>()?;
    Ok(CATALOGUE.get_or_init(|| services))
}

/// The families of services that selectors may name. They are read once.
///
/// # Errors
/// A mistake in the file itself; the tests read it, so a released binary has none.
pub fn families() -> Result<&'static [Family], PolicyErrors> {
    static FAMILIES_READ: OnceLock<Vec<Family>> = OnceLock::new();
    if let Some(families) = FAMILIES_READ.get() {
        return Ok(families);
    }
    let name = "catalogue/families.yaml (built in)".to_owned();
    let families = Family::read_all(&Arc::new(Source::new(name, FAMILIES.to_owned())))?;
    Ok(FAMILIES_READ.get_or_init(|| families))
}

fn read(id: &str, text: &str) -> Result<Service, PolicyErrors> {
    let name = format!("catalogue/{id}.yaml (built in)");
    Service::read(&Arc::new(Source::new(name, text.to_owned())))
}
