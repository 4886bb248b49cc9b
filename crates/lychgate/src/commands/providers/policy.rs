//! A provider's policy on the command line: `retry.max_attempts=5`. Help explains the settings of this version; which the server
//! knows and what they accept, the server decides.

use crate::failure::{Failure, Outcome};
use lychgate_types::policy::ProviderPolicy;
use serde_json::{Map, Value, json};
use std::str::FromStr;

/// The flags that set a policy.
#[derive(Debug, clap::Args)]
pub(super) struct PolicyArgs {
    /// Policy setting, for example retry.max_attempts=5; repeatable. --help explains them all, `providers show` lists their values
    #[arg(long, value_name = "SETTING=VALUE", long_help = explained())]
    policy: Vec<Setting>,
}

/// Every setting with its meaning, default and bounds, as the API's document has them.
fn explained() -> String {
    let mut text =
        "Policy setting, for example retry.max_attempts=5; repeatable. `lychgate providers show` lists their values:\n"
            .to_owned();
    for setting in ProviderPolicy::settings() {
        let meaning = setting.meaning.split_whitespace().collect::<Vec<_>>().join(" ");
        text += &format!(
            "\n{}: {} {} [default: {}]",
            setting.field, meaning, setting.takes, setting.default
        );
    }
    text
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    group: Option<String>,
    name: String,
    value: Value,
}

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "expected SETTING=VALUE with a whole number, true, false or a word, for example retry.max_attempts=5 or http2=true";
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let (path, value) = text.split_once('=').ok_or(form)?;
        let value = match value {
            "true" => true.into(),
            "false" => false.into(),
            word if is_word(word) && !word.starts_with(|c: char| c.is_ascii_digit()) => word.into(),
            number => number.parse::<u64>().map_err(|_| form)?.into(),
        };
        let (group, name) = match path.split_once('.') {
            Some((group, name)) => (Some(group), name),
            None => (None, path),
        };
        if !group.is_none_or(is_word) || !is_word(name) {
            return Err(form);
        }
        Ok(Self {
            group: group.map(str::to_owned),
            name: name.to_owned(),
            value,
        })
    }
}

impl PolicyArgs {
    /// The request's member `policy`; `None` where no setting was given.
    pub(super) fn member(self) -> Outcome<Option<Value>> {
        let mut policy = Map::new();
        for Setting { group, name, value } in self.policy {
            let inside = match group {
                None => Some(&mut policy),
                Some(group) => policy.entry(group).or_insert_with(|| json!({})).as_object_mut(),
            };
            if inside.is_none_or(|inside| inside.insert(name.clone(), value).is_some()) {
                return Err(Failure::Usage(format!("--policy: {name} is given twice")));
            }
        }
        Ok((!policy.is_empty()).then(|| policy.into()))
    }
}

/// The settings of an answer's policy, one by one, as rows with `setting` and `value`.
pub(super) fn rows(policy: &Value) -> Vec<Value> {
    let mut rows = Vec::new();
    for (name, value) in policy.as_object().into_iter().flatten() {
        match value.as_object() {
            Some(group) => {
                rows.extend(
                    group
                        .iter()
                        .map(|(inner, value)| json!({ "setting": format!("{name}.{inner}"), "value": value })),
                );
            }
            None => rows.push(json!({ "setting": name, "value": value })),
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(settings: &[&str]) -> Outcome<Option<Value>> {
        let policy = settings.iter().map(|text| text.parse().unwrap()).collect();
        PolicyArgs { policy }.member()
    }

    #[test]
    fn help_explains_every_setting() {
        let text = explained();
        for setting in ProviderPolicy::settings() {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{}: ", setting.field)));
            let line = line.unwrap_or_else(|| panic!("{} is not explained", setting.field));
            assert!(
                line.len() > setting.field.len() + 40 && line.ends_with(&format!("[default: {}]", setting.default)),
                "{line}"
            );
        }
    }

    #[test]
    fn settings_become_the_requests_member_and_back() {
        assert_eq!(member(&[]).unwrap(), None);
        let policy = member(&[
            "retry.max_attempts=5",
            "http2=true",
            "retry.budget_percent=0",
            "key_cooldown_seconds=9",
            "relay.stream_usage=never",
        ]);
        let policy = policy.unwrap().unwrap();
        assert_eq!(
            policy,
            json!({ "retry": { "max_attempts": 5, "budget_percent": 0 }, "http2": true, "key_cooldown_seconds": 9, "relay": { "stream_usage": "never" } })
        );
        let mut shown: Vec<_> = rows(&policy)
            .iter()
            .map(|row| format!("{}={}", row["setting"].as_str().unwrap(), row["value"]))
            .collect();
        shown.sort();
        assert_eq!(
            shown,
            [
                "http2=true",
                "key_cooldown_seconds=9",
                "relay.stream_usage=\"never\"",
                "retry.budget_percent=0",
                "retry.max_attempts=5"
            ]
        );
    }

    #[test]
    fn what_is_no_setting() {
        for bad in [
            "",
            "retry",
            "retry.max_attempts",
            "retry.max_attempts=",
            "a=-1",
            "a=1.5",
            "a=X",
            "a=1x",
            "a=x y",
            "=1",
            ".a=1",
            "a.=1",
            "a.b.c=1",
            "A=1",
        ] {
            assert!(bad.parse::<Setting>().is_err(), "{bad:?}");
        }
        for twice in [["a.b=1", "a.b=2"], ["a=1", "a.b=2"], ["a.b=2", "a=1"]] {
            assert_eq!(member(&twice).unwrap_err().exit_code(), 2, "{twice:?}");
        }
    }
}
