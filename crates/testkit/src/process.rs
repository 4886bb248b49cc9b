//! A real process: what it writes is kept, it can be signalled, and it is killed when dropped.

use crate::wait::DEADLINE;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// How long an ended process's streams may stay open.
const LEFT_BEHIND: Duration = Duration::from_secs(2);

/// A running or ended process, leader of a group of its own.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    output: Output,
    ended: watch::Receiver<Option<ExitStatus>>,
}

/// What the process has written so far, both streams apart.
#[derive(Debug, Clone)]
struct Output {
    streams: [Arc<Mutex<Vec<u8>>>; 2],
    grown: watch::Receiver<u64>,
}

impl Process {
    /// Starts it, with nothing on its standard input.
    ///
    /// # Panics
    /// When it can't be started.
    pub fn start(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|why| panic!("can't start {name}: {why}"));
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("process ids are small"));
        let (grow, grown) = watch::channel(0);
        let grow = Arc::new(grow);
        let out = keep(child.stdout.take().expect("it is piped"), Arc::clone(&grow));
        let err = keep(child.stderr.take().expect("it is piped"), grow);
        let ended = reap(child);
        Self {
            name,
            pid,
            output: Output {
                streams: [out, err],
                grown,
            },
            ended,
        }
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.output.text(0)
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.output.text(1)
    }

    /// Waits for a whole line on standard output that starts with `prefix`, and gives the rest of the line.
    ///
    /// # Panics
    /// When the process ends without it, or after the deadline; with all that it wrote.
    pub async fn line(&self, prefix: &str) -> String {
        self.line_unless_ended(prefix).await.unwrap_or_else(|| {
            panic!(
                "{} ended without {prefix:?}:\n{}{}",
                self.name,
                self.stdout(),
                self.stderr()
            )
        })
    }

    /// The same for a process that may end without it: `None`.
    ///
    /// # Panics
    /// After the deadline; with all that it wrote.
    pub async fn line_unless_ended(&self, prefix: &str) -> Option<String> {
        let mut grown = self.output.grown.clone();
        let waited = tokio::time::timeout(DEADLINE, async {
            loop {
                grown.borrow_and_update();
                let text = self.stdout();
                let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
                if let Some(rest) = whole.lines().find_map(|line| line.strip_prefix(prefix)) {
                    return Some(rest.trim().to_owned());
                }
                // Both writers are gone: nothing more comes.
                if grown.changed().await.is_err() {
                    return None;
                }
            }
        });
        waited.await.unwrap_or_else(|_| {
            panic!(
                "{} did not say {prefix:?}:\n{}{}",
                self.name,
                self.stdout(),
                self.stderr()
            )
        })
    }

    /// Its number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Whether it runs still.
    pub fn is_running(&self) -> bool {
        self.ended.borrow().is_none()
    }

    /// Its exit code, or 128 and the signal that ended it; `None` while it runs.
    pub fn ended_with(&self) -> Option<i32> {
        self.ended.borrow().map(code)
    }

    /// Its resident memory in bytes.
    ///
    /// # Panics
    /// When it has ended, or the system does not know.
    pub fn resident_memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("{path} does not tell the resident memory: {status}")) * 1024
    }

    /// How many files and sockets it has open.
    ///
    /// # Panics
    /// When it has ended, or the system does not know.
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid);
        std::fs::read_dir(&path)
            .unwrap_or_else(|why| panic!("{path}: {why}"))
            .count()
    }

    /// Sends a signal to the process, if it runs still.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() {
            let _ended_meanwhile = kill(self.pid, signal);
        }
    }

    /// Sends a signal to the process and all its children, as a terminal does at Ctrl-C.
    pub fn signal_group(&self, signal: Signal) {
        if self.is_running() {
            let _ended_meanwhile = killpg(self.pid, signal);
        }
    }

    /// Waits for its end: the exit code, or 128 and the signal that ended it.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn exit_code(&self) -> i32 {
        let mut ended = self.ended.clone();
        let waited = tokio::time::timeout(DEADLINE, ended.wait_for(Option::is_some)).await;
        let Some(code) = waited.ok().and_then(|status| status.ok()?.map(code)) else {
            panic!("{} does not end:\n{}{}", self.name, self.stdout(), self.stderr());
        };
        self.output.whole().await;
        code
    }

    /// Asks it to end, and waits: the exit code.
    pub async fn terminate(&self) -> i32 {
        self.signal(Signal::SIGTERM);
        self.exit_code().await
    }

    /// Kills it without warning, and waits until it is gone.
    pub async fn kill(&self) {
        self.signal(Signal::SIGKILL);
        self.exit_code().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal_group(Signal::SIGKILL);
        if std::thread::panicking() {
            let (out, err) = (self.stdout(), self.stderr());
            eprintln!("── {}\n── standard output\n{out}── standard error\n{err}", self.name);
        }
    }
}

impl Output {
    fn text(&self, stream: usize) -> String {
        let bytes = self.streams[stream].lock().expect("the reader never panics");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until all is read that an ended process has written. A child that it left behind may hold its streams open: then what is
    /// there has to do.
    async fn whole(&self) {
        let mut grown = self.grown.clone();
        let closed = async { while grown.changed().await.is_ok() {} };
        let _ = tokio::time::timeout(LEFT_BEHIND, closed).await;
    }
}

fn keep(mut stream: impl Read + Send + 'static, grow: Arc<watch::Sender<u64>>) -> Arc<Mutex<Vec<u8>>> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    let keeper = Arc::clone(&kept);
    std::thread::spawn(move || {
        let mut chunk = [0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut chunk) {
            keeper
                .lock()
                .expect("nobody panics with it")
                .extend_from_slice(&chunk[..count]);
            grow.send_modify(|n| *n += 1);
        }
    });
    kept
}

fn reap(mut child: Child) -> watch::Receiver<Option<ExitStatus>> {
    let (tell, ended) = watch::channel(None);
    std::thread::spawn(move || {
        if let Ok(status) = child.wait() {
            tell.send_replace(Some(status));
        }
    });
    ended
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// A process that ran to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The exit code, or 128 and the signal that ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// Both streams.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end, with `stdin` as its input.
///
/// # Panics
/// When it can't be started, or does not end.
pub async fn finish(mut command: Command, stdin: &str) -> Finished {
    let name = format!("{command:?}");
    let input = stdin.to_owned();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn()?;
        if let Some(mut pipe) = child.stdin.take() {
            // A command that does not read its input closes it; that is its right.
            let _ = std::io::Write::write_all(&mut pipe, input.as_bytes());
        }
        child.wait_with_output()
    });
    match tokio::time::timeout(DEADLINE + Duration::from_secs(90), run).await {
        Ok(Ok(Ok(output))) => Finished {
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        },
        Ok(failed) => panic!("{name}: {failed:?}"),
        Err(_) => panic!("{name} does not end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn lines_exit_codes_and_signals_are_seen() {
        let process = Process::start(&mut sh("echo 'at  here '; echo wrong >&2; exec sleep 60"));
        assert_eq!(process.line("at").await, "here");
        assert!(process.is_running());
        assert!(process.resident_memory() > 0 && process.open_files() >= 3);
        assert_eq!(process.terminate().await, 128 + 15);
        assert_eq!(process.stderr(), "wrong\n");
        let many = Process::start(&mut sh("seq 20000 >&2; exit 3"));
        assert_eq!(many.exit_code().await, 3);
        assert!(many.stderr().ends_with("\n20000\n"), "all that it wrote is there");
        let leaving = Process::start(&mut sh("sleep 60 & exit 5"));
        assert_eq!(leaving.exit_code().await, 5);
        assert_eq!(finish(sh("cat; exit 4"), "in").await.stdout, "in");
    }

    #[tokio::test]
    #[should_panic(expected = "ended without \"at\"")]
    async fn an_end_without_the_line_is_reported_at_once() {
        Process::start(&mut sh("echo elsewhere")).line("at").await;
    }
}
