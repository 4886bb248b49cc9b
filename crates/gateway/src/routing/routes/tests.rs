use super::*;
use crate::routing::provider::State;
use CredentialKind::{Byok, Centralized};
use lychgate_link::ProviderConfig;
use lychgate_types::clock::SystemClock;
use lychgate_types::provider::ProviderType;
use lychgate_types::random::SeededRandom;
use lychgate_types::{Name, RouteId};

fn provider(name: &str, provider_type: ProviderType, enabled: bool) -> Arc<Provider> {
    let config = ProviderConfig {
        id: Ambient::system().new_id(),
        name: Name::parse(name).unwrap(),
        provider_type,
        base_url: "https://h".into(),
        enabled,
        allow_private: false,
        settings: Default::default(),
        policy: Default::default(),
        keys: Vec::new(),
    };
    Arc::new(Provider::new(config, State::default()))
}

struct Shop {
    providers: Vec<Arc<Provider>>,
    ambient: Ambient,
}

impl Shop {
    /// `a` and `b` are OpenAI's, `c` is compatible, `d` is disabled, `e` is Anthropic's, `f` is Vertex AI's.
    fn new() -> Self {
        use ProviderType::{Anthropic, OpenAi, OpenAiCompatible, Vertex};
        let of = |(name, family, enabled)| provider(name, family, enabled);
        Self {
            providers: [
                ("a", OpenAi, true),
                ("b", OpenAi, true),
                ("c", OpenAiCompatible, true),
                ("d", OpenAi, false),
                ("e", Anthropic, true),
                ("f", Vertex, true),
            ]
            .map(of)
            .into(),
            ambient: Ambient::new(Arc::new(SystemClock), Arc::new(SeededRandom::new(11))),
        }
    }

    fn id(&self, name: &str) -> ProviderId {
        self.providers
            .iter()
            .find(|provider| provider.config.name.as_str() == name)
            .map_or_else(|| Ambient::system().new_id(), |provider| provider.config.id)
    }

    /// A target as `provider`, `provider:weight` or `provider=model`.
    fn target(&self, text: &str) -> RouteTarget {
        let (rest, weight) = text.split_once(':').unwrap_or((text, "1"));
        let (name, model) = rest
            .split_once('=')
            .map_or((rest, None), |(name, model)| (name, Some(model)));
        RouteTarget {
            provider: self.id(name),
            model: model.map(str::to_owned),
            weight: weight.parse().unwrap(),
        }
    }

    fn route(&self, model: &str, targets: &[&str], fallbacks: &[&str]) -> RouteConfig {
        RouteConfig {
            id: Ambient::system().new_id::<RouteId>(),
            provider: self.id("a"),
            model: model.into(),
            targets: targets.iter().map(|text| self.target(text)).collect(),
            fallbacks: fallbacks.iter().map(|text| self.target(text)).collect(),
        }
    }

    fn routes(&self, routes: &[RouteConfig]) -> Routes {
        let providers = self.providers.iter().map(|p| (p.config.id, Arc::clone(p))).collect();
        Routes::new(routes, &providers)
    }

    fn draw(&self, routes: &Routes, model: &str, credential: CredentialKind) -> Result<String, Refusal> {
        let drawn = routes.draw(&self.providers[0], model, credential, &self.ambient)?;
        let names: Vec<String> = (0..drawn.len())
            .filter_map(|index| drawn.get(index))
            .map(|candidate| {
                let name = candidate.provider.config.name.as_str();
                candidate
                    .model
                    .as_ref()
                    .map_or(name.to_owned(), |model| format!("{name}={model}"))
            })
            .collect();
        Ok(names.join(" "))
    }
}

#[test]
fn the_first_route_that_fits_counts() {
    let shop = Shop::new();
    let routes = shop.routes(&[
        shop.route("gpt-5", &["b"], &[]),
        shop.route("gpt-*", &["c=x"], &["a"]),
        shop.route("gpt-5*", &["b=never"], &[]),
    ]);
    for (model, wanted) in [
        ("gpt-5", "b"),
        ("gpt-5-mini", "c=x a"),
        ("gpt-", "c=x a"),
        ("gpt", "a"),
        ("", "a"),
    ] {
        assert_eq!(shop.draw(&routes, model, Centralized).unwrap(), wanted, "{model}");
    }
    let all = shop.routes(&[shop.route("*", &["b"], &[])]);
    assert_eq!(shop.draw(&all, "", Centralized).unwrap(), "b");
}

#[test]
fn what_cant_serve_is_passed_over() {
    let shop = Shop::new();
    let routes = shop.routes(&[shop.route("m", &["d", "b", "e"], &["nobody", "c", "b", "c=n"])]);
    assert_eq!(shop.draw(&routes, "m", Centralized).unwrap(), "b c c=n");
    let routes = shop.routes(&[shop.route("m", &["d"], &["e"])]);
    assert_eq!(shop.draw(&routes, "m", Centralized).unwrap_err().status, 503);
}

#[test]
fn with_ones_own_key_one_goes_to_nobody_else() {
    let shop = Shop::new();
    let routes = shop.routes(&[
        shop.route("m", &["b:9", "a=n", "c"], &["a", "b"]),
        shop.route("o", &["b"], &["c"]),
    ]);
    for _ in 0..32 {
        assert_eq!(shop.draw(&routes, "m", Byok).unwrap(), "a=n a");
    }
    assert_eq!(shop.draw(&routes, "o", Byok).unwrap(), "a");
}

#[test]
fn targets_are_drawn_by_weight_and_the_others_follow_heaviest_first() {
    let shop = Shop::new();
    let routes = shop.routes(&[shop.route("m", &["a:6", "b:1", "c:3"], &["b=late"])]);
    let mut counts: HashMap<String, u32> = HashMap::new();
    for _ in 0..10_000 {
        *counts.entry(shop.draw(&routes, "m", Centralized).unwrap()).or_default() += 1;
    }
    assert_eq!(counts.len(), 3, "{counts:?}");
    for (order, wanted) in [("a c b b=late", 6000), ("b a c b=late", 1000), ("c a b b=late", 3000)] {
        let count = counts[order];
        assert!(count.abs_diff(wanted) < 200, "{order}: {count}");
    }
}
