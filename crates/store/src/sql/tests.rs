//! What holds for every SQL text, read as text and shown to both engines.

mod plans;

use crate::engine::Bulk;
use crate::url::{DatabaseUrl, Place};
use lychgate_testkit::both_engines;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor, SqlSafeStr};
use std::path::Path;

fn texts() -> Vec<(&'static str, &'static str)> {
    use super::*;
    [
        ai_gateway_keys::past_providers::STATEMENTS,
        ai_gateway_keys::replaced::STATEMENTS,
        ai_gateway_keys::rotate::STATEMENTS,
        ai_gateway_keys::STATEMENTS,
        audit::STATEMENTS,
        changes::STATEMENTS,
        idempotency::STATEMENTS,
        interceptions::completion::STATEMENTS,
        interceptions::STATEMENTS,
        master_key::STATEMENTS,
        write_checks::STATEMENTS,
        providers::STATEMENTS,
        replicas::STATEMENTS,
        routes::STATEMENTS,
        stored_objects::STATEMENTS,
        tokens::grants::STATEMENTS,
        tokens::STATEMENTS,
        users::STATEMENTS,
    ]
    .concat()
}

fn bulks() -> Vec<Bulk> {
    use super::*;
    [
        changes::BULKS,
        interceptions::ingest::BULKS,
        ai_gateway_keys::past_providers::BULKS,
        providers::BULKS,
        replicas::BULKS,
        routes::BULKS,
        stored_objects::BULKS,
        tokens::grants::BULKS,
    ]
    .concat()
}

fn all() -> Vec<&'static str> {
    let parts = bulks().into_iter().flat_map(|bulk| [bulk.head, bulk.tail]);
    texts().into_iter().map(|(_, text)| text).chain(parts).collect()
}

#[test]
fn no_text_selects_or_returns_the_hash_of_a_gateway_key() {
    let mut seen = 0;
    for text in all() {
        // Where the hash may stand: it goes in by an insert or a rotation, a rotation copies it from table to table, the
        // look-up compares with it, and its mark says nothing of a secret with 200 bits.
        let rest = match text.strip_prefix("INSERT INTO ai_gateway_keys ") {
            Some(insert) => insert.split_once(") VALUES ").unwrap().1.to_owned(),
            None => [
                "(hashed_secret, key_id, secret_prefix, retired_at, valid_until) SELECT hashed_secret, id, secret_prefix, $2, $3",
                "SET secret_prefix = $2, hashed_secret = $3 WHERE",
                "WHERE hashed_secret = $1",
                "WHERE r.hashed_secret = $1",
                "SELECT substr(hashed_secret, 1, 8) AS mark FROM",
            ]
            .iter()
            .fold(text.to_owned(), |rest, place| rest.replace(place, "")),
        };
        assert!(!rest.contains("hashed_secret"), "{text}");
        assert!(
            !rest.contains("RETURNING") || !text.contains("retired_secrets"),
            "{text}"
        );
        seen += usize::from(text.contains("hashed_secret"));
    }
    assert_eq!(
        seen, 5,
        "the insert, the two of the rotation, the look-up, and the marks"
    );
}

#[test]
fn no_text_lists_columns_by_a_star() {
    for text in all() {
        let bare = text.replace("/*", "").replace("*/", "");
        assert!(!bare.contains('*'), "{text}");
    }
}

#[test]
fn no_text_reads_the_clock_or_speaks_one_engines_dialect() {
    for text in all() {
        let lower = text.to_lowercase();
        for word in [
            "now()",
            "current_timestamp",
            "ilike",
            "for update",
            "any(",
            "datetime(",
            "strftime",
            "::",
            "or $",
        ] {
            assert!(!lower.contains(word), "{word} in {text}");
        }
    }
}

/// The modules below this folder, as paths such as `sql::ai_gateway_keys::rotate`, with their sources.
fn modules(folder: &Path, prefix: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        let module = format!("{prefix}::{}", path.file_stem().unwrap().to_str().unwrap());
        if path.is_dir() {
            found.extend(modules(&path, &module));
        } else {
            found.push((module, std::fs::read_to_string(path).unwrap()));
        }
    }
    found
}

#[test]
fn every_file_of_texts_is_in_the_list() {
    for (module, source) in modules(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/sql")), "sql") {
        if module != "sql::tests" && source.contains("::statements! {") {
            let prefix = format!("lychgate_store::{module}::");
            assert!(texts().iter().any(|(name, _)| name.starts_with(&prefix)), "{module}");
        }
    }
}

both_engines! {
    /// In place of queries checked at compile time: each text is parsed and planned by the engine itself.
    async fn every_text_can_be_prepared(db: TestDb) {
        match DatabaseUrl::parse(db.url()).unwrap().0 {
            Place::Sqlite(path) => {
                let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                for (name, text) in texts() {
                    (&mut conn).prepare(text.into_sql_str()).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                }
            }
            Place::Postgres(options) => {
                let mut conn = options.connect().await.unwrap();
                for (name, text) in texts() {
                    (&mut conn).prepare(text.into_sql_str()).await.unwrap_or_else(|e| panic!("{name}: {e}"));
                }
            }
        }
    }
}
