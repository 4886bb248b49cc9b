//! `lychgate gateway`: one replica. `lychgate dev` runs the same [`Replica`] beside its control plane.

use super::args::{GatewayArgs, configuration_keys};
use super::key_file;
use super::net::{Listen, bind, host_name};
use super::upstream::UpstreamSettings;
use super::{LogSettings, STOP_LIMIT, VERSION, chain, metrics, read_log, spool};
use crate::config::duration::Span;
use crate::config::{Environment, FileAccess, SecretFlags, Settings};
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use crate::terminal::signals::Signals;
use lychgate_gateway::{Gateway, OfflineStart, Options, SpoolOptions};
use lychgate_link::client::GrpcLink;
use lychgate_types::Ambient;
use lychgate_types::secret::{CredentialError, GatewayKeySecret};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// What the role needs, read from all layers.
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
    /// How the replica is called.
    pub(crate) name: String,
    /// Where clients reach it; `None`: where it listens.
    pub(crate) advertise: Option<String>,
    /// The operator's own labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The way to providers.
    pub(crate) upstream: UpstreamSettings,
    /// Where records wait.
    pub(crate) spool: SpoolOptions,
    /// How long known tokens are served while no control plane can be reached; `None`: the default.
    pub(crate) max_offline: Option<Duration>,
    /// Whether that also goes for a replica that starts meanwhile.
    pub(crate) offline_start: bool,
}

/// What concerns the process, not the replica in it.
#[derive(Debug)]
struct OfProcess {
    metrics: Option<Listen>,
    log: LogSettings,
}

/// A running replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Where it listens.
    pub(crate) local_addr: SocketAddr,
    /// The data plane.
    pub(crate) gateway: Gateway,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    following: Option<JoinHandle<()>>,
}

/// Runs the role until a signal ends it.
pub(crate) async fn run(args: GatewayArgs, environment: &Environment) -> Outcome {
    let (settings, role) = read(args, environment)?;
    role.log.start()?;
    let signals = Signals::listen()?;
    let listener = bind("--listen", settings.listen)?;
    let metrics = metrics::Bound::bind(role.metrics)?;
    let replica = Replica::start(settings, listener, Ambient::system())?;
    let metrics = metrics.serve(replica.gateway.metrics_router());
    let listening = format!("listening on http://{}", replica.local_addr);
    let announced = metrics.announce().and_then(|()| output::line(&listening));
    if announced.is_ok() {
        signals.stop_asked().await;
    }
    replica.stop(STOP_LIMIT).await;
    metrics.stop().await;
    announced
}

impl Replica {
    /// Starts serving on the listener; attaches to the control plane in the background.
    pub(crate) fn start(settings: GatewaySettings, listener: TcpListener, ambient: Ambient) -> Outcome<Self> {
        let local_addr = listener.local_addr().map_err(Failure::failed)?;
        tracing::info!(
            prefix = settings.key.prefix(),
            "the gateway key that this replica shows"
        );
        let (give, key) = watch::channel(settings.key);
        let link = GrpcLink::new(&settings.control_urls, key.clone(), ambient.clone());
        let link = link.map_err(|why| Failure::Usage(chain(&why)))?;
        let address = settings.advertise.unwrap_or_else(|| local_addr.to_string());
        let defaults = Options::new(settings.name, address, VERSION);
        let options = Options {
            labels: settings.labels,
            spool: settings.spool,
            max_offline: settings.max_offline.unwrap_or(defaults.max_offline),
            offline: settings.offline_start.then_some(OfflineStart { key }),
            ..defaults
        };
        let options = settings.upstream.apply(options);
        let gateway = Gateway::start(options, Arc::new(link), ambient).map_err(|why| Failure::Failed(chain(&why)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(lychgate_gateway::serve(
            listener,
            gateway.front(gateway.standalone_router()),
            async {
                // Sent or dropped: either way it is to end.
                let _ = stopped.await;
            },
        ));
        let following = settings.key_file.map(|path| tokio::spawn(key_file::follow(path, give)));
        Ok(Self {
            local_addr,
            gateway,
            stop,
            serving,
            following,
        })
    }

    /// Takes no new request, lets those in flight end within the limit, hands over what is recorded.
    pub(crate) async fn stop(self, limit: Duration) {
        self.gateway.drain(limit).await;
        // The receiver is gone only when serving ended by itself.
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener's task failed");
        }
        self.gateway.close().await;
        if let Some(following) = self.following {
            following.abort();
        }
    }
}

fn read(args: GatewayArgs, environment: &Environment) -> Outcome<(GatewaySettings, OfProcess)> {
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
            "no gateway key: give its file with --key-file, or set LYCHGATE_KEY or LYCHGATE_KEY_FILE; \
             `lychgate keys create NAME --out FILE` makes one",
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
        settings.problem(
            "no control plane: give its address with --control-url or LYCHGATE_CONTROL_URL, for example http://127.0.0.1:8080",
        );
    }
    let upstream = UpstreamSettings::read(&mut settings, args.upstream, environment);
    let max_offline = settings.value::<Span>("max-offline", args.max_offline);
    let offline_start = settings.value("offline-start", args.offline_start).unwrap_or(true);
    let spool = spool::read(&mut settings, args.spool, "./lychgate-spool");
    let metrics = metrics::read(&mut settings, args.metrics);
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
            upstream,
            spool,
            max_offline: max_offline.map(|Span(time)| time),
            offline_start,
        },
        OfProcess { metrics, log },
    ))
}

pub(super) fn parse_key(text: &str) -> Result<GatewayKeySecret, String> {
    GatewayKeySecret::parse(text).map_err(|why| match why {
        CredentialError::Prefix { .. } if text.starts_with("lgu_") => {
            "this is a user's token, which does not let a replica in; `lychgate keys create NAME` makes a gateway key"
                .to_owned()
        }
        why => format!("not a gateway key: {why}"),
    })
}

/// The link asks the same of an address and more; asked here, so that it is told with all other problems.
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
mod tests {
    use super::*;
    use clap::Parser;
    use lychgate_gateway::{SpoolFull, SpoolSync};

    fn settings(flags: &[&str], environment: &[(&str, &str)]) -> Result<GatewaySettings, String> {
        let line = ["lychgate", "gateway"].iter().chain(flags).copied();
        let crate::args::Command::Gateway(args) = crate::args::Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect();
        read(args, &environment)
            .map(|(settings, _)| settings)
            .map_err(|failure| failure.to_string())
    }

    #[test]
    fn all_that_is_missing_is_told_at_once() {
        let told = settings(&[], &[]).unwrap_err();
        assert!(
            told.contains("2 problems") && told.contains("--control-url") && told.contains("--key-file"),
            "{told}"
        );
        let flags = [
            "--listen",
            "x",
            "--label",
            "nothing",
            "--label",
            "a=1",
            "--label",
            "a=2",
            "--advertise",
            "h",
        ];
        let told = settings(
            &flags,
            &[("LYCHGATE_KEY", "lgu_canary"), ("LYCHGATE_CONTROL_URL", "ftp://h")],
        )
        .unwrap_err();
        assert!(told.contains("6 problems"), "{told}");
        assert!(told.contains("LYCHGATE_KEY: this is a user's token"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }

    #[test]
    fn what_is_wrong_with_the_way_to_providers_is_told() {
        let key = GatewayKeySecret::generate(&Ambient::system());
        let base = ["--control-url", "http://h:1", "--key", key.expose()];
        let with = |more: &[&str], environment: &[(&str, &str)]| settings(&[&base[..], more].concat(), environment);
        let told = with(&["--provider-ca-file", "/nowhere/ca.pem"], &[]).unwrap_err();
        assert!(
            told.contains("--provider-ca-file /nowhere/ca.pem: can't read"),
            "{told}"
        );
        let told = with(&["--provider-ca-file", "Cargo.toml"], &[]).unwrap_err();
        assert!(told.contains("contains no certificate"), "{told}");
        let told = with(&[], &[("HTTPS_PROXY", "socks5://user:canary@h:1")]).unwrap_err();
        assert!(told.contains("HTTPS_PROXY") && !told.contains("canary"), "{told}");
        let read = with(&[], &[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]).unwrap();
        let shown = format!("{read:?}");
        assert!(
            shown.contains("proxy.example:3128") && !shown.contains("canary"),
            "{shown}"
        );
    }

    #[test]
    fn how_long_it_goes_on_alone_is_set() {
        let key = GatewayKeySecret::generate(&Ambient::system());
        let base = ["--control-url", "http://h:1", "--key", key.expose()];
        let with = |more: &[&str]| settings(&[&base[..], more].concat(), &[]);
        let read = with(&[]).unwrap();
        assert_eq!((read.max_offline, read.offline_start), (None, true));
        let read = with(&["--max-offline", "1h", "--offline-start", "false"]).unwrap();
        assert_eq!(
            (read.max_offline, read.offline_start),
            (Some(Duration::from_secs(3600)), false)
        );
        let told = with(&["--max-offline", "1", "--offline-start", "maybe"]).unwrap_err();
        assert!(
            told.contains("2 problems") && told.contains("for example 30d"),
            "{told}"
        );
    }

    #[test]
    fn the_spool_is_set_and_what_is_wrong_with_it_is_told() {
        let key = GatewayKeySecret::generate(&Ambient::system());
        let base = ["--control-url", "http://h:1", "--key", key.expose()];
        let with = |more: &[&str]| settings(&[&base[..], more].concat(), &[]);
        let spool = with(&[]).unwrap().spool;
        assert_eq!(spool, SpoolOptions::new("./lychgate-spool"));
        let flags = [
            "--spool-dir",
            "/s",
            "--spool-max-bytes",
            "2MiB",
            "--spool-sync",
            "always",
            "--spool-full",
            "unrecorded",
        ];
        let spool = with(&flags).unwrap().spool;
        assert_eq!((spool.directory, spool.max_bytes), ("/s".into(), 2 << 20));
        assert_eq!(
            (spool.sync, spool.when_full),
            (SpoolSync::Always, SpoolFull::Unrecorded)
        );
        let told = with(&["--spool-max-bytes", "1KiB", "--spool-sync", "x", "--spool-full", "y"]).unwrap_err();
        assert!(told.contains("3 problems") && told.contains("at least 1MiB"), "{told}");
        assert!(
            told.contains("interval, always") && told.contains("refuse, unrecorded"),
            "{told}"
        );
    }

    #[test]
    fn everything_is_read() {
        let key = GatewayKeySecret::generate(&Ambient::system());
        let flags = [
            "--control-url",
            "http://h:1",
            "--control-url",
            "http://h:2",
            "--label",
            "region=eu",
            "--advertise",
            "gw:443",
            "--name",
            "a",
        ];
        let read = settings(
            &flags,
            &[("LYCHGATE_KEY", key.expose()), ("LYCHGATE_LISTEN", "127.0.0.1:5")],
        )
        .unwrap();
        assert_eq!(
            (read.listen, read.control_urls, read.name.as_str()),
            (
                Listen::local(5),
                vec!["http://h:1".to_owned(), "http://h:2".to_owned()],
                "a"
            )
        );
        assert_eq!(read.key_file, None);
        assert_eq!(
            (read.advertise.as_deref(), read.labels["region"].as_str()),
            (Some("gw:443"), "eu")
        );
        assert_eq!(read.key.hash(), key.hash());
    }
}
