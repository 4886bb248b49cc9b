//! Gateway keys in tables and records.

use super::PATH;
use crate::client::ApiClient;
use crate::commands::Query;
use crate::commands::listing::{ListArgs, Listing};
use crate::failure::Outcome;
use crate::terminal::output::{Field, Format, record, table, write};
use serde_json::Value;

const LISTING: Listing = Listing {
    path: PATH,
    entries: "keys",
    columns: &[
        Field("name", "name"),
        Field("key", "key_prefix"),
        Field("state", "state"),
        Field("replicas", "live_replicas"),
        Field("expires", "expires_at"),
        Field("notes", "notes"),
    ],
    more: &[
        Field("created", "created_at"),
        Field("last used", "last_used_at"),
        Field("description", "description"),
        Field("id", "id"),
    ],
};

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "name"),
    Field("key", "key_prefix"),
    Field("state", "state"),
    Field("notes", "notes"),
    Field("description", "description"),
    Field("created", "created_at"),
    Field("created by", "created_by.username"),
    Field("last used", "last_used_at"),
    Field("expires", "expires_at"),
    Field("rotated", "rotated_at"),
    Field("old secret until", "previous_valid_until"),
    Field("providers", "provider_names"),
    Field("allowed from", "networks"),
    Field("live replicas", "live_replicas"),
];

const REPLICA_COLUMNS: &[Field] = &[
    Field("replica", "name"),
    Field("address", "address"),
    Field("version", "version"),
    Field("connected", "connected_since"),
    Field("in flight", "in_flight"),
    Field("undelivered", "spool_depth"),
    Field("id", "id"),
];

/// Prints a listing of keys.
pub(super) async fn list(api: &ApiClient, filters: Query, args: ListArgs) -> Outcome {
    let explained = async |mut keys: Vec<Value>| {
        keys.iter_mut().for_each(explain);
        Ok(keys)
    };
    LISTING.print_with(api, filters, args, explained).await
}

/// Prints one key, with its replicas if the answer has them.
pub(super) fn one(format: Format, mut answer: Value) -> Outcome {
    if format == Format::Table {
        explain(&mut answer);
    }
    record(format, &answer, FIELDS)?;
    match answer["replicas"].as_array() {
        Some(replicas) if format == Format::Table && !replicas.is_empty() => {
            write(&format!("\n{}", table(replicas, REPLICA_COLUMNS)))
        }
        _ => Ok(()),
    }
}

/// What the replicas of a key that is deleted were doing, as of their last heartbeats; `None`: nothing.
pub(super) fn left_behind(key: &Value) -> Option<String> {
    let replicas = key["replicas"].as_array()?;
    let sum = |field: &str| {
        let numbers = replicas.iter().filter_map(|replica| replica[field].as_u64());
        numbers.fold(0, u64::saturating_add)
    };
    let (in_flight, undelivered) = (sum("in_flight"), sum("spool_depth"));
    (in_flight > 0 || undelivered > 0).then(|| {
        format!(
            "As of their last heartbeats, its replicas have {in_flight} requests in flight and {undelivered} undelivered records, \
             which they can deliver only with another key"
        )
    })
}

/// Adds the columns that are made for people: notes, provider names, networks.
fn explain(key: &mut Value) {
    let mut notes = Vec::new();
    if key["expires_soon"] == true {
        notes.push("expires soon");
    }
    if key["previous_valid_until"].is_string() {
        notes.push("old secret still works");
    }
    let notes = notes.join("; ");
    let names = match key["providers"].as_array() {
        Some(providers) if providers.is_empty() => "none: its providers were deleted".into(),
        Some(providers) => providers.iter().map(|provider| provider["name"].clone()).collect(),
        None => Value::from("all"),
    };
    let networks = match &key["allowed_cidrs"] {
        Value::Null => Value::from("anywhere"),
        networks => networks.clone(),
    };
    key["notes"] = notes.into();
    key["provider_names"] = names;
    key["networks"] = networks;
}

#[cfg(test)]
mod tests {
    use super::explain;
    use serde_json::{Value, json};

    fn explained(mut key: Value) -> [Value; 3] {
        explain(&mut key);
        ["notes", "provider_names", "networks"].map(|field| key[field].clone())
    }

    #[test]
    fn unrestricted_keys_are_described_in_words() {
        let free =
            json!({"expires_soon": false, "previous_valid_until": null, "providers": null, "allowed_cidrs": null});
        assert_eq!(explained(free), [json!(""), json!("all"), json!("anywhere")]);
        let bound = json!({"expires_soon": true, "previous_valid_until": "2026-11-25T09:30:00.000000Z",
            "providers": [{"name": "claude"}], "allowed_cidrs": ["10.0.0.0/8"]});
        let notes = json!("expires soon; old secret still works");
        assert_eq!(explained(bound), [notes, json!(["claude"]), json!(["10.0.0.0/8"])]);
        let orphan = explained(json!({"providers": []}));
        assert!(orphan[1].as_str().unwrap().starts_with("none"));
    }
}
