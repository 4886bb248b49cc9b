//! `lychgate server`: a control plane with its embedded gateway; and `lychgate migrate`, which uses the same database.

use super::args::{DatabaseArgs, MigrateArgs, ServerArgs, configuration_keys};
use super::inbound::InboundSettings;
use super::net::{Listen, bind, cant_listen, host_name, read_trusted_proxies, warn_of_clear_text};
use super::upstream::UpstreamSettings;
use super::{DRAIN_TIMEOUT, LogSettings, VERSION, access_log, data_dir, master_key, metrics, read_log, spool};
use crate::config::duration::Span;
use crate::config::{Environment, FileAccess, Given, SecretFlags, Settings};
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use crate::terminal::signals::Signals;
use lychgate_control::{Control, Options, StartError};
use lychgate_gateway::SpoolOptions;
use lychgate_store::{DatabaseUrl, Store};
use lychgate_telemetry::error::chain;
use lychgate_types::secret::{MasterKey, UserTokenSecret};
use lychgate_types::{Ambient, Cidr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What the role needs, read from all layers.
#[derive(Debug)]
struct ServerSettings {
    listen: Listen,
    database: DatabaseSettings,
    /// `None`: the data directory's.
    master_key: Option<MasterKey>,
    bootstrap_token: Option<UserTokenSecret>,
    trusted_proxies: Arc<[Cidr]>,
    capture_content: bool,
    drain_timeout: Duration,
    inbound: InboundSettings,
    upstream: UpstreamSettings,
    spool: SpoolOptions,
    metrics: Option<Listen>,
    access_log: Option<Given>,
    log: LogSettings,
}

#[derive(Debug)]
struct DatabaseSettings {
    /// `None`: SQLite in the data directory.
    url: Option<DatabaseUrl>,
    data_dir: PathBuf,
}

/// Runs the role until a signal ends it.
pub(crate) async fn run(args: ServerArgs, environment: &Environment) -> Outcome {
    let settings = read(args, environment)?;
    settings.log.start()?;
    let signals = Signals::listen()?;
    let ambient = Ambient::system();
    // Before anything is changed: a taken port is the likeliest failure.
    drop(bind("--listen", settings.listen)?);
    warn_of_clear_text(settings.listen);
    let metrics = metrics::Bound::bind(settings.metrics)?;
    let (access_log, _guard) = access_log::open(settings.access_log, &ambient)?;
    data_dir::make(&settings.database.data_dir)?;
    let _held = match settings.database.url {
        None => Some(data_dir::hold(&settings.database.data_dir)?),
        Some(_) => None,
    };
    let database = settings.database.location();
    let master_key = match settings.master_key {
        Some(key) => master_key::Found::given(key),
        None => master_key::load_or_make(&settings.database.data_dir, &ambient)?,
    };
    let listen = settings.listen.0;
    let options = Options {
        listen,
        database,
        master_key: master_key.key.clone(),
        bootstrap_token: settings.bootstrap_token,
        data_dir: settings.database.data_dir,
        capture_content: settings.capture_content,
        gateway: settings
            .inbound
            .apply(settings.upstream.apply(lychgate_gateway::Options {
                spool: settings.spool,
                trusted_proxies: settings.trusted_proxies,
                access_log,
                ..lychgate_gateway::Options::new(host_name(), listen.to_string(), VERSION)
            })),
    };
    let control = start(options, ambient, &master_key).await?;
    let metrics = metrics.serve(control.metrics_router());
    let listening = format!("listening on http://{}", control.local_addr());
    let announced = metrics.announce().and_then(|()| output::line(&listening));
    if announced.is_ok() {
        let gateway = control.gateway().clone();
        signals.stop_asked(move || gateway.stop_at_once()).await;
    }
    control.shutdown(settings.drain_timeout).await;
    metrics.stop().await;
    announced
}

/// Starts a control plane; errors name the options that the user can change.
pub(crate) async fn start(options: Options, ambient: Ambient, master_key: &master_key::Found) -> Outcome<Control> {
    let control = Control::start(options, ambient).await.map_err(|error| match &error {
        StartError::Listen { address, source } => cant_listen("--listen", *address, source),
        StartError::WrongMasterKey => master_key.does_not_fit(),
        other => Failure::Failed(chain(other)),
    })?;
    master_key.tell();
    Ok(control)
}

/// Runs `lychgate migrate`.
pub(crate) async fn migrate(args: MigrateArgs, environment: &Environment) -> Outcome {
    let mut settings = Settings::load(
        "server",
        args.common.config.clone(),
        environment.clone(),
        &configuration_keys(),
    );
    let database = read_database(&mut settings, args.database);
    let log = read_log(&mut settings, args.common, true);
    settings.finish()?;
    log.start()?;
    let failed = |why: lychgate_store::ConnectError| Failure::Failed(chain(&why));
    if database.url.is_none() {
        data_dir::make(&database.data_dir)?;
    }
    let store = Store::connect(&database.location(), Ambient::system())
        .await
        .map_err(failed)?;
    let migrated = store.migrate().await.map_err(failed);
    store.close().await;
    migrated?;
    output::note("the database's tables are up to date");
    Ok(())
}

impl DatabaseSettings {
    /// Where the database is.
    fn location(&self) -> DatabaseUrl {
        self.url
            .clone()
            .unwrap_or_else(|| DatabaseUrl::sqlite_file(&self.data_dir.join("lychgate.db")))
    }
}

fn read(args: ServerArgs, environment: &Environment) -> Outcome<ServerSettings> {
    let mut settings = Settings::load(
        "server",
        args.common.config.clone(),
        environment.clone(),
        &configuration_keys(),
    );
    let listen = settings.value("listen", args.listen).unwrap_or(Listen::local(8080));
    let database = read_database(&mut settings, args.database);
    let flags = SecretFlags {
        value: None,
        file: args.master_key_file,
        access: FileAccess::OwnerOnly,
    };
    let master_key = settings.secret("master-key", "master-key-file", flags, MasterKey::parse);
    let flags = SecretFlags {
        value: None,
        file: args.bootstrap_token_file,
        access: FileAccess::Any,
    };
    let bootstrap_token = settings.secret("bootstrap-token", "bootstrap-token-file", flags, |text| {
        UserTokenSecret::parse(text).map_err(|why| format!("not a user token (lgu_…): {why}"))
    });
    let trusted_proxies = read_trusted_proxies(&mut settings, args.proxies);
    let capture_content = !settings.switch("no-content-capture", args.no_content_capture);
    let drain_timeout = settings.value::<Span>("drain-timeout", args.drain_timeout);
    let inbound = InboundSettings::read(&mut settings, args.inbound);
    let upstream = UpstreamSettings::read(&mut settings, args.upstream, environment);
    let spool = spool::read(&mut settings, args.spool, database.data_dir.join("spool"));
    let metrics = metrics::read(&mut settings, args.metrics);
    let access_log = access_log::read(&mut settings, args.access_log);
    let log = read_log(&mut settings, args.common, false);
    settings.finish()?;
    Ok(ServerSettings {
        listen,
        database,
        master_key,
        bootstrap_token,
        trusted_proxies,
        capture_content,
        drain_timeout: drain_timeout.map_or(DRAIN_TIMEOUT, |Span(time)| time),
        inbound,
        upstream,
        spool,
        metrics,
        access_log,
        log,
    })
}

fn read_database(settings: &mut Settings, args: DatabaseArgs) -> DatabaseSettings {
    let flags = SecretFlags {
        value: args.database_url,
        file: args.database_url_file,
        access: FileAccess::Any,
    };
    let url = settings.secret("database-url", "database-url-file", flags, |text| {
        text.parse::<DatabaseUrl>()
    });
    let data_dir = settings
        .text("data-dir", args.data_dir)
        .map_or("./lychgate-data".into(), |given| given.text.into());
    DatabaseSettings { url, data_dir }
}
