//! Generated sets of parameters, and maps of arguments for them.

use proptest::prelude::*;

use crate::declared::{Declared, How, Item, Seed};

/// How many maps each set of parameters is tried with.
pub const MAPS: usize = 50;

/// Options that look like numbers are rare: where one is, argparse reads every negative number differently.
fn spelling() -> impl Strategy<Value = u8> {
    prop_oneof![12 => 0..3u8, 1 => Just(3)]
}

fn declared() -> impl Strategy<Value = Declared> {
    let how = prop_oneof![
        Just(How::Value),
        Just(How::Value),
        Just(How::Flag),
        Just(How::Switch),
        Just(How::Repeat),
        Just(How::List),
        Just(How::Count),
        Just(How::Positional),
        Just(How::Positionals),
    ];
    let kind = prop_oneof![
        Just("string"),
        Just("string"),
        Just("integer"),
        Just("number")
    ];
    (how, kind, spelling(), any::<bool>(), any::<bool>()).prop_map(
        |(how, kind, spelling, is_global, is_required)| Declared {
            how,
            kind,
            spelling,
            is_global,
            is_required,
        },
    )
}

/// Texts that parsers trip over, and any other.
fn text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        "",
        " ",
        "-",
        "--",
        "-x",
        "--help",
        "-h",
        "--opt0",
        "--opt0=x",
        "-1",
        "-1e-07",
        "-.5",
        "-1.5.2",
        "=",
        "a=b",
        "@file",
        "run",
        "-run",
        "two words",
        "line\nline",
        "ü",
        "☃",
        "'",
        "\"",
        "\\",
        "$HOME",
        "*",
        "-é",
        "---",
    ]);
    // Read once: a pattern that stands as a strategy by itself is read anew for each of its texts.
    let pattern = |text| prop::string::string_regex(text).expect("it is a pattern");
    prop_oneof![
        3 => awkward.prop_map(str::to_owned),
        1 => pattern("[ -~]{0,8}"),
        1 => pattern("-{0,2}[a-z0-9=. -]{0,5}"),
    ]
}

fn item(kind: &str) -> BoxedStrategy<Item> {
    match kind {
        "integer" => prop_oneof![any::<i64>(), -3..30i64]
            .prop_map(Item::Integer)
            .boxed(),
        "number" => prop_oneof![
            any::<i32>().prop_map(f64::from),
            any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
            Just(-1e-7),
        ]
        .prop_map(Item::Number)
        .boxed(),
        _ => text().prop_map(Item::Text).boxed(),
    }
}

/// What a map gives for a parameter, or nothing. No more is made than is used: of a million maps that is most of
/// the time.
fn seed(declared: &Declared) -> BoxedStrategy<Option<Seed>> {
    let kind = match declared.how {
        How::Count => "integer",
        _ => declared.kind,
    };
    let count = match declared.how {
        How::Flag | How::Switch => 0..1,
        How::Repeat | How::List | How::Positionals => 0..4,
        How::Value | How::Count | How::Positional => 1..2,
    };
    let items = prop::collection::vec(item(kind), count);
    let given = (items, any::<bool>(), any::<bool>()).prop_map(|(items, truth, is_text)| Seed {
        items,
        truth,
        is_text,
    });
    if declared.is_required() {
        given.prop_map(Some).boxed()
    } else {
        prop::option::weighted(0.7, given).boxed()
    }
}

/// A set of parameters, and maps of arguments for it.
pub fn sets() -> impl Strategy<Value = (Vec<Declared>, bool, Vec<Vec<Option<Seed>>>)> {
    (parameters(), any::<bool>()).prop_flat_map(|(set, ends_options)| {
        let map: Vec<_> = set.iter().map(seed).collect();
        let maps = prop::collection::vec(map, MAPS);
        (Just(set), Just(ends_options), maps)
    })
}

/// A set of parameters: at most one positional list, and that last, as parsers need it.
fn parameters() -> impl Strategy<Value = Vec<Declared>> {
    prop::collection::vec(declared(), 1..6).prop_map(|mut all| {
        let mut lists = 0;
        all.retain(|one| {
            lists += usize::from(one.how == How::Positionals);
            one.how != How::Positionals || lists == 1
        });
        for one in &mut all {
            // Positional arguments of the program itself would stand before the command.
            one.is_global &= !matches!(one.how, How::Positional | How::Positionals);
        }
        all.sort_by_key(|one| match (one.how, one.is_required) {
            (How::Positional, true) => 1,
            (How::Positional, false) => 2,
            (How::Positionals, _) => 3,
            _ => 0,
        });
        all
    })
}
