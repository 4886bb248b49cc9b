//! What is in the memory of a role (provider keys, tokens, prompts) can be read by no other process of its user, and is in no core
//! file: as the kernel shows it.

use crate::PROGRAM;
use lychgate_testkit::app::command;
use lychgate_testkit::process::Process;
use lychgate_types::Ambient;
use lychgate_types::secret::GatewayKeySecret;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;

/// The user `nobody`, where the tests run as root: a process of root's own shows no difference.
const NOBODY: u32 = 65_534;

/// The soft and the hard limit of core files.
fn core_limits(pid: i32) -> [String; 2] {
    let table = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let line = table.lines().find_map(|line| line.strip_prefix("Max core file size"));
    let mut columns = line.unwrap().split_whitespace().map(str::to_owned);
    [columns.next().unwrap(), columns.next().unwrap()]
}

#[tokio::test]
async fn no_role_leaves_a_dump_of_its_memory() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    // Where another user can start it.
    let program = directory.path().join("lychgate");
    std::fs::copy(PROGRAM, &program).unwrap();
    let home = directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let is_root = std::fs::metadata(&home).unwrap().uid() == 0;
    if is_root {
        chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let key = GatewayKeySecret::generate(&Ambient::system());
    for role in ["server", "gateway"] {
        let mut command = command(&program, &home);
        command.args([role, "--listen", "127.0.0.1:0"]);
        if role == "server" {
            command.arg("--data-dir").arg(home.join("data"));
        } else {
            // Nobody listens there: it waits for a control plane.
            command.args(["--control-url", "http://127.0.0.1:9", "--spool-dir"]);
            command.arg(home.join("spool")).env("LYCHGATE_KEY", key.expose());
        }
        if is_root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let process = Process::start(&mut command);
        process.line("listening on ").await;
        let pid = process.pid();
        assert_eq!(core_limits(pid), ["0", "0"], "{role}");
        // The kernel gives the files of a process that leaves no dump to root, whoever it runs as.
        let owner = |file: &str| std::fs::metadata(format!("/proc/{pid}/{file}")).unwrap().uid();
        assert_ne!(owner(""), 0, "{role}: it does not run as an ordinary user");
        assert_eq!([owner("mem"), owner("environ"), owner("maps")], [0; 3], "{role}");
    }
}
