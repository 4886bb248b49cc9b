//! Which tokens are valid, as seen by those who manage them, and what that means for requests.

use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a denial is believed.
const DENIAL: Duration = Duration::from_secs(5);
/// How long an answer takes at most.
const ANSWER: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct Tokens(BTreeMap<usize, Token>);

#[derive(Debug, Default)]
struct Token {
    /// When it became invalid.
    bad_since: Option<Instant>,
    /// When that was acknowledged to whoever wanted it.
    acknowledged: Option<Instant>,
    /// When it became valid again.
    good_since: Option<Instant>,
}

impl Tokens {
    /// It becomes invalid.
    pub(super) fn invalidate(&mut self, token: usize) {
        let token = self.0.entry(token).or_default();
        token.bad_since = token.bad_since.or(Some(Instant::now()));
    }

    /// That was acknowledged.
    pub(super) fn acknowledge(&mut self, token: usize) {
        let token = self.0.entry(token).or_default();
        if token.bad_since.is_some() {
            token.acknowledged = token.acknowledged.or(Some(Instant::now()));
        }
    }

    /// It becomes valid again.
    pub(super) fn restore(&mut self, token: usize) {
        let token = self.0.entry(token).or_default();
        *token = Token {
            good_since: Some(Instant::now()),
            ..Token::default()
        };
    }

    pub(super) fn is_good(&self, token: usize) -> bool {
        self.0.get(&token).is_none_or(|token| token.bad_since.is_none())
    }

    /// What is wrong with admitting a request. `sound`: since when nothing keeps changes from the replica; `bound`: how long changes
    /// may take then; `lease`: how long they may take in any case, if known.
    pub(super) fn check_admitted(
        &self,
        token: usize,
        sound: Option<Instant>,
        bound: Duration,
        lease: Option<Duration>,
    ) -> Result<(), String> {
        let now = Instant::now();
        let Some(Token {
            bad_since,
            acknowledged,
            ..
        }) = self.0.get(&token)
        else {
            return Ok(());
        };
        if let (Some(at), Some(sound)) = (acknowledged, sound)
            && now > *at.max(&sound) + bound
        {
            return Err(format!("it was revoked {:?} ago", at.elapsed()));
        }
        if let (Some(at), Some(lease)) = (bad_since, lease)
            && now > *at + lease + ANSWER
        {
            return Err(format!("it was revoked {:?} ago, longer than its lease", at.elapsed()));
        }
        Ok(())
    }

    /// What is wrong with refusing a request because of its token.
    pub(super) fn check_denied(&self, token: usize) -> Result<(), &'static str> {
        let good = match self.0.get(&token) {
            None => true,
            Some(token) => {
                let was_good = |since: Instant| since.elapsed() > DENIAL + ANSWER;
                token.bad_since.is_none() && token.good_since.is_none_or(was_good)
            }
        };
        if good { Err("it is good") } else { Ok(()) }
    }
}
