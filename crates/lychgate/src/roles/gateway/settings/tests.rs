//! What is read from options and environment, and how problems are reported.

use super::*;
use clap::Parser;
use lychgate_gateway::{SpoolFull, SpoolSync};
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
    assert!(told.contains("LYCHGATE_KEY: this is a user token"), "{told}");
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
