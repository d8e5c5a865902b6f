//! `block`, `count`, `allow`, `reset`: live at once, remembered, and undone.

use serde_json::Value;

use crate::site::Site;

const POLICY: &str = "\
version: 1
name: two-groups
groups:
  support: [10.1.0.0/16]
rules:
  - { services: [irc], action: drop }
services:
  - { id: our-chat, name: Our chat, category: im, ports: [tcp/7777] }
";

/// A site with the policy in force.
fn site(test: &str) -> Option<Site> {
    let site = Site::or_skip(test)?;
    let policy = site.file("policy.yaml", POLICY);
    site.imblock(&["up", "-i", "lan0", "-p", &policy]).exits(0);
    Some(site)
}

impl Site {
    /// What is done with a service in a group.
    fn action(&self, service: &str, group: &str) -> String {
        let json = self
            .imblock(&["services", service, "--json"])
            .exits(0)
            .json();
        json["services"][0]["actions"][group]
            .as_str()
            .unwrap()
            .to_owned()
    }

    fn overrides(&self) -> Vec<Value> {
        let json = self.imblock(&["status", "--json"]).exits(0).json();
        json["overrides"].as_array().unwrap().clone()
    }

    /// How many services a selector names.
    fn count(&self, selector: &str) -> usize {
        let json = self
            .imblock(&["services", selector, "--json"])
            .exits(0)
            .json();
        json["services"].as_array().unwrap().len()
    }
}

#[test]
fn what_can_not_be_meant_is_exit_2_and_changes_nothing() {
    let Some(site) = site("what_can_not_be_meant_is_exit_2_and_changes_nothing") else {
        return;
    };
    site.imblock(&["block", "whatsap"])
        .exits(2)
        .in_one_line()
        .says("did you mean `whatsapp`?");
    site.imblock(&["block", "zzzzzzzz"])
        .exits(2)
        .in_one_line()
        .says("`imblock services` lists");
    site.imblock(&["block", "category:chat"])
        .exits(2)
        .in_one_line()
        .says("im, voip, p2p, file-transfer");
    site.imblock(&["block", "status:dead"])
        .exits(2)
        .in_one_line()
        .says("live or historic");
    site.imblock(&["block", "port:80"])
        .exits(2)
        .in_one_line()
        .says("`category:im`");
    site.imblock(&["block", "msn", "ircc"])
        .exits(2)
        .says("did you mean `irc`?");
    let ran = site
        .imblock(&["block", "msn", "--group", "suport"])
        .exits(2)
        .in_one_line();
    ran.says("no group `suport`").says("everyone, support");
    site.imblock(&["reset", "msn", "--group", "suport"])
        .exits(2);
    site.imblock(&["hosts", "--service", "category:im"])
        .exits(2)
        .says("name one");
    site.imblock(&["services", "ircc"])
        .exits(2)
        .says("did you mean `irc`?");
    assert_eq!(site.overrides(), Vec::<Value>::new());
    assert_eq!(site.action("msn", "everyone"), "count");
}

#[test]
fn a_toggle_is_live_and_on_record() {
    let Some(site) = site("a_toggle_is_live_and_on_record") else {
        return;
    };
    let messengers = site.count("category:im");
    assert!(messengers > 10, "{messengers}");
    let ran = site
        .imblock(&["block", "category:im"])
        .exits(0)
        .in_one_line();
    ran.says(&format!("{messengers} services: drop from now on"));
    assert_eq!(site.action("msn", "everyone"), "drop");
    assert_eq!(site.action("msn", "support"), "drop");
    let overrides = site.overrides();
    assert_eq!(overrides.len(), messengers);
    let msn = overrides.iter().find(|o| o["service"] == "msn").unwrap();
    assert_eq!(
        (&msn["action"], &msn["group"], &msn["by"]),
        (&"drop".into(), &Value::Null, &"tester".into())
    );
    let at = msn["at"].as_str().unwrap();
    assert!(
        at.len() == 20 && at.starts_with("20") && at.ends_with('Z'),
        "{at}"
    );
    // What the policy says stays visible beside it.
    let json = site.imblock(&["services", "msn", "--json"]).exits(0).json();
    assert_eq!(json["services"][0]["policy"]["everyone"], "count");
    site.imblock(&["status"])
        .exits(0)
        .prints("msn")
        .prints("tester");
    site.imblock(&["services", "msn"]).exits(0).prints("drop*");
    let shown = site.imblock(&["policy", "show", "--json"]).exits(0).json();
    let cells = shown["policy"]["cells"].as_array().unwrap();
    let cell = cells.iter().find(|cell| cell["service"] == "msn").unwrap();
    assert!(
        cell["from"]
            .as_str()
            .unwrap()
            .starts_with("toggled by tester at 20"),
        "{cell}"
    );
}

#[test]
fn selectors_name_what_they_say() {
    let Some(site) = site("selectors_name_what_they_say") else {
        return;
    };
    let (all, live, historic) = (
        site.count("all"),
        site.count("status:live"),
        site.count("status:historic"),
    );
    assert_eq!(live + historic, all);
    let by_category: usize = ["im", "voip", "p2p", "file-transfer"]
        .iter()
        .map(|c| site.count(&format!("category:{c}")))
        .sum();
    assert_eq!(by_category, all);
    assert_eq!(site.count("our-chat"), 1);
    // Named twice, counted once.
    let twice = site
        .imblock(&["count", "irc", "irc", "category:im"])
        .exits(0);
    twice.says(&format!("{} services", site.count("category:im")));
}

#[test]
fn reset_goes_back_to_the_policy() {
    let Some(site) = site("reset_goes_back_to_the_policy") else {
        return;
    };
    site.imblock(&["allow", "all"]).exits(0);
    assert_eq!(site.action("irc", "everyone"), "allow");
    site.imblock(&["reset", "irc"])
        .exits(0)
        .says("1 service: what the policy says");
    assert_eq!(site.action("irc", "everyone"), "drop");
    assert_eq!(site.action("msn", "everyone"), "allow");
    site.imblock(&["reset"]).exits(0);
    assert_eq!(site.action("msn", "everyone"), "count");
    assert_eq!(site.overrides(), Vec::<Value>::new());
}

#[test]
fn a_group_fares_otherwise() {
    let Some(site) = site("a_group_fares_otherwise") else {
        return;
    };
    site.imblock(&["allow", "irc", "-g", "support"])
        .exits(0)
        .says("1 service for the hosts of `support`: allow");
    assert_eq!(
        (
            site.action("irc", "everyone"),
            site.action("irc", "support")
        ),
        ("drop".into(), "allow".into())
    );
    assert_eq!(site.overrides()[0]["group"], "support");
    site.imblock(&["services", "irc"])
        .exits(0)
        .prints("allow* for support");
    site.imblock(&["reset", "irc", "-g", "support"])
        .exits(0)
        .in_one_line();
    assert_eq!(site.action("irc", "support"), "drop");
    // What is set for all groups is not undone for one, and that is said.
    site.imblock(&["count", "irc"]).exits(0);
    site.imblock(&["reset", "irc", "-g", "support"])
        .exits(0)
        .says("still holds")
        .says("without --group");
    assert_eq!(site.action("irc", "support"), "count");
}

#[test]
fn a_toggle_outlives_its_service_until_it_is_reset() {
    let Some(site) = site("a_toggle_outlives_its_service_until_it_is_reset") else {
        return;
    };
    let policy = site.dir().join("policy.yaml");
    let policy = policy.to_str().unwrap();
    site.imblock(&["block", "our-chat"]).exits(0);
    site.imblock(&["policy", "apply", "audit"])
        .exits(0)
        .says("`our-chat`")
        .says("generation 2");
    site.imblock(&["block", "our-chat"]).exits(2);
    site.imblock(&["policy", "apply", policy]).exits(0);
    assert_eq!(site.action("our-chat", "everyone"), "drop");
    site.imblock(&["policy", "apply", "audit"]).exits(0);
    site.imblock(&["reset"]).exits(0);
    assert_eq!(site.overrides(), Vec::<Value>::new());
    site.imblock(&["policy", "apply", policy]).exits(0);
    assert_eq!(site.action("our-chat", "everyone"), "count");
}

#[test]
fn a_wrong_policy_is_not_applied() {
    let Some(site) = site("a_wrong_policy_is_not_applied") else {
        return;
    };
    let bad = site.file("bad.yaml", "version: 1\nname: x\nrulez: []\n");
    site.imblock(&["policy", "apply", &bad])
        .exits(3)
        .says("bad.yaml:3:1");
    let status = site.imblock(&["status", "--json"]).exits(0).json();
    assert_eq!(
        (&status["policy"]["name"], &status["policy"]["generation"]),
        (&"two-groups".into(), &1.into())
    );
}
