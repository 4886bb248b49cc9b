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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait to be written; about 4 MiB.
pub(crate) const WAITING_LINES: usize = 8192;
/// How often the file is looked for by its name.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Where lines are sent.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: NonBlocking,
    ambient: Ambient,
    failed: Arc<AtomicU64>,
}

/// Writes what is waiting when it is dropped.
#[derive(Debug)]
pub struct AccessLogGuard(#[expect(dead_code, reason = "it works by being dropped")] WorkerGuard);

impl AccessLog {
    /// Writes to standard output.
    pub fn to_stdout(ambient: Ambient) -> (Self, AccessLogGuard) {
        Self::to_writer(io::stdout(), ambient, Arc::default())
    }

    /// Appends to a file, which only its owner and group can read. Once another file has its name, or none, the name is opened
    /// anew: log rotation needs no signal.
    pub fn to_file(path: &Path, ambient: Ambient) -> io::Result<(Self, AccessLogGuard)> {
        let failed = Arc::default();
        let file = NamedFile::open(path, Arc::clone(&failed))?;
        Ok(Self::to_writer(file, ambient, failed))
    }

    fn to_writer(
        writer: impl Write + Send + 'static,
        ambient: Ambient,
        failed: Arc<AtomicU64>,
    ) -> (Self, AccessLogGuard) {
        let builder = NonBlockingBuilder::default().lossy(true).thread_name("access-log");
        let (lines, guard) = builder.buffered_lines_limit(WAITING_LINES).finish(writer);
        let log = Self { lines, ambient, failed };
        (log, AccessLogGuard(guard))
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.error_counter().dropped_lines() as u64 + self.failed.load(Ordering::Relaxed)
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
    /// Lines that could not be written.
    failed: Arc<AtomicU64>,
    /// The last line was written in part.
    is_torn: bool,
}

impl NamedFile {
    fn open(path: &Path, failed: Arc<AtomicU64>) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: append_to(path)?,
            looked: Instant::now(),
            failed,
            is_torn: false,
        })
    }

    /// A file that can't be written costs its lines, and nothing else.
    fn line(&mut self, line: &[u8]) {
        let begin: &[u8] = if self.is_torn { b"\n" } else { b"" };
        let written = self.file.write_all(begin).and_then(|()| self.file.write_all(line));
        self.is_torn = written.is_err();
        if let Err(error) = written
            && self.failed.fetch_add(1, Ordering::Relaxed).is_power_of_two()
        {
            tracing::warn!(path = %self.path.display(), %error, "the access log can't be written; its lines are dropped");
        }
    }

    fn is_elsewhere(&self) -> bool {
        let identity = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        identity(std::fs::metadata(&self.path)) != identity(self.file.metadata())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o640).open(path)
}

/// The appender's thread writes a line at a time, and would swallow errors.
impl Write for NamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.is_elsewhere()
                && let Ok(anew) = append_to(&self.path)
            {
                (self.file, self.is_torn) = (anew, false);
            }
        }
        self.line(bytes);
        Ok(bytes.len())
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
        let mut file = NamedFile::open(&path, Arc::default()).unwrap();
        file.write_all(b"first\n").unwrap();
        std::fs::rename(&path, &rotated).unwrap();
        file.write_all(b"second\n").unwrap();
        file.looked -= LOOK_EVERY;
        file.write_all(b"third\n").unwrap();
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "first\nsecond\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\n");
    }

    #[test]
    fn lines_that_can_not_be_written_are_counted_and_those_after_them_are_whole() {
        let failed = Arc::<AtomicU64>::default();
        let mut file = NamedFile::open(Path::new("/dev/full"), Arc::clone(&failed)).unwrap();
        file.write_all(b"lost\n").unwrap();
        assert!(file.is_torn && failed.load(Ordering::Relaxed) == 1);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        file.file = append_to(&path).unwrap();
        file.write_all(b"kept\n").unwrap();
        file.write_all(b"kept, too\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "\nkept\nkept, too\n");
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
        let (log, _guard) = AccessLog::to_writer(Hanging(disk), Ambient::system(), Arc::default());
        for _ in 0..WAITING_LINES + 10 {
            log.write(&"a line");
        }
        // One or two are in the writer's hands.
        assert!((5..=10).contains(&log.dropped()), "{}", log.dropped());
        drop(hangs);
    }
}
