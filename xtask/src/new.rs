//! `cargo xtask new`: the skeleton of what `docs/checklists.md` has checklists for. It compiles; its tests
//! fail until somebody fills them in.
//!
//! What is written where stands in `xtask/templates`; here are the words that are put into them.

mod plan;
mod words;

use anyhow::{Context as _, bail};
use plan::{Plan, Tree};
use std::ffi::OsString;
use std::process::ExitCode;
use words::{Words, camel, is_name, kebab, singular, snake};

const USAGE: &str = "\
Usage:
  cargo xtask new endpoint NOUN VERB             users suspend
  cargo xtask new provider NAME                  acme
  cargo xtask new metric gateway|control NAME    gateway lychgate_things_total
  cargo xtask new command NOUN                   budgets: with the verb list
  cargo xtask new command NOUN VERB              users export: another verb of a noun that is there
  cargo xtask new policy-setting GROUP.NAME      retry.jitter_percent";

/// Writes the skeleton, formats it, and prints what is left to do.
pub(crate) fn run(args: &[OsString]) -> anyhow::Result<ExitCode> {
    let args: Vec<_> = args.iter().map(|arg| arg.to_string_lossy()).collect();
    let args: Vec<&str> = args.iter().map(AsRef::as_ref).collect();
    if args.iter().any(|arg| ["--help", "-h"].contains(arg)) {
        crate::say(USAGE);
        return Ok(ExitCode::SUCCESS);
    }
    let mut tree = Tree::of(crate::root());
    let plan = plan(&args, &tree)?;
    plan.apply(&mut tree)?;
    for path in tree.write()? {
        crate::say(&path.display().to_string());
    }
    crate::run_quietly(crate::cargo().args(["fmt", "--all"])).context("the skeleton is written, but not formatted")?;
    crate::say(&format!("\n{}", plan.next_steps()));
    Ok(ExitCode::SUCCESS)
}

/// What the arguments ask for.
fn plan(args: &[&str], tree: &Tree) -> anyhow::Result<Plan> {
    let (template, words) = match args {
        ["endpoint", noun, verb] => (include_str!("../templates/endpoint.txt"), endpoint(noun, verb, tree)?),
        ["provider", name] => (include_str!("../templates/provider.txt"), provider(name)?),
        ["metric", "gateway", name] => (include_str!("../templates/metric_gateway.txt"), metric(name, tree)?),
        ["metric", "control", name] => (include_str!("../templates/metric_control.txt"), metric(name, tree)?),
        ["command", noun] => (include_str!("../templates/command.txt"), command(noun)?),
        ["command", noun, verb] => (
            include_str!("../templates/command_verb.txt"),
            command_verb(noun, verb, tree)?,
        ),
        ["policy-setting", name] => (
            include_str!("../templates/policy_setting.txt"),
            policy_setting(name, tree)?,
        ),
        [] => bail!("{USAGE}"),
        other => bail!("there is no skeleton for `{}`\n{USAGE}", other.join(" ")),
    };
    Plan::read(&words.fill(template)?)
}

/// Operations and paths of a noun that is there already begin like its others.
fn endpoint(noun: &str, verb: &str, tree: &Tree) -> anyhow::Result<Words> {
    check(noun, "-_")?;
    check(verb, "-_")?;
    let (module, verb) = (snake(noun), snake(verb));
    let router = tree.read("crates/control/src/api/router.rs")?;
    let listing = tree.read(&format!("crates/control/src/api/routes/{module}/list.rs"));
    let item = words::operation_prefix(&router, &module).unwrap_or_else(|| singular(&module));
    let path = listing.ok().and_then(|text| words::quoted_after(&text, "path = "));
    let path = path.unwrap_or_else(|| format!("/{}", kebab(&module)));
    let (method, of_item, more) = match verb.as_str() {
        "create" => ("post", false, String::new()),
        "list" => ("get", false, String::new()),
        "get" => ("get", true, String::new()),
        "update" => ("patch", true, String::new()),
        "delete" => ("delete", true, String::new()),
        other => ("post", true, format!("/{}", kebab(other))),
    };
    let parameter = singular(&module);
    let path = if of_item {
        format!("{path}/{{{parameter}}}{more}")
    } else {
        path
    };
    let mut words = Words::default();
    words.set("module", &module).set("verb", &verb).set("item", &item);
    words
        .set("parameter", &parameter)
        .set("method", method)
        .set("METHOD", &method.to_uppercase());
    words
        .set("path", &path)
        .set("try", &path.replace(&format!("{{{parameter}}}"), "nobody"));
    words.set("Noun", &capital(&noun.replace(['-', '_'], " ")));
    words.flag("of_item", of_item).flag("of_all", !of_item);
    Ok(words)
}

fn provider(name: &str) -> anyhow::Result<Words> {
    check(name, "-")?;
    let mut words = Words::default();
    words
        .set("name", name)
        .set("module", &snake(name))
        .set("Variant", &camel(name));
    words.set("Name", &capital(&name.replace('-', " ")));
    Ok(words)
}

fn metric(name: &str, tree: &Tree) -> anyhow::Result<Words> {
    check(name, "_")?;
    let list = tree.read("crates/telemetry/src/metrics/list.rs")?;
    if list.contains(&format!("\"{name}\"")) {
        bail!("{name} is there already");
    }
    let Some(short) = name.strip_prefix("lychgate_") else {
        bail!("the names of our metrics begin with lychgate_");
    };
    let counts = short.ends_with("_total");
    let field = short.trim_end_matches("_total");
    let mut words = Words::default();
    words
        .set("name", name)
        .set("field", field)
        .set("Variant", &camel(field));
    words.set("Kind", if counts { "Counter" } else { "Gauge" });
    words.flag("counter", counts).flag("gauge", !counts);
    Ok(words)
}

fn command(noun: &str) -> anyhow::Result<Words> {
    check(noun, "-")?;
    let mut words = Words::default();
    words
        .set("name", noun)
        .set("module", &snake(noun))
        .set("Variant", &camel(noun));
    words.set("nouns", &noun.replace('-', " "));
    Ok(words)
}

/// A verb of a noun that is there, and has not got it.
fn command_verb(noun: &str, verb: &str, tree: &Tree) -> anyhow::Result<Words> {
    check(verb, "-")?;
    let mut words = command(noun)?;
    let path = format!("crates/lychgate/src/commands/{}.rs", snake(noun));
    let text = tree
        .read(&path)
        .with_context(|| format!("there is no noun `{noun}`: make it with `cargo xtask new command {noun}`"))?;
    if text.contains(&format!("Command::{} ", camel(verb))) {
        bail!("`{noun} {verb}` is there already: {path}");
    }
    if !text.contains("match args.command {") {
        bail!("{path} has one verb and no `match args.command {{`: give it one first");
    }
    words
        .set("verb", verb)
        .set("Verb", &camel(verb))
        .set("verb_module", &snake(verb));
    Ok(words)
}

fn policy_setting(name: &str, tree: &Tree) -> anyhow::Result<Words> {
    let Some((group, field)) = name.split_once('.') else {
        bail!("write the setting's group and name, for example retry.jitter_percent");
    };
    check(field, "_")?;
    // Its types, what its fields begin with in the message, and which setting follows it in the list of all.
    let (group_type, change, prefix, next) = match group {
        "retry" => ("RetryPolicy", "RetryChange", "retry_", "timeouts.connect_ms"),
        "timeouts" => ("Timeouts", "TimeoutsChange", "", "breaker.failures"),
        "breaker" => ("BreakerPolicy", "BreakerChange", "breaker_", "relay.stream_usage"),
        "relay" => ("RelayPolicy", "RelayChange", "relay_", "key_cooldown_seconds"),
        _ => bail!("the groups of settings are retry, timeouts, breaker and relay"),
    };
    let proto = tree.read("crates/link/proto/link.proto")?;
    let tag = words::next_tag(&proto, "message Policy {").context("link.proto has no message Policy")?;
    let mut words = Words::default();
    words.flag("breaker", group == "breaker");
    words
        .set("name", name)
        .set("group", group)
        .set("field", field)
        .set("Group", group_type)
        .set("Change", change);
    words
        .set("message_field", &format!("{prefix}{field}"))
        .set("next", next)
        .set("tag", &tag.to_string());
    Ok(words)
}

fn check(name: &str, separators: &str) -> anyhow::Result<()> {
    if !is_name(name, separators) {
        bail!("{name}: write lower-case letters and digits, with {separators:?} between words");
    }
    Ok(())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The skeletons fit into the tree as it is: every anchor is there once, and what comes of it parses.
    #[test]
    fn every_skeleton_fits_into_the_tree() {
        for (args, files) in [
            (&["endpoint", "users", "export"][..], 5),
            (&["endpoint", "keys", "probe"], 5),
            (&["endpoint", "made-up-things", "list"], 6),
            (&["provider", "made-up"], 4),
            (&["metric", "gateway", "lychgate_made_up_total"], 4),
            (&["metric", "gateway", "lychgate_made_up"], 3),
            (&["metric", "control", "lychgate_made_up_total"], 4),
            (&["metric", "control", "lychgate_made_up"], 3),
            (&["command", "made-up"], 7),
            (&["command", "users", "export"], 4),
            (&["policy-setting", "retry.made_up"], 6),
            (&["policy-setting", "timeouts.made_up_ms"], 6),
            (&["policy-setting", "breaker.made_up"], 7),
        ] {
            let mut tree = Tree::of(crate::root());
            let plan = plan(args, &tree).unwrap();
            plan.apply(&mut tree)
                .unwrap_or_else(|error| panic!("{args:?}: {error:#}"));
            assert_eq!(tree.changed().count(), files, "{args:?}");
            for (path, text) in tree.changed() {
                assert!(!text.contains("@@"), "{args:?}: {}", path.display());
                if path.extension().is_some_and(|extension| extension == "rs") {
                    syn::parse_file(text)
                        .unwrap_or_else(|error| panic!("{args:?}: {}: {error}\n{text}", path.display()));
                }
            }
            assert!(!plan.next_steps().is_empty());
        }
    }

    #[test]
    fn an_endpoint_is_named_like_the_others_of_its_noun() {
        let tree = Tree::of(crate::root());
        for (noun, verb, operation, method, path) in [
            ("users", "export", "user_export", "post", "/users/{user}/export"),
            (
                "keys",
                "probe",
                "ai_gateway_key_probe",
                "post",
                "/ai-gateway/keys/{key}/probe",
            ),
            ("made-up-things", "list", "made_up_thing_list", "get", "/made-up-things"),
            ("policies", "delete", "policy_delete", "delete", "/policies/{policy}"),
        ] {
            let words = endpoint(noun, verb, &tree).unwrap();
            let told = words.fill("@@item@@_@@verb@@ @@method@@ @@path@@").unwrap();
            assert_eq!(told, format!("{operation} {method} {path}\n"));
        }
    }

    #[test]
    fn what_is_no_name_or_no_skeleton_is_refused() {
        let tree = Tree::of(crate::root());
        for (args, told) in [
            (&[][..], "Usage"),
            (&["endpoint", "users"], "Usage"),
            (&["provider", "Acme"], "Acme: write lower-case"),
            (&["provider", "../x"], "write lower-case"),
            (&["metric", "gateway", "things_total"], "lychgate_"),
            (
                &["metric", "gateway", "lychgate_requests_refused_total"],
                "is there already",
            ),
            (&["query", "users"], "no skeleton for `query users`"),
            (&["policy-setting", "jitter"], "group"),
            (&["policy-setting", "other.jitter"], "groups of settings"),
        ] {
            let error = plan(args, &tree).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(told), "{args:?}: {error}");
        }
        let mut tree = tree;
        let there = plan(&["endpoint", "users", "get"], &tree).unwrap();
        let error = there.apply(&mut tree).unwrap_err().to_string();
        assert!(error.contains("is there already"), "{error}");
    }
}
