//! What "lenient" means.

use super::{List, Object, Raw, members, object};
use crate::json::counters::Counters;
use crate::limits::{COUNTERS, ITEMS};

members! {
    struct Outer<'de> {
        name: Raw<'de> = b"name",
        inner: Object<Inner<'de>> = b"inner",
        list: List<Object<Inner<'de>>> = b"list",
    }
}

members! {
    struct Inner<'de> { value: Raw<'de> = b"value", }
}

fn outer(json: &str) -> Outer<'_> {
    object(json.as_bytes()).unwrap()
}

#[test]
fn a_member_of_the_wrong_type_costs_none_beside_it() {
    for wrong in [
        "1",
        "-1",
        "1.5",
        "\"text\"",
        "null",
        "true",
        "[]",
        "[[1],{}]",
        "{}",
        "{\"a\":{\"b\":[]}}",
    ] {
        let json = format!(r#"{{"inner":{wrong},"list":{wrong},"x":{wrong},"name":"n"}}"#);
        assert_eq!(outer(&json).name.name(), "n", "{wrong}");
    }
    assert!(outer(r#"{"inner":[{"value":1}],"name":"n"}"#).inner.0.is_none());
    assert_eq!(
        outer(r#"{"list":[1,{"value":5},null,{"value":6}]}"#)
            .list
            .0
            .iter()
            .flat_map(|i| &i.0)
            .count(),
        2
    );
}

#[test]
fn of_repeated_members_the_last_counts_and_names_may_be_escaped() {
    assert_eq!(outer(r#"{"name":"a","name":"b"}"#).name.name(), "b");
    assert_eq!(outer(r#"{"n\u0061me":"a"}"#).name.name(), "a");
    assert_eq!(outer(r#"{"\ud800":1,"name":"a"}"#).name.name(), "a");
}

#[test]
fn mistakes_in_the_json_itself_are_none() {
    for json in ["", "{", "{\"a\":}", "{} {}", "[]", "nul", "{\"name\":\"\u{0}\"}"] {
        assert!(object::<Outer<'_>>(json.as_bytes()).is_none(), "{json}");
    }
    assert!(object::<Outer<'_>>(b"{\"name\":\"\xff\"}").is_none());
}

#[test]
fn values_are_read_as_what_they_are() {
    let value = |json: &'static str| outer(json).name;
    assert_eq!(value(r#"{"name":"a\n\u00e9"}"#).text().as_deref(), Some("a\né"));
    assert_eq!(
        value(r#"{"name":"\ud83d!"}"#)
            .text()
            .as_deref()
            .map(|text| text.ends_with('!')),
        Some(true)
    );
    assert_eq!(value(r#"{"name":7}"#).text(), None);
    assert_eq!(value(r#"{"name":7}"#).text_or_json(), "7");
    assert_eq!(value(r#"{"name":null}"#).text_or_json(), "");
    for (json, integer) in [
        (r#"{"name":12}"#, Some(12)),
        (r#"{"name":12.0}"#, Some(12)),
        (r#"{"name":1e3}"#, Some(1000)),
        (r#"{"name":-4}"#, Some(-4)),
        (r#"{"name":99999999999999999999}"#, Some(i64::MAX)),
        (r#"{"name":1.5}"#, None),
        (r#"{"name":"12"}"#, None),
        (r#"{"name":null}"#, None),
        (r#"{}"#, None),
    ] {
        assert_eq!(value(json).integer(), integer, "{json}");
    }
}

#[test]
fn counters_are_bounded_in_number_depth_and_name() {
    let many: String = (0..500).map(|n| format!(r#""k{n}":1,"#)).collect();
    let json = format!(r#"{{"name":{{{many}"deep":1}}}}"#);
    assert_eq!(Counters::read(outer(&json).name).unwrap().into_rest().0.len(), COUNTERS);
    let json = r#"{"name":{"a":1,"b":{"c":2,"d":{"e":3,"f":{"g":4}}},"s":"x","l":[{"m":5}]}}"#;
    let names: Vec<_> = Counters::read(outer(json).name)
        .unwrap()
        .into_rest()
        .0
        .into_keys()
        .collect();
    assert_eq!(names, ["a", "b.c", "b.d.e"]);
    let json = format!(r#"{{"name":{{"{}":1,"b":2}}}}"#, "k".repeat(10_000));
    assert_eq!(Counters::read(outer(&json).name).unwrap().into_rest().0.len(), 1);
}

#[test]
fn lists_are_bounded_and_depth_does_no_harm() {
    let json = format!(r#"{{"list":[{}1],"name":"n"}}"#, "{},".repeat(ITEMS * 2));
    assert_eq!(outer(&json).list.0.len(), ITEMS);
    let deep = format!("{}{}", "[".repeat(300_000), "]".repeat(300_000));
    let json = format!(r#"{{"list":{deep},"inner":{{"value":{deep}}},"name":"n"}}"#);
    let found = outer(&json);
    assert_eq!(found.name.name(), "n");
    assert!(found.inner.0.unwrap().value.latest().newest_first().count() > 0);
}
