//! `/api/v1/ai-gateway/providers`

use crate::bench::{Bench, masked, problem, text};
use lychgate_store::seal::Sealer;
use lychgate_testkit::both_engines;
use lychgate_types::secret::MasterKey;
use serde_json::{Value, json};

const PATH: &str = "/ai-gateway/providers";
const SECRET: &str = "sk-ant-0123456789abcdef";

async fn count(bench: &Bench) -> usize {
    bench.get(&bench.owner, PATH).await.expect(200).value()["providers"]
        .as_array()
        .unwrap()
        .len()
}

async fn make(bench: &Bench, name: &str) -> Value {
    let body = json!({"name": name, "type": "openai", "keys": ["sk-one-0123456789abcdef", "short"]});
    bench.post(&bench.owner, PATH, body).await.expect(201).value()
}

both_engines! {
    async fn the_shape_of_a_provider(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = json!({"name": "Anthropic", "type": "anthropic", "keys": [SECRET]});
        let made = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        insta::assert_json_snapshot!(masked(&made, &["/id", "/keys/0/id"]), @r#"
        {
          "allow_private": false,
          "base_url": "https://api.anthropic.com",
          "created_at": "2026-11-24T09:30:00.000000Z",
          "enabled": true,
          "id": "[…]",
          "keys": [
            {
              "created_at": "2026-11-24T09:30:00.000000Z",
              "id": "[…]",
              "masked": "sk-a…cdef"
            }
          ],
          "name": "anthropic",
          "policy": {
            "breaker": {
              "failure_status": 500,
              "failures": 10,
              "half_open_requests": 1,
              "open_seconds": 15,
              "window_seconds": 30
            },
            "http2": false,
            "key_cooldown_seconds": 60,
            "relay": {
              "audio": true,
              "batches": false,
              "containers": false,
              "files": false,
              "images": true,
              "keep_alive_seconds": 15,
              "models": "cached",
              "skills": false,
              "stored_objects": "unclaimed",
              "stream_usage": "learn",
              "vector_stores": false,
              "websocket": true
            },
            "retry": {
              "base_delay_ms": 250,
              "budget_percent": 20,
              "max_attempts": 3,
              "max_delay_ms": 8000
            },
            "timeouts": {
              "connect_ms": 10000,
              "headers_ms": 600000,
              "idle_ms": 300000,
              "total_ms": 3600000
            }
          },
          "settings": {},
          "type": "anthropic",
          "updated_at": "2026-11-24T09:30:00.000000Z"
        }
        "#);
        for name in ["anthropic", made["id"].as_str().unwrap()] {
            assert_eq!(bench.get(&bench.owner, &format!("{PATH}/{name}")).await.expect(200).value(), made);
        }
        assert_eq!(bench.get(&bench.owner, PATH).await.expect(200).value(), json!({"providers": [made], "next": null}));
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        let with = |field: &str, value: Value| {
            let mut body = json!({"name": "a", "type": "openai", "keys": []});
            body[field] = value;
            body
        };
        for (body, field) in [
            (with("type", json!("azure")), "type"),
            (with("base_url", json!("api.example.com")), "base_url"),
            (with("base_url", json!(format!("https://api.example.com/{}", "x".repeat(2000)))), "base_url"),
            (with("policy", json!({"timeouts": [null, null]})), "policy.timeouts"),
            (with("base_url", json!("https://u:p@api.example.com")), "base_url"),
            (with("base_url", json!("https://api.example.com?x=1")), "base_url"),
            (with("keys", json!([""])), "keys[0]"),
            (with("keys", json!(["good", "a b"])), "keys[1]"),
            (with("keys", json!(["a\n"])), "keys[0]"),
            (with("keys", json!(["é"])), "keys[0]"),
            (with("keys", json!(["x".repeat(4097)])), "keys[0]"),
            (with("keys", json!(vec!["k"; 17])), "keys"),
            (with("keys", json!("k")), "keys"),
            (with("enabled", json!("yes")), "enabled"),
            (with("settings", json!({"credential": 1})), "settings.credential"),
            (with("settings", json!(["key"])), "settings"),
            (with("id", json!("x")), "id"),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        let many: Value = (0..17).map(|at| (format!("setting_{at}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
        for (body, field) in [
            (with("type", json!("openai-compatible")), "base_url"),
            (with("base_url", json!("http://api.example.com")), "base_url"),
            (with("base_url", json!("https://api.openai.com")), "base_url"),
            (with("base_url", json!("https://127.0.0.1/v1")), "base_url"),
            (with("base_url", json!("https://169.254.169.254")), "base_url"),
            (with("base_url", json!("https://localhost")), "base_url"),
            (with("settings", json!({"region": "eu"})), "settings.region"),
            (with("settings", json!({"credential": "password"})), "settings.credential"),
            (with("settings", many), "settings"),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 409, "value_refused"), [field], "{body}");
        }
        let answer = bench.post(&bench.owner, PATH, json!({"name": "a b", "type": "x", "base_url": "y", "keys": [""]})).await;
        assert_eq!(problem(&answer, 400, "invalid_name"), ["name", "type", "base_url", "keys[0]"]);
        assert_eq!(count(&bench).await, 0);

        make(&bench, "openai").await;
        let again = bench.post(&bench.owner, PATH, json!({"name": "OpenAI", "type": "openai"})).await;
        problem(&again, 409, "name_taken");
        let private = json!({"name": "lan", "type": "openai-compatible", "base_url": "http://127.0.0.1:9/v1/", "allow_private": true,
            "keys": ["x".repeat(4096)]});
        let private = bench.post(&bench.owner, PATH, private).await.expect(201).value();
        assert_eq!(text(&private["base_url"]), "http://127.0.0.1:9/v1");
    }

    async fn a_patch_changes_what_it_names(db: TestDb) {
        let bench = Bench::start(db).await;
        let made = make(&bench, "openai").await;
        let path = format!("{PATH}/openai");
        let same = bench.patch(&bench.owner, &path, json!({})).await.expect(200).value();
        assert_eq!(same["keys"], made["keys"]);
        let off = bench.patch(&bench.owner, &path, json!({"enabled": false})).await.expect(200).value();
        assert_eq!((&off["enabled"], &off["base_url"]), (&json!(false), &made["base_url"]));
        let on = bench.patch(&bench.owner, &path, json!({"enabled": true})).await.expect(200).value();
        assert_eq!(on["enabled"], true);

        let second = &made["keys"][1]["id"];
        let keys = json!({"keys": [{"key": "sk-new-0123456789abcdef"}, {"id": second}]});
        let changed = bench.patch(&bench.owner, &path, keys).await.expect(200).value();
        let shown: Vec<_> = changed["keys"].as_array().unwrap().iter().map(|key| text(&key["masked"])).collect();
        assert_eq!(shown, ["sk-n…cdef", "…"]);
        assert_eq!(&changed["keys"][1]["id"], second);
        let none = bench.patch(&bench.owner, &path, json!({"keys": []})).await.expect(200).value();
        assert_eq!(none["keys"], json!([]));
    }

    async fn a_patch_that_does_not_fit_changes_nothing(db: TestDb) {
        let bench = Bench::start(db).await;
        let made = make(&bench, "openai").await;
        let path = format!("{PATH}/{}", text(&made["id"]));
        let first = &made["keys"][0]["id"];
        for (body, field) in [
            (json!({"enabled": false, "keys": [{"id": "x"}]}), "keys[0].id"),
            (json!({"enabled": false, "keys": [{}]}), "keys[0]"),
            (json!({"enabled": false, "keys": [{"id": first, "key": "k"}]}), "keys[0]"),
            (json!({"enabled": false, "keys": [{"key": " "}]}), "keys[0].key"),
            (json!({"enabled": false, "keys": ["k"]}), "keys[0]"),
            (json!({"enabled": false, "keys": vec![json!({"key": "k"}); 17]}), "keys"),
            (json!({"enabled": false, "name": "other"}), "name"),
            (json!({"enabled": false, "type": "anthropic"}), "type"),
        ] {
            let answer = bench.patch(&bench.owner, &path, body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        for (body, field) in [
            (json!({"enabled": false, "base_url": "http://10.0.0.1"}), "base_url"),
            (json!({"enabled": false, "base_url": "https://api.openai.com"}), "base_url"),
            (json!({"enabled": false, "keys": [{"id": first}, {"id": first}]}), "keys[1].id"),
        ] {
            let answer = bench.patch(&bench.owner, &path, body.clone()).await;
            assert_eq!(problem(&answer, 409, "value_refused"), [field], "{body}");
        }
        let stranger = json!({"enabled": false, "keys": [{"id": "01920000-0000-7000-8000-000000000000"}]});
        problem(&bench.patch(&bench.owner, &path, stranger).await, 409, "no_such_provider_key");
        assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value(), made);

        let mut lan = json!({"base_url": "http://10.0.0.1", "allow_private": true});
        problem(&bench.patch(&bench.owner, &path, lan.clone()).await, 409, "provider_keys_needed");
        lan["keys"] = json!([{"id": first}]);
        problem(&bench.patch(&bench.owner, &path, lan.clone()).await, 409, "provider_keys_needed");
        assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value(), made);
        lan["keys"] = json!([{"key": "sk-given-anew-0123456789"}]);
        bench.patch(&bench.owner, &path, lan).await.expect(200);
        let taken = bench.patch(&bench.owner, &path, json!({"allow_private": false})).await;
        assert_eq!(problem(&taken, 409, "value_refused"), ["allow_private"]);
        let back = json!({"allow_private": false, "base_url": "https://api.example.com", "keys": []});
        bench.patch(&bench.owner, &path, back).await.expect(200);
    }

    async fn settings_are_shown_and_changed_one_by_one_with_the_keys(db: TestDb) {
        let bench = Bench::start(db).await;
        let path = format!("{PATH}/azure");
        let body = json!({"name": "azure", "type": "azure-openai", "base_url": "https://r.openai.azure.com", "keys": ["k"],
            "settings": {"credential": "key"}});
        let made = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        assert_eq!(made["settings"], json!({"credential": "key"}));
        assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value(), made);
        // What stays as it is needs no keys.
        for same in [json!({}), json!({"credential": "key"}), Value::Null] {
            let kept = bench.patch(&bench.owner, &path, json!({"settings": same})).await.expect(200).value();
            assert_eq!((&kept["settings"], &kept["keys"]), (&made["settings"], &made["keys"]));
        }
        let none = json!({"settings": {"credential": null}});
        problem(&bench.patch(&bench.owner, &path, none.clone()).await, 409, "provider_keys_needed");
        let unknown = bench.patch(&bench.owner, &path, json!({"settings": {"region": "eu"}})).await;
        assert_eq!(problem(&unknown, 409, "value_refused"), ["settings.region"]);
        assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value()["settings"], made["settings"]);
        let mut anew = none;
        anew["keys"] = json!([{"key": "k2"}]);
        assert_eq!(bench.patch(&bench.owner, &path, anew).await.expect(200).value()["settings"], json!({}));
    }

    async fn a_url_among_the_settings_is_stored_as_it_was_read(db: TestDb) {
        let bench = Bench::start(db).await;
        let path = format!("{PATH}/azure");
        let with = |authority: &str| json!({"credential": "entra_client_secret", "tenant_id": "t", "client_id": "c", "authority": authority});
        let body = json!({"name": "azure", "type": "azure-openai", "base_url": "https://r.openai.azure.com", "keys": ["k"],
            "settings": with("HTTPS://Login.Example:443/a/../b/")});
        let made = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        assert_eq!(made["settings"], with("https://login.example/b"));
        // The same, written otherwise, is no change that needs keys.
        for same in ["https://login.example/b/", "https://LOGIN.example/b"] {
            let kept = bench.patch(&bench.owner, &path, json!({"settings": {"authority": same}})).await.expect(200).value();
            assert_eq!((&kept["settings"], &kept["keys"]), (&made["settings"], &made["keys"]));
        }
        let wide = format!("https://{}.example", "\u{e4}".repeat(60));
        for wrong in ["login.example", "https://u:p@login.example", "https://127.0.0.1/", "https://login.example/?a=b", &wide.repeat(2)] {
            let refused = bench.patch(&bench.owner, &path, json!({"settings": {"authority": wrong}})).await;
            assert_eq!(problem(&refused, 409, "value_refused"), ["settings.authority"], "{wrong}");
        }
    }

    async fn deleted_is_gone(db: TestDb) {
        let bench = Bench::start(db).await;
        make(&bench, "openai").await;
        bench.delete(&bench.owner, &format!("{PATH}/openai")).await.expect(204);
        problem(&bench.delete(&bench.owner, &format!("{PATH}/openai")).await, 404, "not_found");
        problem(&bench.patch(&bench.owner, &format!("{PATH}/openai"), json!({"enabled": true})).await, 404, "not_found");
        assert_eq!(count(&bench).await, 0);
    }

    async fn changes_at_the_same_time_leave_keys_that_open(db: TestDb) {
        let bench = Bench::start(db).await;
        let mut moved = 0;
        for round in 0..8 {
            let name = format!("p{round}");
            let body = json!({"name": name, "type": "anthropic", "base_url": "https://a.example", "keys": ["first"]});
            bench.post(&bench.owner, PATH, body).await.expect(201);
            let path = format!("{PATH}/{name}");
            let (elsewhere, keys) = tokio::join!(
                bench.patch(&bench.owner, &path, json!({"base_url": "https://b.example", "keys": [{"key": "second"}]})),
                bench.patch(&bench.owner, &path, json!({"keys": [{"key": "third"}]})),
            );
            for answer in [&elsewhere, &keys] {
                if answer.status != 200 {
                    assert!(problem(answer, 409, "provider_moved").is_empty());
                    moved += 1;
                }
            }
            assert!(elsewhere.status == 200 || keys.status == 200, "one of them was first");
        }
        // What somebody else changed is no hindrance to what has nothing to do with it.
        bench.patch(&bench.owner, &format!("{PATH}/p0"), json!({"enabled": false})).await.expect(200);
        let (_, key) = bench.key("edge").await;
        let attached = bench.attach(&key).await;
        assert_eq!(attached.keys, [1; 8], "each has its key, and it opens ({moved} were too late)");
    }

    async fn a_key_goes_only_where_it_was_given_for(db: TestDb) {
        let bench = Bench::start(db).await;
        for name in ["moved", "old", "good"] {
            let body = json!({"name": name, "type": "anthropic", "base_url": "https://a.example", "keys": ["secret"]});
            bench.post(&bench.owner, PATH, body).await.expect(201);
        }
        let known = bench.get(&bench.owner, &format!("{PATH}/old")).await.expect(200).value();
        let id = text(&known["keys"][0]["id"]).parse::<uuid::Uuid>().unwrap();
        // Sealed with the right master key, for its row alone.
        let sealer = Sealer::new(MasterKey::parse(&"ab".repeat(32)).unwrap());
        let sealed = sealer.seal_bytes(&db.ambient(), b"secret", id, "provider_keys.sealed").unwrap();
        let hex: String = sealed.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        let of = |id: String| match db.engine() {
            TestEngine::Sqlite => format!("x'{}'", id.replace('-', "")),
            TestEngine::Postgres => format!("'{id}'"),
        };
        let bytes = match db.engine() {
            TestEngine::Sqlite => format!("x'{hex}'"),
            TestEngine::Postgres => format!(r"'\x{hex}'"),
        };
        db.execute(&format!(
            "UPDATE providers SET base_url = 'https://b.example' WHERE name = 'moved'; \
             UPDATE provider_keys SET sealed = {bytes} WHERE id = {}",
            of(id.to_string())
        ))
        .await;
        let restarted = bench.join(db).await;
        let (_, key) = restarted.key("edge").await;
        let attached = restarted.attach(&key).await;
        let mut keys: Vec<_> = attached.providers.iter().map(String::as_str).zip(attached.keys).collect();
        keys.sort_unstable();
        assert_eq!(keys, [("good", 1), ("moved", 0), ("old", 0)]);
    }
}
