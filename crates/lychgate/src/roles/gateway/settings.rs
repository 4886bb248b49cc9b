//! The settings of `lychgate gateway`.

use super::super::args::{GatewayArgs, configuration_keys};
use super::super::inbound::InboundSettings;
use super::super::net::{Listen, host_name, read_trusted_proxies};
use super::super::upstream::UpstreamSettings;
use super::super::{LogSettings, access_log, metrics, read_log, spool};
use crate::config::duration::Span;
use crate::config::{Environment, FileAccess, Given, SecretFlags, Settings};
use crate::failure::{Failure, Outcome};
use lychgate_gateway::SpoolOptions;
use lychgate_types::Cidr;
use lychgate_types::secret::{CredentialError, GatewayKeySecret};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The settings of a replica.
#[derive(Debug)]
pub(crate) struct GatewaySettings {
    /// Where to listen.
    pub(crate) listen: Listen,
    /// The control planes' addresses, at least one.
    pub(crate) control_urls: Vec<String>,
    /// The gateway key.
    pub(crate) key: GatewayKeySecret,
    /// The file that it was read from, to be followed.
    pub(crate) key_file: Option<PathBuf>,
    /// The replica's name.
    pub(crate) name: String,
    /// Where clients reach it; `None`: where it listens.
    pub(crate) advertise: Option<String>,
    /// The operator's own labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// How long requests in flight may continue after a stop was requested; `None`: the default.
    pub(crate) drain_timeout: Option<Duration>,
    /// What is taken from clients.
    pub(crate) inbound: InboundSettings,
    /// How providers are reached.
    pub(crate) upstream: UpstreamSettings,
    /// Where records wait.
    pub(crate) spool: SpoolOptions,
    /// How long known tokens are served while no control plane can be reached; `None`: the default.
    pub(crate) max_offline: Option<Duration>,
    /// Whether that applies to a replica that starts meanwhile, too.
    pub(crate) offline_start: bool,
    /// The proxies in front.
    pub(crate) trusted_proxies: Arc<[Cidr]>,
    /// Where a line about each request goes.
    pub(crate) access_log: Option<Given>,
}

/// What the process needs beside its replica.
#[derive(Debug)]
pub(super) struct ProcessSettings {
    pub(super) metrics: Option<Listen>,
    pub(super) log: LogSettings,
}

/// Reads the settings from all layers; reports all problems together.
pub(super) fn read(args: GatewayArgs, environment: &Environment) -> Outcome<(GatewaySettings, ProcessSettings)> {
    let mut settings = Settings::load(
        "gateway",
        args.common.config.clone(),
        environment.clone(),
        &configuration_keys(),
    );
    let listen = settings.value("listen", args.listen).unwrap_or(Listen::local(4001));
    let control_urls = settings.list("control-url", args.control_url);
    let flags = SecretFlags {
        value: args.key,
        file: args.key_file,
        access: FileAccess::Any,
    };
    let problems = settings.problem_count();
    let key = settings.secret_and_file("key", "key-file", flags, parse_key);
    if key.is_none() && settings.problem_count() == problems {
        settings.problem(
            "no gateway key: use --key-file, LYCHGATE_KEY_FILE or LYCHGATE_KEY; \
             create one with `lychgate keys create NAME --out FILE`",
        );
    }
    let name = settings
        .text("name", args.name)
        .map_or_else(host_name, |given| given.text);
    let advertise = settings.text("advertise", args.advertise);
    if let Some(given) = advertise.as_ref().filter(|given| !is_host_and_port(&given.text)) {
        settings.problem(format!(
            "{}: `{}`: write HOST:PORT, for example gw-1.example.com:443",
            given.origin, given.text
        ));
    }
    let mut labels = BTreeMap::new();
    for given in settings.list("label", args.label) {
        match given.text.split_once('=') {
            Some((key, value)) if !key.is_empty() => {
                if labels.insert(key.to_owned(), value.to_owned()).is_some() {
                    settings.problem(format!("{}: the label `{key}` is given twice", given.origin));
                }
            }
            _ => settings.problem(format!("{}: `{}`: write KEY=VALUE", given.origin, given.text)),
        }
    }
    for given in &control_urls {
        if let Err(why) = control_address(&given.text) {
            settings.problem(format!("{}: {why}", given.origin));
        }
    }
    if control_urls.is_empty() {
        settings
            .problem("no control plane: use --control-url or LYCHGATE_CONTROL_URL, for example http://127.0.0.1:8080");
    }
    let drain_timeout = settings.value::<Span>("drain-timeout", args.drain_timeout);
    let inbound = InboundSettings::read(&mut settings, args.inbound);
    let upstream = UpstreamSettings::read(&mut settings, args.upstream, environment);
    let max_offline = settings.value::<Span>("max-offline", args.max_offline);
    let offline_start = settings.value("offline-start", args.offline_start).unwrap_or(true);
    let trusted_proxies = read_trusted_proxies(&mut settings, args.proxies);
    let spool = spool::read(&mut settings, args.spool, "./lychgate-spool");
    let metrics = metrics::read(&mut settings, args.metrics);
    let access_log = access_log::read(&mut settings, args.access_log);
    let log = read_log(&mut settings, args.common, false);
    settings.finish()?;
    let Some((key, key_file)) = key else {
        return Err(Failure::Usage("the gateway key is needed".to_owned()));
    };
    let advertise = advertise.map(|given| given.text);
    Ok((
        GatewaySettings {
            listen,
            control_urls: control_urls.into_iter().map(|given| given.text).collect(),
            key,
            key_file,
            name,
            advertise,
            labels,
            drain_timeout: drain_timeout.map(|Span(time)| time),
            inbound,
            upstream,
            spool,
            max_offline: max_offline.map(|Span(time)| time),
            offline_start,
            trusted_proxies,
            access_log,
        },
        ProcessSettings { metrics, log },
    ))
}

/// Reads a gateway key; the error does not repeat it.
pub(crate) fn parse_key(text: &str) -> Result<GatewayKeySecret, String> {
    GatewayKeySecret::parse(text).map_err(|why| match why {
        CredentialError::Prefix { .. } if text.starts_with("lgu_") => {
            "this is a user token, which a replica can't use; create a gateway key with `lychgate keys create NAME`"
                .to_owned()
        }
        why => format!("not a gateway key: {why}"),
    })
}

/// The link checks the same and more; this check reports it together with all other problems.
fn control_address(text: &str) -> Result<(), String> {
    match crate::client::server_url(text)?.path() {
        "/" => Ok(()),
        _ => Err("must have no path".to_owned()),
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && !host.contains(['/', '@', ' ']) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests;
