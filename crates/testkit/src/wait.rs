//! Waits for conditions, with a deadline and never for a fixed time.

use std::time::Duration;

/// Longer than anything here takes on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer; `what` is what the test was waiting for.
///
/// # Panics
/// After [`DEADLINE`].
#[track_caller]
pub fn eventually<T, F: Future<Output = Option<T>>>(what: &str, ask: impl FnMut() -> F) -> impl Future<Output = T> {
    within(DEADLINE, what, ask)
}

/// The same with a deadline of the caller's own.
///
/// # Panics
/// After that deadline.
#[track_caller]
pub fn within<T, F: Future<Output = Option<T>>>(
    deadline: Duration,
    what: &str,
    mut ask: impl FnMut() -> F,
) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let answered = tokio::time::timeout(deadline, async {
            let mut tick = tokio::time::interval(Duration::from_millis(10));
            loop {
                tick.tick().await;
                if let Some(answer) = ask().await {
                    return answer;
                }
            }
        });
        match answered.await {
            Ok(answer) => answer,
            Err(_) => panic!("{caller}: waited {deadline:?} in vain: {what}"),
        }
    }
}
