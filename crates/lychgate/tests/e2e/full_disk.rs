//! A disk that is full, failing or read-only under a control plane on SQLite: what needs writing is refused and says why, reading goes
//! on, and once it is well everything works without a restart.

use crate::PROGRAM;
use lychgate_scripted::ScriptedProvider;
use lychgate_testkit::app::App;
use lychgate_testkit::disk::{Disk, DiskLibrary, Illness};
use lychgate_testkit::http::{self, Answer};
use lychgate_testkit::wait::eventually;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// Once the disk is well, writing works within this time.
const RECOVERY: Duration = Duration::from_secs(5);

/// The program on a disk that may fall ill.
fn program(directory: &Path, disk: &Disk) -> String {
    let path = directory.join("lychgate-on-a-disk");
    let [preload, state] = disk.environment(&[]).map(|(name, value)| format!("{name}='{value}'"));
    std::fs::write(&path, format!("#!/bin/sh\n{preload} {state} exec '{PROGRAM}' \"$@\"\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn create_user(app: &App, number: usize) -> Answer {
    let user = serde_json::json!({"username": format!("user-{number}"), "role": "member"});
    http::post(format!("{}/api/v1/users", app.url))
        .bearer(&app.owner)
        .json(&user)
        .send()
        .await
}

async fn falls_ill_and_gets_well(app: &App, disk: &Disk, illness: Illness, from: usize) {
    disk.set(Some(illness));
    for number in from..from + 3 {
        let refused = create_user(app, number).await.expect(503);
        assert_eq!(refused.value()["code"], "database_not_writable", "{}", refused.text());
        assert_ne!(refused.header("retry-after"), "");
    }
    eventually("the control plane says that it can't write", async || {
        let (status, text) = app.readiness("").await;
        (status == 503 && text.contains("can't be written")).then_some(())
    })
    .await;
    assert_eq!(app.readiness("/control-plane").await.0, 503);
    assert_eq!(app.readiness("/gateway").await, (200, "ready\n".to_owned()));
    // Whoever only reads is served.
    app.api("users").send().await.expect(200);

    disk.set(None);
    let room = Instant::now();
    let mut number = from;
    while create_user(app, number).await.status != 201 {
        assert!(room.elapsed() < RECOVERY, "{}", app.server.stderr());
        number += 1;
    }
    eventually("the control plane is ready", async || {
        (app.readiness("").await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sqlite_writes_again_once_its_disk_is_well() {
    let directory = tempfile::tempdir().unwrap();
    let scripted = ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    let disk = DiskLibrary::build(directory.path()).disk(directory.path().join("state"));
    let app = App::bare(&program(directory.path(), &disk), None, scripted).await;
    create_user(&app, 0).await.expect(201);
    let illnesses = [Illness::Full, Illness::Failing, Illness::ReadOnly, Illness::Full];
    for (number, illness) in illnesses.into_iter().enumerate() {
        falls_ill_and_gets_well(&app, &disk, illness, 100 * (number + 1)).await;
    }
}
