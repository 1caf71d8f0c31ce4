//! Any steps of several clients: none sees what is another's.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Attach(usize),
    Detach(usize),
    Profile(&'static str),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let profile = proptest::sample::select(vec!["chatter", "tasks", "maths", "open", "full"]);
    prop_oneof![
        (0..TOOLS.len()).prop_map(Step::Attach),
        (0..TOOLS.len()).prop_map(Step::Detach),
        profile.prop_map(Step::Profile),
        Just(Step::Close),
    ]
}

fn clients() -> Vec<Client> {
    vec![
        agent("a"),
        agent("b"),
        Client::Key([1; 32]),
        Client::Program {
            name: "a".into(),
            address: IpAddr::from([192, 0, 2, 1]),
        },
        Client::Session("a".into()),
        Client::Session("s".into()),
        Client::Process,
        Client::Nobody,
    ]
}

fn take(governor: &Governor, who: &Client, step: &Step) {
    let arguments = match step {
        Step::Attach(tool) => json!({"action": "attach", "tool": TOOLS[*tool].0}),
        Step::Detach(tool) => json!({"action": "detach", "tool": TOOLS[*tool].0}),
        Step::Profile(name) => json!({"action": "attach-profile", "profile": name}),
        Step::Close => {
            if let Client::Session(id) = who {
                governor.forget_session(id);
            }
            return;
        }
    };
    ask(governor, who, &arguments.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a client sees is what it would see if nobody else were there.
    #[test]
    fn no_client_sees_another_ones_changes(
        steps in proptest::collection::vec((0..8_usize, step()), 0..40)
    ) {
        let clients = clients();
        let together = governor_of(PROFILES);
        for (who, step) in &steps {
            take(&together, &clients[*who], step);
        }
        for (index, who) in clients.iter().enumerate() {
            let alone = governor_of(PROFILES);
            for (_, step) in steps.iter().filter(|(who, _)| *who == index) {
                take(&alone, who, step);
            }
            prop_assert_eq!(attached(&together, who), attached(&alone, who), "{:?}", who);
        }
    }

    /// The gate lets through exactly what the list shows.
    #[test]
    fn what_is_listed_can_be_called_and_nothing_else(
        steps in proptest::collection::vec(step(), 0..20)
    ) {
        let governor = governor_of(PROFILES);
        let who = agent("a");
        for step in &steps {
            take(&governor, &who, step);
        }
        let listed = attached(&governor, &who);
        for (tool, _) in TOOLS {
            let admitted = governor.admit(&who, tool).is_ok();
            prop_assert_eq!(admitted, listed.iter().any(|name| name == tool), "{}", tool);
        }
    }
}
