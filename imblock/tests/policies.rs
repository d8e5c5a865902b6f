//! Policies from text to tables, and what people are told when a text is wrong.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use imblock::policy::{
    self, Plan, PolicyErrors, PolicySource, ServiceNumbers, Source, Surroundings,
};

fn load(text: &str) -> Result<policy::Policy, PolicyErrors> {
    policy::parse(Source::new("office.yaml".to_owned(), text.to_owned()))
}

fn compile(policy: &policy::Policy) -> Plan {
    policy
        .compile(&mut ServiceNumbers::default(), &Surroundings::default())
        .unwrap_or_else(|errors| panic!("{}", errors.report(80, false)))
}

#[test]
fn ready_policies_compile() {
    for (name, _) in imblock::catalogue::POLICIES {
        let policy = policy::load(&PolicySource::Embedded(name))
            .unwrap_or_else(|errors| panic!("{}", errors.report(80, false)));
        let plan = compile(&policy);
        println!("{name}:\n{policy}{:#?}", plan.warnings);
    }
    let e = load("version: 1\nname: x\nrules:\n  - {services: [whatsap], action: dorp}\n  - {services: [\"catgory:im\"], action: reject}\ngroups:\n  kids: [10.0.0.1/8, 'aa:bb:cc:dd:ee:ff', 10.0.0.3]\n  mids: [10.0.0.3]\nprotect: {ports: [22], hosts: [x]}").unwrap_err();
    println!("{}\n{e}", e.report(80, false));
    let e = load("version: 1\nname: ü\nruels: 1").unwrap_err();
    println!("{}", e.report(80, false));
}
