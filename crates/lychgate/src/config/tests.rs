//! Precedence, and that all problems are reported together.

use super::*;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

fn known() -> BTreeMap<String, Vec<String>> {
    let keys = ["listen", "label", "quiet", "key", "key-file"]
        .map(str::to_owned)
        .to_vec();
    BTreeMap::from([
        ("gateway".to_owned(), keys),
        ("server".to_owned(), vec!["listen".to_owned()]),
    ])
}

fn settings(environment: &[(&str, &str)], file: &str) -> Settings {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lychgate.toml");
    std::fs::write(&path, file).unwrap();
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), *value))
        .collect();
    let mut settings = Settings::load("gateway", Some(path), environment, &known());
    settings.file.file_name = "lychgate.toml".to_owned();
    settings
}

fn problems(settings: Settings) -> String {
    settings
        .finish()
        .map_or_else(|failure| failure.to_string(), |()| String::new())
}

#[test]
fn flag_over_environment_over_file() {
    let file = "[gateway]\nlisten = '127.0.0.1:3'\n[server]\nlisten = '127.0.0.1:4'\n";
    let mut all = settings(&[("LYCHGATE_LISTEN", "127.0.0.1:2")], file);
    let port = |at: Option<SocketAddr>| at.map(|at| at.port());
    assert_eq!(port(all.value("listen", Some("127.0.0.1:1".to_owned()))), Some(1));
    assert_eq!(port(all.value("listen", None)), Some(2));
    assert_eq!(
        port(settings(&[("LYCHGATE_LISTEN", "")], file).value("listen", None)),
        Some(3)
    );
    assert_eq!(port(settings(&[], "").value("listen", None)), None);
    assert_eq!(problems(all), "");
}

#[test]
fn lists_and_switches_from_every_layer() {
    let file = "[gateway]\nlabel = ['a=1', 'b=2']\nquiet = true\n";
    let texts = |given: Vec<Given>| given.into_iter().map(|given| given.text).collect::<Vec<_>>();
    assert_eq!(texts(settings(&[], file).list("label", Vec::new())), ["a=1", "b=2"]);
    assert_eq!(
        texts(settings(&[("LYCHGATE_LABEL", "c=3, d=4")], file).list("label", Vec::new())),
        ["c=3", "d=4"]
    );
    assert_eq!(
        texts(settings(&[], file).list("label", vec!["e=5,6".to_owned()])),
        ["e=5,6"]
    );
    assert!(settings(&[], file).switch("quiet", false));
    assert!(!settings(&[("LYCHGATE_QUIET", "false")], file).switch("quiet", false));
    assert!(settings(&[("LYCHGATE_QUIET", "false")], file).switch("quiet", true));
}

#[test]
fn all_problems_are_reported_together() {
    let mut bad = settings(
        &[("LYCHGATE_QUIET", "perhaps")],
        "surprise = 1\n[gateway]\nlisten = 'here'\nlisten-on = 'x'\n",
    );
    assert_eq!(bad.value::<SocketAddr>("listen", None), None);
    assert!(!bad.switch("quiet", false));
    let message = problems(bad);
    for part in [
        "4 problems with the configuration:",
        "unknown section or key `surprise`; the sections are [gateway], [server]",
        "unknown key `gateway.listen-on`; the keys are listen, label, quiet, key, key-file",
        "gateway.listen in lychgate.toml: `here`: invalid socket address",
        "LYCHGATE_QUIET: `perhaps`: write true or false",
    ] {
        assert!(message.contains(part), "{part:?} is missing in:\n{message}");
    }
}

#[test]
fn a_file_that_is_not_toml_is_reported_without_quoting_it() {
    let message = problems(settings(&[], "[gateway]\nkey = 'lgw_secret"));
    assert!(message.contains("line 2"), "{message}");
    assert!(!message.contains("lgw_secret"), "{message}");
}

#[test]
fn a_secret_comes_from_the_uppermost_layer_as_itself_or_by_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    std::fs::write(&path, " from-file \n").unwrap();
    let path = path.to_str().unwrap();
    let read = |settings: &mut Settings, flags| {
        settings.secret("key", "key-file", flags, |text| Ok::<_, String>(text.to_owned()))
    };
    let value = |text: &str| SecretFlags {
        value: Some(text.to_owned()),
        ..SecretFlags::default()
    };
    let environment = [("LYCHGATE_KEY_FILE", path)];

    assert_eq!(
        read(&mut settings(&environment, ""), value("flag")).as_deref(),
        Some("flag")
    );
    assert_eq!(
        read(
            &mut settings(&environment, "[gateway]\nkey = 'k'"),
            SecretFlags::default()
        )
        .as_deref(),
        Some("from-file")
    );
    assert_eq!(
        read(&mut settings(&[], "[gateway]\nkey = 'k'"), SecretFlags::default()).as_deref(),
        Some("k")
    );
    assert_eq!(read(&mut settings(&[], ""), SecretFlags::default()), None);

    let mut both = settings(&[("LYCHGATE_KEY", "x"), ("LYCHGATE_KEY_FILE", path)], "");
    assert_eq!(read(&mut both, SecretFlags::default()), None);
    assert_eq!(
        problems(both),
        "LYCHGATE_KEY and LYCHGATE_KEY_FILE are both set; set only one"
    );
}

#[test]
fn a_bad_secret_is_reported_by_its_origin_only() {
    let mut bad = settings(&[("LYCHGATE_KEY", "canary")], "");
    let read = bad.secret("key", "key-file", SecretFlags::default(), |_| {
        Err::<(), _>("its checksum does not match")
    });
    assert!(read.is_none());
    assert_eq!(problems(bad), "LYCHGATE_KEY: its checksum does not match");

    let mut missing = settings(&[("LYCHGATE_KEY_FILE", "/nowhere/key")], "");
    let read = missing.secret("key", "key-file", SecretFlags::default(), |_| Ok::<_, String>(()));
    assert!(read.is_none());
    assert!(problems(missing).starts_with("LYCHGATE_KEY_FILE /nowhere/key: can't read the file: No such file"));
}

#[test]
fn a_secret_given_in_place_of_its_file_is_not_repeated() {
    let mut bad = settings(&[("LYCHGATE_KEY_FILE", "lgw_canary")], "");
    let read = bad.secret("key", "key-file", SecretFlags::default(), |_| Ok::<_, String>(()));
    assert!(read.is_none());
    let message = problems(bad);
    assert!(
        message.contains("looks like the secret itself") && !message.contains("canary"),
        "{message}"
    );
}

#[test]
fn a_private_secret_is_refused_from_a_file_that_others_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("master-key");
    std::fs::write(&path, "x").unwrap();
    let read = |mode: u32| {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let flags = SecretFlags {
            value: None,
            file: Some(path.display().to_string()),
            access: FileAccess::OwnerOnly,
        };
        let mut settings = settings(&[], "");
        let read = settings.secret("key", "key-file", flags, |text| Ok::<_, String>(text.to_owned()));
        (read, problems(settings))
    };
    assert_eq!(read(0o600), (Some("x".to_owned()), String::new()));
    for mode in [0o640, 0o604, 0o620] {
        let (read, message) = read(mode);
        assert_eq!(read, None);
        assert!(message.contains("chmod 600"), "{message}");
    }
}
