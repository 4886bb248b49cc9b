//! Where the lines of the access log go: one JSON object a line. `docs/access-log.md` describes them.
//!
//! Lines go to a thread of their own. Where that can't keep up with its disk, lines are dropped and counted; no request waits.
//!
//! Not here: what a line says (`inbound::access`), and the program's own log (crate `telemetry`).

use lychgate_types::{Ambient, Timestamp};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait to be written; about 4 MiB.
const WAITING_LINES: usize = 8192;
/// How often the file is looked for by its name.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where lines are sent.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: NonBlocking,
    ambient: Ambient,
}

/// Writes what is waiting when it is dropped.
#[derive(Debug)]
pub struct AccessLogGuard(#[expect(dead_code, reason = "it works by being dropped")] WorkerGuard);

impl AccessLog {
    /// Writes to standard output.
    pub fn to_stdout(ambient: Ambient) -> (Self, AccessLogGuard) {
        Self::to_writer(io::stdout(), ambient)
    }

    /// Appends to a file, which only its owner and group can read. Once another file has its name, or none, the name is opened
    /// anew: log rotation needs no signal.
    pub fn to_file(path: &Path, ambient: Ambient) -> io::Result<(Self, AccessLogGuard)> {
        Ok(Self::to_writer(NamedFile::open(path)?, ambient))
    }

    fn to_writer(writer: impl Write + Send + 'static, ambient: Ambient) -> (Self, AccessLogGuard) {
        let builder = NonBlockingBuilder::default().lossy(true).thread_name("access-log");
        let (lines, guard) = builder.buffered_lines_limit(WAITING_LINES).finish(writer);
        (Self { lines, ambient }, AccessLogGuard(guard))
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.error_counter().dropped_lines() as u64
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }

    pub(crate) fn write(&self, line: &impl Serialize) {
        if let Ok(mut line) = serde_json::to_vec(line) {
            line.push(b'\n');
            // It fails only where the line is dropped, which is counted.
            let _ = self.lines.clone().write_all(&line);
        }
    }
}

/// A file that is opened anew when its name leads elsewhere.
struct NamedFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl NamedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            looked: Instant::now(),
        })
    }

    fn is_elsewhere(&self) -> bool {
        let identity = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        identity(std::fs::metadata(&self.path)) != identity(self.file.metadata())
    }
}

impl Write for NamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.is_elsewhere()
                && let Ok(anew) = Self::open(&self.path)
            {
                *self = anew;
            }
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_rotated_is_left_for_the_new_one_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let (path, rotated) = (
            directory.path().join("access.log"),
            directory.path().join("access.log.1"),
        );
        let mut file = NamedFile::open(&path).unwrap();
        file.write_all(b"first\n").unwrap();
        std::fs::rename(&path, &rotated).unwrap();
        file.write_all(b"second\n").unwrap();
        file.looked -= LOOK_EVERY;
        file.write_all(b"third\n").unwrap();
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "first\nsecond\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\n");
    }

    /// A disk that hangs, until its other end is dropped.
    struct Hanging(std::sync::mpsc::Receiver<()>);

    impl Write for Hanging {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn no_request_waits_for_a_disk_that_hangs_and_lines_dropped_are_counted() {
        let (hangs, disk) = std::sync::mpsc::channel();
        let (log, _guard) = AccessLog::to_writer(Hanging(disk), Ambient::system());
        for _ in 0..WAITING_LINES + 10 {
            log.write(&"a line");
        }
        // One or two are in the writer's hands.
        assert!((5..=10).contains(&log.dropped()), "{}", log.dropped());
        drop(hangs);
    }
}
