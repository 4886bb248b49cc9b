//! A provider's settings on the command line: `region=eu-west-1`. Which a type has, and what they take, the server says.

use crate::failure::{Failure, Outcome};
use serde_json::{Map, Value};
use std::str::FromStr;

/// The flag that sets them.
#[derive(Debug, clap::Args)]
pub(super) struct SettingArgs {
    /// Setting of the provider's type, for example region=eu-west-1; repeatable. NAME= removes one. Other settings than before need all
    /// keys anew
    #[arg(long, value_name = "NAME=VALUE")]
    setting: Vec<Setting>,
}

#[derive(Debug, Clone)]
struct Setting(String, Value);

impl FromStr for Setting {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = text.split_once('=').filter(|(name, _)| !name.is_empty());
        let (name, value) = named.ok_or("expected NAME=VALUE, for example region=eu-west-1")?;
        let value = if value.is_empty() { Value::Null } else { value.into() };
        Ok(Self(name.to_owned(), value))
    }
}

impl SettingArgs {
    /// The request's member `settings`; `None` where none was given.
    pub(super) fn member(self) -> Outcome<Option<Value>> {
        let mut settings = Map::new();
        for Setting(name, value) in self.setting {
            if settings.insert(name.clone(), value).is_some() {
                return Err(Failure::Usage(format!("--setting: {name} is given twice")));
            }
        }
        Ok((!settings.is_empty()).then(|| settings.into()))
    }
}

/// The settings of an answer, one text for each.
pub(super) fn hints(settings: &Value) -> Vec<String> {
    let all = settings.as_object().into_iter().flatten();
    all.map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or("?")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn member(settings: &[&str]) -> Outcome<Option<Value>> {
        let setting = settings.iter().map(|text| text.parse().unwrap()).collect();
        SettingArgs { setting }.member()
    }

    #[test]
    fn settings_become_the_requests_member_and_back() {
        assert_eq!(member(&[]).unwrap(), None);
        let settings = member(&["region=eu-west-1", "authority=https://a.example/?b=c", "tenant_id="]);
        let settings = settings.unwrap().unwrap();
        let wanted = json!({ "region": "eu-west-1", "authority": "https://a.example/?b=c", "tenant_id": null });
        assert_eq!(settings, wanted);
        assert_eq!(hints(&json!({ "a": "1", "b": "2" })), ["a=1", "b=2"]);
        assert_eq!(member(&["a=1", "a="]).unwrap_err().exit_code(), 2);
        for bad in ["", "region", "=x"] {
            assert!(bad.parse::<Setting>().is_err(), "{bad:?}");
        }
    }
}
