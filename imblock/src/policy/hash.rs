//! The hash of a plan: equal for equal tables, on every box and in every version.

use imblock_common::layout::{ActionRow, Generics, HopRule, Rate};
use imblock_common::layout::{Marker, Masked, NameKey, PortSpan};
use imblock_common::{Action, Side};
use ipnet::IpNet;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Plan;
use super::marker::MarkerFrom;
use super::plan::{
    InterfacePlan, Limits, MacPlan, MarkerPlan, MarkerPlans, NameKind, NamePlan, PrefixPlan,
    QuicMode, RemotePlan, ServicePlan, StunPlan, XdpAttachMode,
};
use super::timetable::{Area, Entry, Timetable};

/// What is hashed, and in which order. A change of either changes this.
const ENCODING: &str = "imblock plan 7";

impl Plan {
    /// SHA-256 over everything that has an effect: not the warnings, nor where in the text a rule
    /// stands, nor the instant that the plan is of.
    pub fn hash(&self) -> [u8; 32] {
        // Without `..`: a new field must be hashed or left out on purpose.
        let Self {
            name,
            interfaces,
            limits,
            services,
            groups,
            ports,
            actions,
            rates,
            rate_rows,
            // Set by hand, and no part of the policy.
            leases: _,
            origins: _,
            timetable,
            sources: _,
            prefixes,
            macs,
            remotes,
            names,
            generics,
            calls,
            carriers,
            hops,
            quic,
            markers,
            stun_attributes,
            warnings: _,
        } = self;
        let mut hash = Hasher::default();
        hash.text(ENCODING);
        hash.text(name);
        hash.list(interfaces, Hasher::interface);
        let Limits {
            hosts,
            prefixes: most_prefixes,
            flows,
            inside,
        } = limits;
        hash.bytes(&hosts.to_be_bytes());
        hash.bytes(&most_prefixes.to_be_bytes());
        hash.bytes(&flows.to_be_bytes());
        let inside: Vec<_> = inside.prefixes().collect();
        hash.list(&inside, |hash, (network, bits)| {
            hash.bytes(&network.octets());
            hash.bytes(&[*bits]);
        });
        hash.list(services, Hasher::service);
        hash.list(groups, |hash, group| hash.text(group));
        hash.list(&ports.0, |hash, port| hash.bytes(&port.to_be_bytes()));
        hash.actions(actions, timetable);
        hash.list(rates, |hash, rate| {
            let Rate { time, burst, flags } = rate;
            for word in [time, burst, flags] {
                hash.bytes(&word.to_be_bytes());
            }
        });
        let rate_rows = without_timed(rate_rows, timetable);
        hash.list(&rate_rows, |hash, row| hash.bytes(&row.0));
        hash.list(prefixes, Hasher::prefix);
        hash.list(macs, Hasher::mac);
        hash.list(remotes, Hasher::remote);
        hash.list(names, Hasher::suffix);
        let Generics { stun, rtp } = generics;
        hash.list(&[*stun, *rtp], |hash, service| {
            hash.bytes(&service.to_be_bytes());
        });
        hash.list(&calls.0, |hash, word| hash.bytes(&word.to_be_bytes()));
        hash.list(&carriers.0, |hash, word| hash.bytes(&word.to_be_bytes()));
        let HopRule {
            within_seconds,
            shut_seconds,
            after,
            action,
        } = hops;
        hash.list(
            &[within_seconds, shut_seconds, after, action],
            |hash, word| {
                hash.bytes(&word.to_be_bytes());
            },
        );
        hash.bytes(&[match quic {
            QuicMode::Allow => 0,
            QuicMode::Block => 1,
            QuicMode::Inspect => 2,
        }]);
        let MarkerPlans { tcp, udp } = markers;
        hash.list(tcp, Hasher::marker);
        hash.list(udp, Hasher::marker);
        hash.list(stun_attributes, Hasher::stun);
        hash.0.finalize().into()
    }
}

/// Lengths go in front of everything that varies, so that no two plans have one encoding.
#[derive(Default)]
struct Hasher(Sha256);

/// The cells that never change; in the place of the others is what none has.
fn without_timed(rows: &[ActionRow], timetable: &Timetable) -> Vec<ActionRow> {
    const TIMED: u8 = 0xff;
    let mut rows = rows.to_vec();
    for cell in timetable.cells_at(Timestamp::UNIX_EPOCH) {
        let row = rows.get_mut(usize::from(cell.group));
        if let Some(cell) = row.and_then(|row| row.0.get_mut(usize::from(cell.service))) {
            *cell = TIMED;
        }
    }
    rows
}

impl Hasher {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn length(&mut self, length: usize) {
        self.bytes(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.length(text.len());
        self.bytes(text.as_bytes());
    }

    fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T)) {
        self.length(items.len());
        items.iter().for_each(|item| each(self, item));
    }

    /// The cells that never change, and what the others are when.
    fn actions(&mut self, actions: &[ActionRow], timetable: &Timetable) {
        let Timetable { schedules, entries } = timetable;
        let rows = without_timed(actions, timetable);
        self.list(&rows, |hash, row| hash.bytes(&row.0));
        self.list(schedules, |hash, schedule| hash.text(&schedule.to_string()));
        self.list(entries, |hash, entry| {
            let Entry {
                schedule,
                action,
                rate,
                rule: _,
                place: _,
                areas,
            } = entry;
            hash.length(schedule.map_or(0, |place| place + 1));
            hash.bytes(&[*action as u8]);
            if *action == Action::Limit {
                hash.bytes(&[*rate]);
            }
            hash.list(areas, |hash, Area { groups, services }| {
                hash.list(&groups.0, |hash, word| hash.bytes(&word.to_be_bytes()));
                hash.list(&services.0, |hash, word| hash.bytes(&word.to_be_bytes()));
            });
        });
    }

    fn interface(&mut self, interface: &InterfacePlan) {
        let InterfacePlan {
            name,
            side,
            mode,
            egress,
        } = interface;
        let side = match side {
            Side::Lan => 0,
            Side::Wan => 1,
        };
        let mode = match mode {
            XdpAttachMode::Auto => 0,
            XdpAttachMode::Native => 1,
            XdpAttachMode::Generic => 2,
        };
        self.text(name);
        self.bytes(&[side, mode, u8::from(*egress)]);
    }

    fn service(&mut self, service: &ServicePlan) {
        let ServicePlan {
            number,
            id,
            name,
            category,
            historic,
        } = service;
        self.bytes(&number.to_be_bytes());
        self.text(id);
        self.text(name);
        self.text(category);
        self.bytes(&[u8::from(*historic)]);
    }

    fn prefix(&mut self, prefix: &PrefixPlan) {
        let PrefixPlan { net, entry } = prefix;
        self.net(net);
        self.bytes(&entry.group.to_be_bytes());
        self.bytes(&entry.flags.to_be_bytes());
    }

    fn mac(&mut self, plan: &MacPlan) {
        let MacPlan { mac, group } = plan;
        self.bytes(&mac.octets());
        self.bytes(&group.to_be_bytes());
    }

    fn remote(&mut self, remote: &RemotePlan) {
        let RemotePlan { net, service } = remote;
        self.net(net);
        self.bytes(&service.to_be_bytes());
    }

    fn suffix(&mut self, name: &NamePlan) {
        let NamePlan {
            kind,
            suffix,
            service,
        } = name;
        self.bytes(&[match kind {
            NameKind::Host => NameKey::HOST,
            NameKind::Protocol => NameKey::ALPN,
        }]);
        self.text(suffix);
        self.bytes(&service.to_be_bytes());
    }

    fn marker(&mut self, marker: &MarkerPlan) {
        let MarkerPlan {
            head,
            from,
            first,
            record,
        } = marker;
        for cell in head {
            (0..=u8::MAX).for_each(|byte| self.bytes(&[u8::from(cell.contains(byte))]));
        }
        let from = match from {
            MarkerFrom::Either => 0,
            MarkerFrom::Client => 1,
            MarkerFrom::Server => 2,
        };
        self.bytes(&[from, u8::from(*first)]);
        let Marker {
            pattern,
            needle,
            last,
            ports,
            length_plus,
            length_at,
            shortest,
            longest,
            find_from,
            find_within,
            service,
            within,
            flags,
            length_size,
            find_length,
            reach,
            reserved: _,
        } = record;
        for Masked { value, mask } in pattern.iter().chain(needle).chain([last]) {
            self.bytes(&value.to_be_bytes());
            self.bytes(&mask.to_be_bytes());
        }
        for PortSpan { first, more } in ports {
            self.bytes(&first.to_be_bytes());
            self.bytes(&more.to_be_bytes());
        }
        self.bytes(&length_plus.to_be_bytes());
        for number in [
            length_at,
            shortest,
            longest,
            find_from,
            find_within,
            service,
            within,
            flags,
        ] {
            self.bytes(&number.to_be_bytes());
        }
        self.bytes(&[*length_size, *find_length, *reach]);
    }

    fn stun(&mut self, stun: &StunPlan) {
        let StunPlan {
            first,
            last,
            service,
            certain,
        } = stun;
        for number in [first, last, service] {
            self.bytes(&number.to_be_bytes());
        }
        self.bytes(&[u8::from(*certain)]);
    }

    fn net(&mut self, net: &IpNet) {
        match net {
            IpNet::V4(net) => {
                self.bytes(&[4, net.prefix_len()]);
                self.bytes(&net.addr().octets());
            }
            IpNet::V6(net) => {
                self.bytes(&[6, net.prefix_len()]);
                self.bytes(&net.addr().octets());
            }
        }
    }
}
