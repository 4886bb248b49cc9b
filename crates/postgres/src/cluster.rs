//! The files of one server, and how `postgres` is started over them.

use crate::leftovers::{DIRECTORY, sweep};
use anyhow::{Context as _, bail};
use nix::unistd::{Gid, Uid, User};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Free space that the databases may need (about 8 MB each).
const ROOM: u64 = 4 << 30;

/// A new, empty cluster. Dropping it removes all its files.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    binaries: PathBuf,
    user: Option<(Uid, Gid)>,
}

impl Cluster {
    /// Creates one with the programs in this directory; the first of a process also removes what killed processes left behind.
    ///
    /// # Errors
    /// A description of what failed.
    pub fn create(binaries: &Path) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            sweep(&base());
        }
        let dir = base().join(format!("{DIRECTORY}{}-{number}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| format!("can't make {}", dir.display()))?;
        // From here on, dropping the value removes the directory.
        let mut cluster = Self {
            dir,
            binaries: binaries.to_owned(),
            user: None,
        };
        cluster.user = unprivileged()?;
        if let Some((uid, gid)) = cluster.user {
            std::os::unix::fs::chown(&cluster.dir, Some(uid.as_raw()), Some(gid.as_raw()))
                .with_context(|| format!("can't give away {}", cluster.dir.display()))?;
        }
        let mut initdb = Command::new(binaries.join("initdb"));
        initdb.args(["-U", "lychgate", "-A", "trust", "-E", "UTF8", "--locale=C"]);
        initdb
            .args(["--no-sync", "--no-instructions", "-D"])
            .arg(cluster.data());
        cluster.as_its_user(&mut initdb);
        let made = initdb.output().context("can't start initdb")?;
        if !made.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&made.stderr).trim());
        }
        Ok(cluster)
    }

    /// The directory of all its files, which the server's user may enter.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server's program.
    pub fn program(&self) -> PathBuf {
        self.binaries.join("postgres")
    }

    /// Makes a command that runs [`Self::program`] use this cluster, on its socket only.
    pub fn configure(&self, command: &mut Command) {
        command.arg("-D").arg(self.data()).arg("-k").arg(&self.dir);
        command.args(["-c", "listen_addresses="]);
        self.as_its_user(command);
    }

    /// Its URL, with the socket's directory in place of the host.
    pub fn url(&self) -> String {
        let socket = self.dir.display().to_string().replace('/', "%2F");
        format!("postgres://lychgate@{socket}/postgres")
    }

    /// The socket itself.
    pub fn socket(&self) -> PathBuf {
        self.dir.join(".s.PGSQL.5432")
    }

    /// Whether the server with this process id accepts connections.
    pub fn is_ready(&self, pid: u32) -> bool {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        // The first line is whose file it is, the eighth that server's state.
        lines.next() == Some(&pid.to_string()) && lines.nth(6) == Some("ready")
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn as_its_user(&self, command: &mut Command) {
        // The server's user may have no access to the caller's directory.
        command.current_dir(&self.dir).stdin(Stdio::null()).env_remove("PGDATA");
        if let Some((uid, gid)) = self.user {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _already_gone = std::fs::remove_dir_all(&self.dir);
    }
}

/// The user that the server runs as; `None`: the current user.
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

/// In memory if there is enough of it (containers often have 64 MB), otherwise the directory for temporary files. The path of a
/// socket must be short, so a long one is not used.
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
