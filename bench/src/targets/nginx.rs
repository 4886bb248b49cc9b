//! nginx as the yardstick: one worker, `proxy_pass`, connections to the provider kept open, nothing logged, nothing buffered.

use crate::args::Kind;
use crate::host::machine::{Core, out_dir, output};
use crate::host::process::{Process, first_child, free_port};
use crate::targets::target::Target;
use anyhow::{Context as _, bail};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Starts it.
pub(crate) async fn start(core: Option<Core>, dir: &Path, provider: SocketAddr) -> anyhow::Result<(Process, Target)> {
    let binary = find_or_fetch()?;
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, free_port()?).into();
    let config = dir.join("nginx.conf");
    std::fs::write(&config, configuration(dir, address, provider)).context("can't write nginx.conf")?;
    let mut process = Process::start("nginx", core, dir, binary, |command| {
        command
            .arg("-p")
            .arg(dir)
            .arg("-e")
            .arg(dir.join("nginx-error.log"))
            .arg("-c")
            .arg(&config);
    })?;
    let master = process.id();
    let worker = process
        .wait_until(async || {
            crate::targets::api::connect(address).await.ok()?;
            first_child(master)
        })
        .await?;
    let target = Target {
        kind: Kind::Nginx,
        address,
        prefix: "",
        token: "sk-bench".to_owned(),
        measured: Some(worker),
        control: None,
    };
    Ok((process, target))
}

/// Its version, for the report.
pub(crate) fn version() -> Option<String> {
    let binary = find_or_fetch().ok()?;
    let output = Command::new(binary).arg("-v").output().ok()?;
    Some(
        String::from_utf8_lossy(&output.stderr)
            .trim()
            .rsplit_once('/')?
            .1
            .to_owned(),
    )
}

fn configuration(dir: &Path, listen: SocketAddr, provider: SocketAddr) -> String {
    // As root, nginx would give its worker another user, who can't enter our directory.
    let user = if nix::unistd::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let dir = dir.display();
    format!(
        "daemon off;
worker_processes 1;
{user}
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    client_body_temp_path {dir}/nginx-body;
    proxy_temp_path {dir}/nginx-proxy;
    fastcgi_temp_path {dir}/nginx-fastcgi;
    uwsgi_temp_path {dir}/nginx-uwsgi;
    scgi_temp_path {dir}/nginx-scgi;
    client_max_body_size 32m;
    keepalive_requests 1000000000;
    upstream provider {{
        server {provider};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {listen};
        location / {{
            proxy_pass http://provider;
            proxy_http_version 1.1;
            proxy_set_header Connection \"\";
            proxy_buffering off;
        }}
    }}
}}
"
    )
}

/// The machine's nginx, else Debian's package unpacked beside the results: installing it would start a server on port 80.
fn find_or_fetch() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path)
        .map(|dir| dir.join("nginx"))
        .chain([PathBuf::from("/usr/sbin/nginx")]);
    let fetched = out_dir()?.join("nginx");
    let binary = fetched.join("usr/sbin/nginx");
    if let Some(found) = places.chain([binary.clone()]).find(|place| place.is_file()) {
        return Ok(found);
    }
    crate::progress("fetching Debian's nginx …");
    std::fs::create_dir_all(&fetched).context("can't make a directory for nginx")?;
    let script = "apt-get -q download nginx && dpkg-deb --extract nginx_*.deb . && rm nginx_*.deb";
    let fetch = Command::new("sh")
        .args(["-c", script])
        .current_dir(&fetched)
        .output()
        .context("can't start a shell")?;
    let runs = binary.to_str().and_then(|binary| output(binary, &["-v"]));
    if !fetch.status.success() || runs.is_none() {
        bail!(
            "there is no nginx here and it could not be fetched; install it, or leave it out with --targets direct,lychgate:\n{}",
            String::from_utf8_lossy(&fetch.stderr)
        );
    }
    Ok(binary)
}
