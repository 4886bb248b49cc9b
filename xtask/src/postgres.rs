//! A throw-away PostgreSQL for one run of the tests: in memory where there is room, reached by a socket in its own directory
//! only, so that it can't meet any other server. PostgreSQL refuses to run as root; as root we start it as `postgres`, else `nobody`.

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Gid, Pid, Uid, User};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The directories' names: this and the process id of the xtask that made it.
const DIRECTORY: &str = "lychgate-pg-";
/// Room that the tests' databases may take (each is some 8 MB).
const ROOM: u64 = 4 << 30;
const SETTINGS: &[&str] = &[
    "listen_addresses=",
    "max_connections=300",
    "shared_buffers=64MB",
    // Nothing here outlives the run, so nothing needs to reach a disk.
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "autovacuum=off",
    "log_min_messages=warning",
];

/// The directory that holds `initdb` and `postgres`: `PG_BIN`, the newest of Debian's, or that of `PATH`; installed where
/// there is none.
pub(crate) fn find_or_install() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("PG_BIN") {
        let dir = PathBuf::from(dir);
        if !is_server(&dir) {
            bail!("PG_BIN is {}, which does not hold initdb and postgres", dir.display());
        }
        return Ok(dir);
    }
    if let Some(dir) = find() {
        return Ok(dir);
    }
    crate::apt::install("postgresql", "a PostgreSQL server")?;
    find().context("PostgreSQL was installed, but there is no /usr/lib/postgresql/*/bin/postgres: set PG_BIN")
}

fn find() -> Option<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .filter(|(_, dir)| is_server(dir))
        .collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .pop()
        .map(|(_, dir)| dir)
        .or_else(|| std::env::split_paths(&path).find(|dir| is_server(dir)))
}

fn is_server(dir: &Path) -> bool {
    dir.join("initdb").is_file() && dir.join("postgres").is_file()
}

/// A running server. Dropping it stops it and removes all its files.
pub(crate) struct Server {
    dir: PathBuf,
    process: Option<Child>,
}

impl Server {
    /// Makes a new, empty cluster and waits until it takes connections.
    pub(crate) fn start(binaries: &Path) -> anyhow::Result<Self> {
        sweep();
        let dir = base().join(format!("{DIRECTORY}{}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| format!("can't make {}", dir.display()))?;
        // From here on the directory goes away with this value.
        let mut server = Self { dir, process: None };
        let user = unprivileged()?;
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(&server.dir, Some(uid.as_raw()), Some(gid.as_raw()))
                .with_context(|| format!("can't give away {}", server.dir.display()))?;
        }
        let data = server.dir.join("data");
        let initdb = command(binaries.join("initdb"), &server.dir, user)
            .args([
                "-U",
                "lychgate",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
                "-D",
            ])
            .arg(&data)
            .output()
            .context("can't start initdb")?;
        if !initdb.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&initdb.stderr).trim());
        }
        let log = std::fs::File::create(server.dir.join("log")).context("can't make the server's log")?;
        let mut postgres = command(binaries.join("postgres"), &server.dir, user);
        postgres.arg("-D").arg(&data).arg("-k").arg(&server.dir);
        for setting in SETTINGS {
            postgres.args(["-c", setting]);
        }
        // A group of its own keeps a Ctrl-C of the terminal away: the server must outlive the tests that use it.
        postgres.process_group(0).stdout(Stdio::null()).stderr(log);
        server.process = Some(postgres.spawn().context("can't start postgres")?);
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Where tests find it. The socket's directory stands in the place of the host.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://lychgate@{}/postgres",
            self.dir.display().to_string().replace('/', "%2F")
        )
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let status = self.dir.join("data/postmaster.pid");
        for _ in 0..3000 {
            // The eighth line of this file is the server's state.
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            if text.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            if let Some(process) = &mut self.process
                && process.try_wait().context("can't look after postgres")?.is_some()
            {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let log = std::fs::read_to_string(self.dir.join("log")).unwrap_or_default();
        bail!("PostgreSQL did not start:\n{log}")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            stop(process);
        }
        let _already_gone = std::fs::remove_dir_all(&self.dir);
    }
}

/// First asks for a fast shutdown, then for one without niceties, then kills.
fn stop(process: &mut Child) {
    let Ok(pid) = i32::try_from(process.id()) else { return };
    for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGKILL] {
        let _already_gone = kill(Pid::from_raw(pid), signal);
        for _ in 0..500 {
            if !matches!(process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn command(program: PathBuf, dir: &Path, user: Option<(Uid, Gid)>) -> Command {
    let mut command = Command::new(program);
    // The caller's own directory may be closed to the server's user.
    command.current_dir(dir).stdin(Stdio::null()).env_remove("PGDATA");
    if let Some((uid, gid)) = user {
        command.uid(uid.as_raw()).gid(gid.as_raw());
    }
    command
}

/// Whom the server runs as; none: as ourselves.
fn unprivileged() -> anyhow::Result<Option<(Uid, Gid)>> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Some(user) = User::from_name(name).context("can't read the list of users")? {
            return Ok(Some((user.uid, user.gid)));
        }
    }
    bail!("PostgreSQL does not run as root, and there is neither a user postgres nor a user nobody")
}

/// Memory where there is enough of it (containers often give 64 MB), else the directory for temporary files. A socket's path
/// must be short, so a long one of those is not taken.
fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let free = nix::sys::statvfs::statvfs(memory).map_or(0, |stat| {
        // The fields' types differ between platforms.
        #[allow(clippy::useless_conversion, reason = "a conversion on some platforms")]
        u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size()))
    });
    if free >= ROOM && nix::unistd::access(memory, nix::unistd::AccessFlags::W_OK).is_ok() {
        return memory.to_owned();
    }
    let temp = std::env::temp_dir();
    if temp.as_os_str().len() < 60 {
        temp
    } else {
        PathBuf::from("/tmp")
    }
}

/// Takes away what runs left behind that were killed without a chance to clean up.
fn sweep() {
    if !Path::new("/proc/self").exists() {
        return;
    }
    for base in [PathBuf::from("/dev/shm"), base()] {
        for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let Some(owner) = name.to_str().and_then(|name| name.strip_prefix(DIRECTORY)) else {
                continue;
            };
            if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
                remove_abandoned(&entry.path());
            }
        }
    }
}

fn remove_abandoned(dir: &Path) {
    let pid = std::fs::read_to_string(dir.join("data/postmaster.pid"))
        .ok()
        .and_then(|text| text.lines().next().and_then(|line| line.parse::<i32>().ok()));
    // The number may belong to somebody else by now: only a process started with this very directory is the server.
    if let Some(pid) = pid
        && let Ok(line) = std::fs::read(format!("/proc/{pid}/cmdline"))
        && String::from_utf8_lossy(&line).contains(&dir.display().to_string())
    {
        let _already_gone = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        for _ in 0..500 {
            if !Path::new(&format!("/proc/{pid}")).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    let _not_ours = std::fs::remove_dir_all(dir);
}
