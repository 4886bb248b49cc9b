//! The options of the roles. They are plain text here: `config` adds the environment and the file, and parses the values, so
//! that all invalid settings are reported at once.

use clap::Args;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of every role.
#[derive(Debug, Args)]
pub(crate) struct CommonArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", display_order = 900)]
    pub(crate) config: Option<PathBuf>,
    /// Log level: error, warn, info, debug or trace, or one per crate, such as info,lychgate_gateway=debug. Logs go to standard
    /// error
    #[arg(long, value_name = "LEVEL", display_order = 901)]
    pub(crate) log: Option<String>,
    /// Log format: text or json [default: text]
    #[arg(long, value_name = "FORMAT", display_order = 902)]
    pub(crate) log_format: Option<String>,
}

/// `lychgate server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// Address and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// The database.
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// File with the master key, 64 hexadecimal digits, which encrypts provider keys in the database. LYCHGATE_MASTER_KEY can
    /// hold the key itself [default: master-key in the data directory, created on the first start]
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<String>,
    /// File with the token to give to the first owner of an empty database. LYCHGATE_BOOTSTRAP_TOKEN can hold the token itself
    /// [default: a new token, written to owner-token in the data directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) bootstrap_token_file: Option<String>,
    /// The proxies in front.
    #[command(flatten)]
    pub(crate) proxies: TrustedProxyArgs,
    /// Do not record content (prompts, tool arguments, thoughts), only token counts and metadata
    #[arg(long)]
    pub(crate) no_content_capture: bool,
    /// How long requests in flight may continue after SIGTERM or SIGINT, while new ones are refused. What has not ended then, or at
    /// a second signal, is cut off and recorded as gateway_stopped [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) drain_timeout: Option<String>,
    /// What is taken from clients.
    #[command(flatten)]
    pub(crate) inbound: InboundArgs,
    /// How providers are reached.
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
    /// The spool.
    #[command(flatten)]
    pub(crate) spool: SpoolArgs,
    /// The metrics.
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    /// The access log.
    #[command(flatten)]
    pub(crate) access_log: AccessLogArgs,
    /// Options of every role.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `lychgate migrate`, and a part of `lychgate server`.
#[derive(Debug, Args)]
pub(crate) struct DatabaseArgs {
    /// Database URL, postgres://… or sqlite:///PATH. If it contains a password, use the environment or --database-url-file
    /// instead [default: SQLite in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// File with the database URL
    #[arg(long, value_name = "FILE")]
    pub(crate) database_url_file: Option<String>,
    /// Directory for the SQLite database, the master key and the first owner's token [default: ./lychgate-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
}

/// `lychgate migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The database.
    #[command(flatten)]
    pub(crate) database: DatabaseArgs,
    /// Options of every role.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `lychgate gateway`.
#[derive(Debug, Args)]
pub(crate) struct GatewayArgs {
    /// Control plane URL, http://… or https://…; repeat it for control planes that share a database
    #[arg(long, value_name = "URL")]
    pub(crate) control_url: Vec<String>,
    /// Gateway key. Other users of this machine can see it in the process list: prefer --key-file or LYCHGATE_KEY
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// File with the gateway key. When the file changes, the replica switches to the new key without a restart
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<String>,
    /// Address and port to listen on [default: 127.0.0.1:4001]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Name of this replica in listings and logs [default: the host name]
    #[arg(long, value_name = "TEXT")]
    pub(crate) name: Option<String>,
    /// Address at which clients reach this replica, shown in listings [default: the listen address]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// How long to keep serving known tokens while no control plane can be reached; each works for 15 minutes after it was last looked up, so
    /// longer adds nothing [default: 15m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) max_offline: Option<String>,
    /// Whether a replica that starts while no control plane can be reached serves known tokens too: true or false
    /// [default: true]
    #[arg(long, value_name = "BOOL")]
    pub(crate) offline_start: Option<String>,
    /// The proxies in front.
    #[command(flatten)]
    pub(crate) proxies: TrustedProxyArgs,
    /// Label to show in listings; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// How long requests in flight may continue after SIGTERM or SIGINT, while new ones are refused. What has not ended then, or at
    /// a second signal, is cut off and recorded as gateway_stopped [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub(crate) drain_timeout: Option<String>,
    /// What is taken from clients.
    #[command(flatten)]
    pub(crate) inbound: InboundArgs,
    /// How providers are reached.
    #[command(flatten)]
    pub(crate) upstream: UpstreamArgs,
    /// The spool.
    #[command(flatten)]
    pub(crate) spool: SpoolArgs,
    /// The metrics.
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
    /// The access log.
    #[command(flatten)]
    pub(crate) access_log: AccessLogArgs,
    /// Options of every role.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// Whose word for a client's address is taken.
#[derive(Debug, Args)]
pub(crate) struct TrustedProxyArgs {
    /// Address or network of a proxy in front of this listener; repeat it for several. The address of a client or replica is then taken
    /// from X-Forwarded-For, for the share that strangers of one address get, for the networks that a gateway key is limited to and
    /// for the logs [default: none is trusted]
    #[arg(long, value_name = "CIDR")]
    pub(crate) trusted_proxy: Vec<String>,
}

/// What a data plane takes from clients.
#[derive(Debug, Args)]
pub(crate) struct InboundArgs {
    /// Largest request body, 64KiB to 128MiB [default: 32MiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_body_bytes: Option<String>,
    /// Largest head of a request, 8KiB to 1MiB; over HTTP/2 at most 64KiB [default: 256KiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_head_bytes: Option<String>,
    /// Origin whose pages may send AI requests from a browser, for example https://app.example.com, or * for any; repeat it for several
    /// [default: none]
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) cors_origin: Vec<String>,
}

/// How a data plane reaches providers.
#[derive(Debug, Args)]
pub(crate) struct UpstreamArgs {
    /// File with CA certificates (PEM) to trust for providers, in addition to the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) provider_ca_file: Option<String>,
}

/// Where a data plane keeps records until the control plane has acknowledged them.
#[derive(Debug, Args)]
pub(crate) struct SpoolArgs {
    /// Directory for records that the control plane has not acknowledged yet; not shared between processes [default:
    /// ./lychgate-spool, or spool in the server's data directory]
    #[arg(long, value_name = "DIR")]
    pub(crate) spool_dir: Option<String>,
    /// Maximum size of the spool, for example 512MiB [default: 1GiB]
    #[arg(long, value_name = "BYTES")]
    pub(crate) spool_max_bytes: Option<String>,
    /// When records are flushed to disk. `interval`: every 100 ms; they survive a crash of the process, but not a power failure. `always`:
    /// before a response ends; they survive a power failure too, at the cost of latency [default: interval]
    #[arg(long, value_name = "WHEN")]
    pub(crate) spool_sync: Option<String>,
    /// What to do with requests while the spool is full: `refuse` them, or serve them `unrecorded` [default: refuse]
    #[arg(long, value_name = "ACTION")]
    pub(crate) spool_full: Option<String>,
}

/// Where the metrics are.
#[derive(Debug, Args)]
pub(crate) struct MetricsArgs {
    /// Address and port to serve Prometheus metrics on, at /metrics, for example 127.0.0.1:9464. Anyone who can connect can
    /// read them [default: metrics are not served]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) metrics_listen: Option<String>,
}

/// Where the access log goes.
#[derive(Debug, Args)]
pub(crate) struct AccessLogArgs {
    /// File for a JSON line about each request, or - for standard output (docs/access-log.md) [default: none is written]
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub(crate) access_log: Option<String>,
}

/// `lychgate dev`.
#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Directory for everything that is kept between runs [default: ./lychgate-dev]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<String>,
    /// Address and port of the control plane [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) listen: Option<String>,
    /// Address and port of the replica [default: 127.0.0.1:4001]
    #[arg(long, value_name = "IP:PORT")]
    pub(crate) gateway_listen: Option<String>,
    /// Options of every role.
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// The sections of the configuration file and the keys of each: the roles and their options.
pub(crate) fn configuration_keys() -> BTreeMap<String, Vec<String>> {
    [
        section::<ServerArgs>("server"),
        section::<GatewayArgs>("gateway"),
        section::<DevArgs>("dev"),
    ]
    .into()
}

fn section<A: Args>(name: &str) -> (String, Vec<String>) {
    let role = A::augment_args(clap::Command::new(name.to_owned()));
    let options = role.get_arguments().filter_map(|arg| arg.get_long());
    let keys = options.filter(|option| *option != "config").map(str::to_owned);
    (name.to_owned(), keys.collect())
}

#[cfg(test)]
mod tests {
    use super::configuration_keys;

    #[test]
    fn the_keys_of_the_file_are_the_options_of_the_roles() {
        let keys = configuration_keys();
        assert_eq!(
            keys["dev"],
            ["data-dir", "listen", "gateway-listen", "log", "log-format"]
        );
        assert_eq!(
            keys["gateway"],
            [
                "control-url",
                "key",
                "key-file",
                "listen",
                "name",
                "advertise",
                "max-offline",
                "offline-start",
                "trusted-proxy",
                "label",
                "drain-timeout",
                "max-body-bytes",
                "max-head-bytes",
                "cors-origin",
                "provider-ca-file",
                "spool-dir",
                "spool-max-bytes",
                "spool-sync",
                "spool-full",
                "metrics-listen",
                "access-log",
                "log",
                "log-format"
            ]
        );
        assert_eq!(
            keys["server"],
            [
                "listen",
                "database-url",
                "database-url-file",
                "data-dir",
                "master-key-file",
                "bootstrap-token-file",
                "trusted-proxy",
                "no-content-capture",
                "drain-timeout",
                "max-body-bytes",
                "max-head-bytes",
                "cors-origin",
                "provider-ca-file",
                "spool-dir",
                "spool-max-bytes",
                "spool-sync",
                "spool-full",
                "metrics-listen",
                "access-log",
                "log",
                "log-format"
            ]
        );
    }
}
