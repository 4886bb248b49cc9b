//! The two schemas held against each other.

use lychgate_store::{DatabaseUrl, Store};
use lychgate_testkit::db::{TestDb, TestEngine};
use lychgate_types::Ambient;
use sqlx::{ConnectOptions, Connection, Row};
use std::collections::BTreeSet;

type Facts = BTreeSet<String>;

/// Migration 0005 says why.
const NOT_CHECKED_BY_POSTGRES: [&str; 6] = [
    "reference interceptions.user_id users",
    "reference interceptions.token_id tokens",
    "reference token_usages.interception_id interceptions",
    "reference prompts.interception_id interceptions",
    "reference tool_usages.interception_id interceptions",
    "reference model_thoughts.interception_id interceptions",
];

#[test]
fn both_schemas_have_the_same_tables_columns_checks_indexes_and_references() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lite = TestDb::create(TestEngine::Sqlite).await;
        let post = TestDb::create(TestEngine::Postgres).await;
        let (of_lite, of_post) = (sqlite(&lite).await, postgres(&post).await);
        lite.destroy().await;
        post.destroy().await;
        let unchecked = |fact: &&String| !NOT_CHECKED_BY_POSTGRES.contains(&fact.as_str());
        let only_lite: Vec<_> = of_lite.difference(&of_post).filter(unchecked).collect();
        let only_post: Vec<_> = of_post.difference(&of_lite).collect();
        assert!(
            only_lite.is_empty() && only_post.is_empty(),
            "only SQLite: {only_lite:#?}\nonly PostgreSQL: {only_post:#?}"
        );
        // Guards against two empty sets.
        for fact in [
            "column ai_gateway_keys.hashed_secret bytes not null",
            "check ai_gateway_keys_name_check",
            "check ai_gateway_keys_allowed_cidrs_check",
            "index ai_gateway_key_retired_secrets_key_id_idx",
            "reference ai_gateway_key_retired_secrets.key_id ai_gateway_keys",
            "index ai_gateway_keys_name_idx unique",
            "reference tokens.user_id users",
            "column providers.policy text not null",
            "check providers_policy_check",
            "check providers_settings_check",
            "column changes.subject bytes not null",
            "check replicas_state_check",
            "check route_targets_weight_check",
            "reference route_targets.provider_id providers",
            "primary key token_usages interception_id, position",
        ] {
            assert!(of_lite.contains(fact), "{fact} in {of_lite:#?}");
        }
        assert_eq!(of_lite.iter().filter(|fact| fact.starts_with("table ")).count(), 26);
    });
}

#[test]
fn both_engines_have_the_same_migrations() {
    let list = |engine: &str| -> BTreeSet<_> {
        let folder = format!("{}/migrations/{engine}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name())
            .collect()
    };
    assert_eq!(list("sqlite"), list("postgres"));
    assert!(!list("sqlite").is_empty());
}

async fn sqlite(db: &TestDb) -> Facts {
    let path = db.url().strip_prefix("sqlite://").unwrap();
    let mut conn = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap();
    let mut facts = Facts::new();
    let tables =
        sqlx::query("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    for table in tables {
        let (name, sql): (String, String) = (table.get("name"), table.get("sql"));
        assert!(sql.ends_with("STRICT"), "{name} is not strict");
        facts.insert(format!("table {name}"));
        // PRAGMAs do not tell the names of checks; the text of the table does.
        let words: Vec<&str> = sql.split_whitespace().collect();
        for word in words.windows(3).filter(|w| w[0] == "CONSTRAINT" && w[2] == "CHECK") {
            facts.insert(format!("check {}", word[1]));
        }
        let mut key = Vec::new();
        for column in sqlx::query("SELECT name, type, \"notnull\", pk FROM pragma_table_info($1) ORDER BY pk")
            .bind(&name)
            .fetch_all(&mut conn)
            .await
            .unwrap()
        {
            let (column, kind, pk): (String, String, i64) = (column.get("name"), column.get("type"), column.get("pk"));
            let not_null: bool =
                sqlx::query_scalar("SELECT \"notnull\" = 1 FROM pragma_table_info($1) WHERE name = $2")
                    .bind(&name)
                    .bind(&column)
                    .fetch_one(&mut conn)
                    .await
                    .unwrap();
            let kind = match kind.as_str() {
                "BLOB" => "bytes",
                "INTEGER" => "number",
                "TEXT" => "text",
                other => panic!("{other}"),
            };
            facts.insert(format!(
                "column {name}.{column} {kind}{}",
                if not_null { " not null" } else { "" }
            ));
            if pk > 0 {
                key.push(column);
            }
        }
        facts.insert(format!("primary key {name} {}", key.join(", ")));
        for index in sqlx::query("SELECT name, \"unique\" FROM pragma_index_list($1) WHERE origin = 'c'")
            .bind(&name)
            .fetch_all(&mut conn)
            .await
            .unwrap()
        {
            let unique = if index.get::<i64, _>("unique") == 1 {
                " unique"
            } else {
                ""
            };
            facts.insert(format!("index {}{unique}", index.get::<String, _>("name")));
        }
        for reference in sqlx::query("SELECT \"from\", \"table\" FROM pragma_foreign_key_list($1)")
            .bind(&name)
            .fetch_all(&mut conn)
            .await
            .unwrap()
        {
            facts.insert(format!(
                "reference {name}.{} {}",
                reference.get::<String, _>("from"),
                reference.get::<String, _>("table")
            ));
        }
    }
    conn.close().await.unwrap();
    facts
}

async fn postgres(db: &TestDb) -> Facts {
    let options: sqlx::postgres::PgConnectOptions = db.url().parse().unwrap();
    let mut conn = options.connect().await.unwrap();
    // Each row is one fact, in the words of the other engine's.
    let facts = sqlx::query_scalar::<_, String>(
        "SELECT 'table ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE '\\_%' \
         UNION ALL \
         SELECT 'column ' || table_name || '.' || column_name || CASE data_type WHEN 'uuid' THEN ' bytes' WHEN 'bytea' THEN ' bytes' \
           WHEN 'bigint' THEN ' number' WHEN 'boolean' THEN ' number' WHEN 'timestamp with time zone' THEN ' number' \
           WHEN 'text' THEN ' text' WHEN 'jsonb' THEN ' text' ELSE data_type END || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END \
         FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%' \
         UNION ALL \
         SELECT 'check ' || conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace \
         UNION ALL \
         SELECT 'primary key ' || conrelid::regclass || ' ' || (SELECT string_agg(attname, ', ' ORDER BY k.n) \
           FROM unnest(conkey) WITH ORDINALITY k(num, n) JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.num) \
         FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace AND conrelid::regclass::text NOT LIKE '\\_%' \
         UNION ALL \
         SELECT 'index ' || c.relname || CASE WHEN i.indisunique THEN ' unique' ELSE '' END FROM pg_index i \
           JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT i.indisprimary \
         UNION ALL \
         SELECT 'reference ' || conrelid::regclass || '.' || (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) \
           || ' ' || confrelid::regclass FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut conn)
    .await
    .unwrap();
    conn.close().await.unwrap();
    facts.into_iter().collect()
}

#[test]
fn a_sqlite_file_migrated_twice_at_once_comes_out_right() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::sqlite_file(&folder.path().join("x.db"));
        let (one, two) = (
            Store::connect(&url, Ambient::system()).await.unwrap(),
            Store::connect(&url, Ambient::system()).await.unwrap(),
        );
        let (first, second) = tokio::join!(one.migrate(), two.migrate());
        first.unwrap();
        second.unwrap();
        one.migrate().await.unwrap();
    });
}
