//! Runs the tests as a child and passes signals on to it, so that whoever started the child always gets to clean up.
//!
//! The child has a process group of its own: a Ctrl-C of the terminal reaches us alone, and the child hears of it once, from
//! us. Its standard input is empty, because a background group may not read from the terminal.

use anyhow::Context as _;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use parking_lot::{Mutex, MutexGuard};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// How long an interrupted runner may take to end its tests before it is killed.
const GRACE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct State {
    /// The first signal that came.
    signal: Option<i32>,
    /// The running child, which leads a process group.
    child: Option<Pid>,
}

/// Catches SIGINT, SIGTERM and SIGHUP from its making on.
pub(crate) struct Runner {
    state: Arc<Mutex<State>>,
}

impl Runner {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let state = Arc::new(Mutex::new(State::default()));
        let mut signals =
            signal_hook::iterator::Signals::new([SIGINT, SIGTERM, SIGHUP]).context("can't catch signals")?;
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for signal in signals.forever() {
                interrupt(&shared, signal);
            }
        });
        Ok(Self { state })
    }

    /// The exit code to end with, if a signal came.
    pub(crate) fn interrupted(&self) -> Option<u8> {
        lock(&self.state).signal.map(exit_code_of_signal)
    }

    /// Runs `command` to its end; answers its exit code.
    pub(crate) fn run(&self, mut command: Command) -> anyhow::Result<u8> {
        command.stdin(Stdio::null()).process_group(0);
        let mut child = {
            // Held over the start, so that a signal either prevents the start or finds the child.
            let mut state = lock(&self.state);
            if let Some(signal) = state.signal {
                return Ok(exit_code_of_signal(signal));
            }
            let child = command
                .spawn()
                .with_context(|| format!("can't start {}", command.get_program().display()))?;
            state.child = i32::try_from(child.id()).ok().map(Pid::from_raw);
            child
        };
        let status = child.wait();
        let mut state = lock(&self.state);
        state.child = None;
        if let Some(signal) = state.signal {
            return Ok(exit_code_of_signal(signal));
        }
        let status = status.context("can't wait for the tests")?;
        let code = status
            .code()
            .or_else(|| status.signal().map(|signal| i32::from(exit_code_of_signal(signal))));
        Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
    }
}

fn interrupt(state: &Arc<Mutex<State>>, signal: i32) {
    let mut locked = lock(state);
    let first = locked.signal.is_none();
    locked.signal.get_or_insert(signal);
    let Some(child) = locked.child else { return };
    if !first {
        let _gone_already = killpg(child, Signal::SIGKILL);
        return;
    }
    let _gone_already = killpg(child, Signal::try_from(signal).unwrap_or(Signal::SIGTERM));
    let state = Arc::clone(state);
    std::thread::spawn(move || {
        std::thread::sleep(GRACE);
        if let Some(child) = lock(&state).child {
            let _gone_already = killpg(child, Signal::SIGKILL);
        }
    });
}

fn exit_code_of_signal(signal: i32) -> u8 {
    u8::try_from(signal).map_or(1, |signal| signal.saturating_add(128))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_childs() {
        let runner = Runner::new().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "exit 7"]);
        assert_eq!(runner.run(command).unwrap(), 7);
        assert_eq!(runner.interrupted(), None);
        let mut command = Command::new("sh");
        command.args(["-c", "kill -KILL $$"]);
        assert_eq!(runner.run(command).unwrap(), 137);
    }

    #[test]
    fn a_signal_reaches_the_child_and_prevents_later_ones() {
        let runner = Runner::new().unwrap();
        let state = Arc::clone(&runner.state);
        // Interrupts as soon as the child is there; the child would run for a minute.
        let interrupter = std::thread::spawn(move || {
            while lock(&state).child.is_none() {
                std::thread::yield_now();
            }
            interrupt(&state, SIGTERM);
        });
        let mut command = Command::new("sleep");
        command.arg("60");
        assert_eq!(runner.run(command).unwrap(), 143);
        interrupter.join().unwrap();
        assert_eq!(runner.interrupted(), Some(143));
        let mut command = Command::new("sh");
        command.args(["-c", "exit 0"]);
        assert_eq!(runner.run(command).unwrap(), 143, "nothing is started after a signal");
    }
}
