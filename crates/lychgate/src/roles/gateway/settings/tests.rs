//! What is read from options and environment, and how problems are reported.

use super::*;
use clap::Parser;
use lychgate_gateway::{Options, SpoolFull, SpoolSync};
use lychgate_types::Ambient;

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
fn all_missing_settings_are_reported_together() {
    let message = settings(&[], &[]).unwrap_err();
    assert!(
        message.contains("2 problems") && message.contains("--control-url") && message.contains("--key-file"),
        "{message}"
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
    let message = settings(
        &flags,
        &[("LYCHGATE_KEY", "lgu_canary"), ("LYCHGATE_CONTROL_URL", "ftp://h")],
    )
    .unwrap_err();
    assert!(message.contains("6 problems"), "{message}");
    assert!(message.contains("LYCHGATE_KEY: this is a user token"), "{message}");
    assert!(!message.contains("canary"), "{message}");
}

#[test]
fn bad_upstream_settings_are_reported() {
    let key = GatewayKeySecret::generate(&Ambient::system());
    let base = ["--control-url", "http://h:1", "--key", key.expose()];
    let with = |more: &[&str], environment: &[(&str, &str)]| settings(&[&base[..], more].concat(), environment);
    let message = with(&["--provider-ca-file", "/nowhere/ca.pem"], &[]).unwrap_err();
    assert!(
        message.contains("--provider-ca-file /nowhere/ca.pem: can't read"),
        "{message}"
    );
    let message = with(&["--provider-ca-file", "Cargo.toml"], &[]).unwrap_err();
    assert!(message.contains("contains no certificate"), "{message}");
    let message = with(&[], &[("HTTPS_PROXY", "socks5://user:canary@h:1")]).unwrap_err();
    assert!(
        message.contains("HTTPS_PROXY") && !message.contains("canary"),
        "{message}"
    );
    let read = with(&[], &[("HTTPS_PROXY", "http://user:canary@proxy.example:3128")]).unwrap();
    let shown = format!("{read:?}");
    assert!(
        shown.contains("proxy.example:3128") && !shown.contains("canary"),
        "{shown}"
    );
}

#[test]
fn what_is_taken_from_clients_is_set_within_bounds() {
    let key = GatewayKeySecret::generate(&Ambient::system());
    let base = ["--control-url", "http://h:1", "--key", key.expose()];
    let with = |more: &[&str]| settings(&[&base[..], more].concat(), &[]);
    let options = |more: &[&str]| with(more).unwrap().inbound.apply(Options::new("", "", ""));
    let defaults = options(&[]);
    assert_eq!((defaults.body_limit, defaults.head_limit), (32 << 20, 256 << 10));
    assert_eq!(defaults.cors, []);
    let flags = [
        "--max-body-bytes",
        "64MiB",
        "--max-head-bytes",
        "8KiB",
        "--cors-origin",
        "https://a.example",
        "--cors-origin",
        "http://localhost:3000",
    ];
    let set = options(&flags);
    assert_eq!((set.body_limit, set.head_limit, set.cors.len()), (64 << 20, 8 << 10, 2));
    let flags = [
        "--max-body-bytes",
        "1GiB",
        "--max-head-bytes",
        "1KiB",
        "--cors-origin",
        "https://a.example/",
    ];
    let message = with(&flags).unwrap_err();
    assert!(
        message.contains("3 problems")
            && message.contains("8192 to 1048576")
            && message.contains("an origin as browsers"),
        "{message}"
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
    let message = with(&["--max-offline", "1", "--offline-start", "maybe"]).unwrap_err();
    assert!(
        message.contains("2 problems") && message.contains("for example 30d"),
        "{message}"
    );
}

#[test]
fn spool_settings_are_read_and_bad_ones_reported() {
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
    let message = with(&["--spool-max-bytes", "1KiB", "--spool-sync", "x", "--spool-full", "y"]).unwrap_err();
    assert!(
        message.contains("3 problems") && message.contains("at least 1MiB"),
        "{message}"
    );
    assert!(
        message.contains("interval, always") && message.contains("refuse, unrecorded"),
        "{message}"
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
