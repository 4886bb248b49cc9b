//! Whether the control plane answers this replica's calls. It may be there, and its database not: the long stream says nothing of
//! that.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// A call that went unanswered says something for so long; while records wait, delivery calls more often.
const TELLING: Duration = Duration::from_secs(15);

/// When the last call went unanswered, unless one was answered since.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<Option<Instant>>);

impl Answers {
    /// A call came to its end.
    pub(crate) fn note(&self, answered: bool) {
        *self.0.lock() = (!answered).then(Instant::now);
    }

    /// Whether calls go unanswered at present.
    pub(crate) fn are_missing(&self) -> bool {
        let last = *self.0.lock();
        last.is_some_and(|at| at.elapsed() < TELLING)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_tells_until_one_is_answered_or_for_a_while() {
        let answers = Answers::default();
        assert!(!answers.are_missing());
        answers.note(false);
        assert!(answers.are_missing());
        answers.note(true);
        assert!(!answers.are_missing());
        answers.note(false);
        tokio::time::advance(TELLING).await;
        assert!(!answers.are_missing());
    }
}
