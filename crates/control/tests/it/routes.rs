//! `/api/v1/ai-gateway/routes`

use crate::bench::{Bench, masked, problem, text};
use lychgate_link::{RouteConfig, RouteTarget};
use lychgate_testkit::both_engines;
use lychgate_types::ProviderId;
use serde_json::{Value, json};

const PATH: &str = "/ai-gateway/routes";

/// A bench with two providers that speak Anthropic's format and two that speak OpenAI's.
async fn start(db: &lychgate_testkit::db::TestDb) -> Bench {
    let bench = Bench::start(db).await;
    for (name, kind) in [
        ("claude", "anthropic"),
        ("eu", "anthropic"),
        ("openai", "openai"),
        ("local", "openai-compatible"),
    ] {
        bench.provider(name, kind).await;
    }
    bench
}

fn route(name: &str, model: &str) -> Value {
    json!({"name": name, "provider": "claude", "model": model, "targets": [{"provider": "claude"}]})
}

async fn make(bench: &Bench, body: Value) -> Value {
    bench.post(&bench.owner, PATH, body).await.expect(201).value()
}

async fn count(bench: &Bench) -> usize {
    bench.get(&bench.owner, PATH).await.expect(200).value()["routes"]
        .as_array()
        .unwrap()
        .len()
}

async fn provider_id(bench: &Bench, name: &str) -> ProviderId {
    let provider = bench
        .get(&bench.owner, &format!("/ai-gateway/providers/{name}"))
        .await
        .expect(200)
        .value();
    text(&provider["id"]).parse().unwrap()
}

both_engines! {
    async fn the_shape_of_a_route(db: TestDb) {
        let bench = start(db).await;
        let eu = provider_id(&bench, "eu").await;
        let body = json!({"name": "Sonnet", "provider": "claude", "model": "claude-sonnet-*",
            "targets": [{"provider": "claude", "weight": 9}, {"provider": eu, "model": "claude-sonnet-5"}],
            "fallbacks": [{"provider": "EU", "model": "claude-haiku-4-5"}]});
        let made = make(&bench, body).await;
        let ids = ["/id", "/provider/id", "/targets/0/provider/id", "/targets/1/provider/id", "/fallbacks/0/provider/id"];
        insta::assert_json_snapshot!(masked(&made, &ids), @r#"
        {
          "created_at": "2026-11-24T09:30:00.000000Z",
          "enabled": true,
          "fallbacks": [
            {
              "model": "claude-haiku-4-5",
              "provider": {
                "id": "[…]",
                "name": "eu"
              }
            }
          ],
          "id": "[…]",
          "model": "claude-sonnet-*",
          "name": "sonnet",
          "provider": {
            "id": "[…]",
            "name": "claude"
          },
          "targets": [
            {
              "model": null,
              "provider": {
                "id": "[…]",
                "name": "claude"
              },
              "weight": 9
            },
            {
              "model": "claude-sonnet-5",
              "provider": {
                "id": "[…]",
                "name": "eu"
              },
              "weight": 1
            }
          ],
          "updated_at": "2026-11-24T09:30:00.000000Z"
        }
        "#);
        assert_eq!(text(&made["targets"][1]["provider"]["id"]), eu.to_string());
        for name in ["sonnet", "SONNET", made["id"].as_str().unwrap()] {
            assert_eq!(bench.get(&bench.owner, &format!("{PATH}/{name}")).await.expect(200).value(), made);
        }
        assert_eq!(bench.get(&bench.owner, PATH).await.expect(200).value(), json!({"routes": [made], "next": null}));
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = start(db).await;
        let with = |field: &str, value: Value| {
            let mut body = route("a", "m");
            body[field] = value;
            body
        };
        let many = |count: usize| vec![json!({"provider": "claude"}); count];
        for (body, field) in [
            (with("model", json!("")), "model"),
            (with("model", json!("m".repeat(257))), "model"),
            (with("model", json!("a\nb")), "model"),
            (with("model", json!("a*b")), "model"),
            (with("model", json!("a**")), "model"),
            (with("targets", json!([])), "targets"),
            (with("targets", json!(many(17))), "targets"),
            (with("targets", json!([{"provider": "claude", "weight": 0}])), "targets[0].weight"),
            (with("targets", json!([{"provider": "claude"}, {"provider": "claude", "weight": 1001}])), "targets[1].weight"),
            (with("targets", json!([{"provider": "claude", "weight": -1}])), "targets[0].weight"),
            (with("targets", json!([{"provider": "claude", "model": ""}])), "targets[0].model"),
            (with("targets", json!([{"provider": "claude", "model": "a*"}])), "targets[0].model"),
            (with("targets", json!([{"model": "a"}])), "targets[0].provider"),
            (with("fallbacks", json!(many(17))), "fallbacks"),
            (with("fallbacks", json!([{"provider": "claude", "model": "m".repeat(257)}])), "fallbacks[0].model"),
            (with("fallbacks", json!([{"provider": "claude", "weight": 2}])), "fallbacks[0].weight"),
            (with("enabled", json!("yes")), "enabled"),
            (with("id", json!("x")), "id"),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        let answer = bench.post(&bench.owner, PATH, json!({"name": "a b", "provider": "claude", "model": "", "targets": []})).await;
        assert_eq!(problem(&answer, 400, "invalid_name"), ["name", "model", "targets"]);
        for (body, fields) in [
            (with("provider", json!("gone")), vec!["provider"]),
            (with("provider", json!("openai")), vec!["targets[0].provider"]),
            (with("targets", json!([{"provider": "claude"}, {"provider": "openai"}, {"provider": ""}])), vec!["targets[1].provider", "targets[2].provider"]),
            (with("fallbacks", json!([{"provider": "local"}])), vec!["fallbacks[0].provider"]),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 409, "route_providers_unfit"), fields, "{body}");
        }
        assert_eq!(count(&bench).await, 0);

        let most = json!({"name": "most", "provider": "openai", "model": "m".repeat(256), "enabled": false,
            "targets": vec![json!({"provider": "local", "weight": 1000}); 16], "fallbacks": vec![json!({"provider": "openai"}); 16]});
        let most = make(&bench, most).await;
        assert_eq!((most["targets"].as_array().unwrap().len(), most["fallbacks"].as_array().unwrap().len()), (16, 16));
        problem(&bench.post(&bench.owner, PATH, route("MOST", "m")).await, 409, "name_taken");
    }

    async fn a_patch_changes_what_it_names(db: TestDb) {
        let bench = start(db).await;
        let mut made = make(&bench, route("sonnet", "a")).await;
        let path = format!("{PATH}/sonnet");
        assert_eq!(bench.patch(&bench.owner, &path, json!({})).await.expect(200).value(), made);
        for (body, field) in [
            (json!({"enabled": false, "model": "a*b"}), "model"),
            (json!({"enabled": false, "targets": []}), "targets"),
            (json!({"enabled": false, "fallbacks": [{"provider": "claude", "model": ""}]}), "fallbacks[0].model"),
            (json!({"enabled": false, "name": "other"}), "name"),
        ] {
            let answer = bench.patch(&bench.owner, &path, body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        let answer = bench.patch(&bench.owner, &path, json!({"enabled": false, "provider": "openai"})).await;
        assert_eq!(problem(&answer, 409, "route_providers_unfit"), ["targets[0].provider"]);
        assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value(), made, "nothing of it was done");

        let off = bench.patch(&bench.owner, &path, json!({"enabled": false})).await.expect(200).value();
        made["enabled"] = json!(false);
        assert_eq!(off, made);
        let fallbacks = json!({"fallbacks": [{"provider": "eu"}], "model": "b*"});
        let changed = bench.patch(&bench.owner, &path, fallbacks).await.expect(200).value();
        assert_eq!((&changed["fallbacks"][0]["provider"]["name"], &changed["model"]), (&json!("eu"), &json!("b*")));
        let none = bench.patch(&bench.owner, &path, json!({"fallbacks": []})).await.expect(200).value();
        assert_eq!((&none["fallbacks"], &none["targets"]), (&json!([]), &made["targets"]));
        let whole = json!({"provider": "openai", "targets": [{"provider": "local", "model": "gpt-oss", "weight": 2}]});
        let moved = bench.patch(&bench.owner, &path, whole).await.expect(200).value();
        assert_eq!((&moved["provider"]["name"], &moved["targets"][0]["weight"]), (&json!("openai"), &json!(2)));
    }

    async fn deleted_is_gone_and_lets_its_providers_go(db: TestDb) {
        let bench = start(db).await;
        make(&bench, json!({"name": "one", "provider": "claude", "model": "*", "targets": [{"provider": "claude"}], "fallbacks": [{"provider": "eu"}]})).await;
        for name in ["claude", "eu"] {
            let answer = bench.delete(&bench.owner, &format!("/ai-gateway/providers/{name}")).await;
            problem(&answer, 409, "provider_in_use");
            assert_eq!(answer.value()["detail"], "these routes use the provider: one; change or delete them first");
        }
        bench.delete(&bench.owner, &format!("{PATH}/one")).await.expect(204);
        problem(&bench.delete(&bench.owner, &format!("{PATH}/one")).await, 404, "not_found");
        problem(&bench.patch(&bench.owner, &format!("{PATH}/one"), json!({"enabled": true})).await, 404, "not_found");
        assert_eq!(count(&bench).await, 0);
        bench.delete(&bench.owner, "/ai-gateway/providers/claude").await.expect(204);
    }

    async fn a_change_of_routes_reaches_replicas_before_the_answer(db: TestDb) {
        let bench = start(db).await;
        let (claude, eu) = (provider_id(&bench, "claude").await, provider_id(&bench, "eu").await);
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        let body = json!({"name": "sonnet", "provider": "claude", "model": "claude-sonnet-*",
            "targets": [{"provider": "eu", "weight": 3}, {"provider": "claude", "model": "b"}], "fallbacks": [{"provider": "eu", "model": "c"}]});
        let made = make(&bench, body).await;
        let sent = replica.configuration().await;
        let target = |provider, model: Option<&str>, weight| RouteTarget { provider, model: model.map(str::to_owned), weight };
        let expected = RouteConfig {
            id: text(&made["id"]).parse().unwrap(),
            provider: claude,
            model: "claude-sonnet-*".to_owned(),
            targets: vec![target(eu, None, 3), target(claude, Some("b"), 1)],
            fallbacks: vec![target(eu, Some("c"), 1)],
        };
        assert_eq!(sent.routes, [expected]);

        bench.patch(&bench.owner, &format!("{PATH}/sonnet"), json!({"enabled": false})).await.expect(200);
        let off = replica.configuration().await;
        assert_eq!((off.routes.len(), off.version), (0, sent.version + 1), "only what is in force is sent");
        let mut models = Vec::new();
        for (name, model) in [("all", "*"), ("short", "claude-*"), ("exact", "claude-sonnet-5"), ("long", "claude-sonnet-*")] {
            make(&bench, route(name, model)).await;
            models = replica.configuration().await.routes.iter().map(|route| route.model.clone()).collect();
        }
        assert_eq!(models, ["claude-sonnet-5", "claude-sonnet-*", "claude-*", "*"], "the first that fits counts");
        bench.delete(&bench.owner, &format!("{PATH}/exact")).await.expect(204);
        assert_eq!(replica.configuration().await.routes.len(), 3);
    }
}
