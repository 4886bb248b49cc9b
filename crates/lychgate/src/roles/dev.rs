//! `lychgate dev`: everything in one process, to try it out. A control plane on SQLite, one standalone replica that talks to it
//! over the real link, and a scripted provider for each provider whose key is not in the environment.
//!
//! It sets everything up through the API as the owner, like any other client.

mod banner;
mod entry;
mod providers;
mod setup;

use super::args::{DevArgs, configuration_keys};
use super::gateway::{GatewaySettings, Replica};
use super::inbound::InboundSettings;
use super::net::{Listen, bind, host_name, reachable, warn_of_clear_text};
use super::upstream::UpstreamSettings;
use super::{LogSettings, VERSION, data_dir, master_key, read_log, server};
use crate::client::{ApiClient, server_url};
use crate::config::{Environment, Settings};
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use crate::terminal::signals::Signals;
use lychgate_control::{Control, Options};
use lychgate_gateway::SpoolOptions;
use lychgate_scripted::ScriptedProvider;
use lychgate_store::DatabaseUrl;
use lychgate_types::Ambient;
use providers::Wanted;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// How long requests in flight may continue after a stop was requested. Whoever waits for a terminal is less patient than a service
/// manager.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How long the replica may take to attach.
const ATTACH_LIMIT: Duration = Duration::from_secs(15);

/// What the role needs, read from all layers.
#[derive(Debug)]
struct DevSettings {
    data_dir: PathBuf,
    listen: Listen,
    gateway_listen: Listen,
    log: LogSettings,
}

/// Runs everything until a signal stops it.
pub(crate) async fn run(args: DevArgs, environment: &Environment) -> Outcome {
    let settings = read(args, environment)?;
    settings.log.start()?;
    let signals = Signals::listen()?;
    let ambient = Ambient::system();
    let data_dir = settings.data_dir;
    // Before anything is changed: a taken port is the likeliest failure.
    let listener = bind("--gateway-listen", settings.gateway_listen)?;
    drop(bind("--listen", settings.listen)?);
    warn_of_clear_text(settings.listen);
    warn_of_clear_text(settings.gateway_listen);
    data_dir::make(&data_dir)?;
    let _held = data_dir::hold(&data_dir)?;
    let master_key = master_key::load_or_make(&data_dir, &ambient)?;
    let options = Options {
        listen: settings.listen.0,
        database: DatabaseUrl::sqlite_file(&data_dir.join("lychgate.db")),
        master_key: master_key.key.clone(),
        bootstrap_token: None,
        data_dir: data_dir.clone(),
        capture_content: true,
        gateway: lychgate_gateway::Options {
            spool: SpoolOptions::new(data_dir.join("spool")),
            ..lychgate_gateway::Options::new(host_name(), settings.listen.0.to_string(), VERSION)
        },
    };
    let scripted = ScriptedProvider::start(Listen::local(0).0).await;
    let scripted = scripted.map_err(|why| Failure::Failed(format!("the scripted provider can't start: {why}")))?;
    let wanted = Wanted::all(environment, scripted.addr())?;
    let control = server::start(options, ambient.clone(), &master_key).await?;

    let mut stop = pin!(signals.stop_asked(|| {}));
    let prepared = tokio::select! {
        replica = prepare(&control, &data_dir, &wanted, listener, ambient) => replica.map(Some),
        () = &mut stop => Ok(None),
    };
    let outcome = match prepared {
        Ok(Some((replica, text))) => {
            let announced = output::write(&text);
            if announced.is_ok() {
                stop.await;
            }
            replica.stop(STOP_LIMIT).await;
            announced
        }
        Ok(None) => Ok(()),
        Err(failure) => Err(failure),
    };
    control.shutdown(STOP_LIMIT).await;
    scripted.stop().await;
    outcome
}

/// Sets up what is missing, starts the replica, and returns the text that says how to use it.
async fn prepare(
    control: &Control,
    data_dir: &std::path::Path,
    wanted: &[Wanted],
    listener: TcpListener,
    ambient: Ambient,
) -> Outcome<(Replica, String)> {
    let control_url = format!("http://{}", reachable(control.local_addr()));
    let url = server_url(&control_url).map_err(Failure::Failed)?;
    let owner = setup::owner_token(&url, data_dir).await?;
    let api = ApiClient::new(vec![url.clone()], &owner)?;
    setup::member_token(&api, &url, data_dir).await?;
    let reports = providers::set_up(&api, data_dir, wanted).await?;
    let settings = GatewaySettings {
        listen: Listen(listener.local_addr().map_err(Failure::failed)?),
        control_urls: vec![control_url.clone()],
        key_file: None,
        key: setup::gateway_key(&api, data_dir).await?,
        name: "dev".to_owned(),
        advertise: None,
        labels: BTreeMap::new(),
        inbound: InboundSettings::default(),
        upstream: UpstreamSettings::default(),
        spool: SpoolOptions::new(data_dir.join("replica-spool")),
        drain_timeout: None,
        max_offline: None,
        offline_start: true,
        trusted_proxies: Arc::default(),
        access_log: None,
    };
    let replica = Replica::start(settings, listener, ambient)?;
    attached(&replica).await?;
    let text = banner::text(&banner::Facts {
        program: banner::program(),
        control_url,
        gateway_url: format!("http://{}", reachable(replica.local_addr)),
        data_dir: data_dir.display().to_string(),
        providers: reports,
    });
    Ok((replica, text))
}

/// Waits until the replica can serve.
async fn attached(replica: &Replica) -> Outcome {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let ready = async {
        while replica.gateway.readiness().is_err() {
            look.tick().await;
        }
    };
    match tokio::time::timeout(ATTACH_LIMIT, ready).await {
        Ok(()) => Ok(()),
        Err(_) => {
            let why = replica.gateway.readiness().err().unwrap_or_default();
            Err(Failure::Failed(format!(
                "the replica did not get ready within {} seconds: {why}",
                ATTACH_LIMIT.as_secs()
            )))
        }
    }
}

fn read(args: DevArgs, environment: &Environment) -> Outcome<DevSettings> {
    let mut settings = Settings::load(
        "dev",
        args.common.config.clone(),
        environment.clone(),
        &configuration_keys(),
    );
    let data_dir = settings
        .text("data-dir", args.data_dir)
        .map_or("./lychgate-dev".into(), |given| given.text.into());
    let listen = settings.value("listen", args.listen).unwrap_or(Listen::local(8080));
    let gateway_listen = settings
        .value("gateway-listen", args.gateway_listen)
        .unwrap_or(Listen::local(4001));
    let log = read_log(&mut settings, args.common, true);
    settings.finish()?;
    Ok(DevSettings {
        data_dir,
        listen,
        gateway_listen,
        log,
    })
}
