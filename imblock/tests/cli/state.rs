//! The state directory: what happens when it is not what it should be. Nothing is ever lost.

use std::fs;

use crate::site::Site;

#[test]
fn a_broken_state_is_named_and_kept() {
    let Some(site) = Site::or_skip("a_broken_state_is_named_and_kept") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    let whole = fs::read_to_string(site.state_file()).unwrap();
    let broken = &whole[..whole.len() / 2];
    fs::write(site.state_file(), broken).unwrap();
    for arguments in [
        ["block", "msn"].as_slice(),
        &["reset"],
        &["status"],
        &["policy", "apply", "audit"],
        &["up", "-i", "lan0"],
        &["run", "-i", "lan0", "--listen", "none"],
    ] {
        let ran = site.imblock(arguments).exits(1).in_one_line();
        ran.says(site.state_file().to_str().unwrap())
            .says("repair it, or remove it");
        assert_eq!(fs::read_to_string(site.state_file()).unwrap(), broken);
    }
    // Mended, it is as if nothing had happened; meanwhile the kernel went on.
    fs::write(site.state_file(), &whole).unwrap();
    let services = site
        .imblock(&["services", "irc", "msn", "--json"])
        .exits(0)
        .json();
    let action = |id: &str| {
        let services = services["services"].as_array().unwrap();
        services.iter().find(|s| s["id"] == id).unwrap()["actions"]["everyone"].clone()
    };
    assert_eq!(
        (action("irc"), action("msn")),
        ("drop".into(), "count".into())
    );
}

#[test]
fn a_broken_state_prevents_no_down() {
    let Some(site) = Site::or_skip("a_broken_state_prevents_no_down") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    fs::write(site.state_file(), "{").unwrap();
    site.imblock(&["down"]).exits(0);
    site.imblock(&["status"]).exits(7);
}

#[test]
fn the_state_of_a_later_version_is_left_alone() {
    let Some(site) = Site::or_skip("the_state_of_a_later_version_is_left_alone") else {
        return;
    };
    let later = r#"{"version": 9, "switches": {"irc": "drop"}}"#;
    fs::create_dir_all(site.state_file().parent().unwrap()).unwrap();
    fs::write(site.state_file(), later).unwrap();
    let ran = site.imblock(&["up", "-i", "lan0"]).exits(1).in_one_line();
    ran.says("later").says("format 9").says("state.json");
    assert_eq!(fs::read_to_string(site.state_file()).unwrap(), later);
    site.imblock(&["status"]).exits(7);
}

#[test]
fn a_state_directory_that_can_not_be_made_is_an_error_before_anything_is_attached() {
    let Some(site) = Site::or_skip("a_state_directory_that_can_not_be_made") else {
        return;
    };
    // Root may write everywhere, but not below a file.
    let file = site.file("file", "");
    let mut command = site.command(&["up", "-i", "lan0"]);
    command.env("IMBLOCK_STATE_DIR", &file);
    let ran = site.run(&mut command).exits(1).in_one_line();
    ran.says(&file)
        .says("could not be made")
        .says("IMBLOCK_STATE_DIR");
    site.imblock(&["status"]).exits(7);
}

#[test]
fn toggles_outlive_down_and_up() {
    let Some(site) = Site::or_skip("toggles_outlive_down_and_up") else {
        return;
    };
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    site.imblock(&["block", "irc"]).exits(0);
    site.imblock(&["down"]).exits(0);
    site.imblock(&["up", "-i", "lan0"]).exits(0);
    let services = site.imblock(&["services", "irc", "--json"]).exits(0).json();
    assert_eq!(services["services"][0]["actions"]["everyone"], "drop");
    assert_eq!(services["services"][0]["policy"]["everyone"], "count");
}
