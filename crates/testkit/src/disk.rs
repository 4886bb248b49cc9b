//! A disk that can fall ill under one process: full, failing or read-only, and well again, without any right to mount one.
//!
//! `disk.c` is loaded into the process before the C library. It needs a C compiler, as the product itself does.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The source of what is loaded.
const SOURCE: &str = include_str!("disk.c");
/// The file whose first byte says how the disk is.
const STATE: &str = "LYCHGATE_TEST_DISK";

/// What a disk suffers from. Reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Illness {
    /// There is no room (`ENOSPC`).
    Full,
    /// Writing fails (`EIO`).
    Failing,
    /// It can't be written any more (`EROFS`).
    ReadOnly,
}

/// The library that is loaded.
#[derive(Debug, Clone)]
pub struct DiskLibrary(PathBuf);

/// The disk of one process.
#[derive(Debug)]
pub struct Disk {
    library: PathBuf,
    state: PathBuf,
}

impl DiskLibrary {
    /// Builds it in this directory, which the processes can read.
    ///
    /// # Panics
    /// Where there is no C compiler; with what it says.
    pub fn build(directory: &Path) -> Self {
        let (source, library) = (directory.join("disk.c"), directory.join("disk.so"));
        std::fs::write(&source, SOURCE).expect("the source is written");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([&library, &source])
            .output()
            .expect("a C compiler");
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Self(library)
    }

    /// A disk that is well; `state` is its file.
    ///
    /// # Panics
    /// When the file can't be written.
    pub fn disk(&self, state: PathBuf) -> Disk {
        let disk = Disk {
            library: self.0.clone(),
            state,
        };
        disk.set(None);
        disk
    }
}

impl Disk {
    /// Makes it ill or well.
    ///
    /// # Panics
    /// When its file can't be written.
    pub fn set(&self, illness: Option<Illness>) {
        let byte = match illness {
            None => "-",
            Some(Illness::Full) => "f",
            Some(Illness::Failing) => "e",
            Some(Illness::ReadOnly) => "r",
        };
        // The byte is mapped, so the file is neither replaced nor cut.
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.state);
        std::io::Write::write_all(&mut opened.expect("the state opens"), byte.as_bytes()).expect("the state is set");
    }

    /// What a process needs in its environment to be on this disk; further libraries may be loaded with it.
    pub fn environment(&self, others: &[&Path]) -> [(&'static str, String); 2] {
        let all = [&*self.library].into_iter().chain(others.iter().copied());
        let preload: Vec<_> = all.map(|library| library.display().to_string()).collect();
        [
            ("LD_PRELOAD", preload.join(":")),
            (STATE, self.state.display().to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Process;
    use crate::wait::eventually;

    #[tokio::test]
    async fn a_disk_falls_ill_and_gets_well_under_a_running_process() {
        let directory = tempfile::tempdir().unwrap();
        let disk = DiskLibrary::build(directory.path()).disk(directory.path().join("state"));
        let mut tries = Command::new("sh");
        tries.current_dir(directory.path()).envs(disk.environment(&[]));
        // The file is open all the time: what fails is writing, not only opening.
        tries.args([
            "-c",
            "exec 9>>file; while :; do dd if=/dev/zero bs=1 count=1 status=none >&9 && echo written; sleep 0.01; done",
        ]);
        let process = Process::start(&mut tries);
        for (illness, told) in [
            (Illness::Full, "No space left on device"),
            (Illness::Failing, "Input/output error"),
            (Illness::ReadOnly, "Read-only file system"),
        ] {
            disk.set(Some(illness));
            eventually("it is refused", async || process.stderr().contains(told).then_some(())).await;
            disk.set(None);
            let before = process.stdout().len();
            eventually("it writes again", async || {
                (process.stdout().len() > before).then_some(())
            })
            .await;
        }
    }
}
