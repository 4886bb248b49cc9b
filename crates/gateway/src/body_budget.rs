//! The bytes of request bodies that are held at the same time: a bound for all, and a share of it for one user. A body counts
//! from when its bytes come until the last copy of it is dropped, once it is sent.
//!
//! Messages that a provider sends over a WebSocket count, too, but are not refused: they are waited for. So that what has half come
//! is not waited for by another half forever, one message of each user may go past its share, and one of all past the bound of all.
//!
//! Not here: the bound and the time of one body (`Options`), and reading it (crate `stream`).

use bytes::Bytes;
use lychgate_types::Holder;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// A body up to this size does not count: most are, and the limit of requests in flight bounds them in sum.
pub(crate) const FREE_BYTES: usize = 16 << 10;
/// Room is taken in steps of this size, so that a body that comes in many pieces seldom asks.
const STEP_BYTES: usize = 64 << 10;

/// How many bytes of bodies are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyBudgetLimits {
    /// Of all requests together.
    pub all: usize,
    /// Of the requests of one user.
    pub one: usize,
}

/// What all may hold, and one user.
const USUAL: BodyBudgetLimits = BodyBudgetLimits {
    all: 512 << 20,
    one: 128 << 20,
};

impl BodyBudgetLimits {
    /// Those for bodies of this size at most: one user's share holds a whole one that comes compressed, in both forms, and there are
    /// at least two such shares.
    pub fn holding(body_limit: usize) -> Self {
        let one = USUAL.one.max(2 * (body_limit + STEP_BYTES));
        Self {
            all: USUAL.all.max(2 * one),
            one,
        }
    }
}

/// What is held at present.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    limits: BodyBudgetLimits,
    held: Mutex<Held>,
    /// Tells those who wait that there is more room.
    freed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Held {
    all: usize,
    of: HashMap<Holder, usize>,
    /// The bounds that a room goes past: a user's share, or that of all.
    overdrawn: HashSet<Option<Holder>>,
}

/// The room that one body takes.
#[derive(Debug)]
pub(crate) struct Room {
    budget: Arc<BodyBudget>,
    holder: Holder,
    bytes: usize,
}

/// The room that one message over a WebSocket takes, which may go past a bound.
#[derive(Debug)]
pub(crate) struct MessageRoom {
    room: Room,
    /// The bounds that it may go past.
    overdraws: Vec<Option<Holder>>,
}

/// Whose limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    ForAnyone,
    ForThisUser,
}

/// A body, and the room that it takes.
#[derive(Debug)]
pub(crate) struct HeldBody {
    pub(crate) bytes: Bytes,
    room: Room,
}

impl BodyBudget {
    pub(crate) fn new(limits: BodyBudgetLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            held: Mutex::default(),
            freed: Arc::default(),
        })
    }

    /// For a body of which nothing has come.
    pub(crate) fn room(self: &Arc<Self>, holder: Holder) -> Room {
        Room {
            budget: Arc::clone(self),
            holder,
            bytes: 0,
        }
    }

    /// The same for a message.
    pub(crate) fn message_room(self: &Arc<Self>, holder: Holder) -> MessageRoom {
        MessageRoom {
            room: self.room(holder),
            overdraws: Vec::new(),
        }
    }

    /// Until some room has become free, from now on.
    pub(crate) fn freed(&self) -> OwnedNotified {
        Arc::clone(&self.freed).notified_owned()
    }
}

impl Room {
    /// Makes room for a body of this size so far.
    pub(crate) fn grow(&mut self, size: usize) -> Result<(), NoRoom> {
        self.grow_past(size, None)
    }

    /// The same, where `Some` past a bound that nobody else goes past; those that it goes past are added.
    fn grow_past(&mut self, size: usize, mut overdraws: Option<&mut Vec<Option<Holder>>>) -> Result<(), NoRoom> {
        if size <= FREE_BYTES.max(self.bytes) {
            return Ok(());
        }
        let more = size.next_multiple_of(STEP_BYTES) - self.bytes;
        let BodyBudget { limits, held, .. } = &*self.budget;
        let mut held = held.lock();
        let one = held.of.get(&self.holder).copied().unwrap_or_default() + more;
        // That of all first: who goes past it waits for nobody.
        for (is_full, bound, no_room) in [
            (held.all + more > limits.all, None, NoRoom::ForAnyone),
            (one > limits.one, Some(self.holder), NoRoom::ForThisUser),
        ] {
            match &mut overdraws {
                _ if !is_full => {}
                Some(known) if known.contains(&None) || known.contains(&bound) => {}
                Some(known) if held.overdrawn.insert(bound) => known.push(bound),
                _ => return Err(no_room),
            }
        }
        held.of.insert(self.holder, one);
        held.all += more;
        self.bytes += more;
        Ok(())
    }
}

impl Room {
    /// Gives back what a body of this size does not need.
    pub(crate) fn shrink(&mut self, size: usize) {
        let needed = match size <= FREE_BYTES {
            true => 0,
            false => size.next_multiple_of(STEP_BYTES),
        };
        let surplus = self.bytes.saturating_sub(needed);
        if surplus == 0 {
            return;
        }
        let mut held = self.budget.held.lock();
        held.all -= surplus;
        if let Some(one) = held.of.get_mut(&self.holder) {
            *one -= surplus;
            if *one == 0 {
                held.of.remove(&self.holder);
            }
        }
        self.bytes -= surplus;
        drop(held);
        self.budget.freed.notify_waiters();
    }
}

impl MessageRoom {
    /// Makes room for a message of this size so far.
    pub(crate) fn grow(&mut self, size: usize) -> Result<(), NoRoom> {
        self.room.grow(size)
    }

    /// The same, past a bound that nobody else goes past.
    pub(crate) fn grow_past(&mut self, size: usize) -> Result<(), NoRoom> {
        self.room.grow_past(size, Some(&mut self.overdraws))
    }
}

/// Behind it the room itself is given back, which tells those who wait.
impl Drop for MessageRoom {
    fn drop(&mut self) {
        if !self.overdraws.is_empty() {
            let mut held = self.room.budget.held.lock();
            for bound in &self.overdraws {
                held.overdrawn.remove(bound);
            }
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

impl HeldBody {
    pub(crate) const fn new(bytes: Bytes, room: Room) -> Self {
        Self { bytes, room }
    }

    /// The bytes, which take their room for as long as any copy of them is there.
    pub(crate) fn into_bytes(self) -> Bytes {
        if self.room.bytes == 0 {
            self.bytes
        } else {
            Bytes::from_owner(self)
        }
    }
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;
    const ONE: Holder = Holder::from_number(1);
    const OTHER: Holder = Holder::from_number(2);

    #[test]
    fn small_bodies_are_free_and_large_ones_count_until_the_last_copy_is_gone() {
        let budget = BodyBudget::new(BodyBudgetLimits {
            all: 192 * KIB,
            one: 128 * KIB,
        });
        let mut small = budget.room(ONE);
        small.grow(FREE_BYTES).unwrap();
        assert_eq!(budget.held.lock().all, 0);

        let mut large = budget.room(ONE);
        large.grow(FREE_BYTES + 1).unwrap();
        large.grow(64 * KIB).unwrap();
        assert_eq!(budget.held.lock().all, 64 * KIB);
        large.grow(128 * KIB).unwrap();
        assert_eq!(large.grow(128 * KIB + 1), Err(NoRoom::ForThisUser));
        assert_eq!(small.grow(FREE_BYTES + 1), Err(NoRoom::ForThisUser));
        budget.room(OTHER).grow(64 * KIB).unwrap();
        assert_eq!(budget.room(OTHER).grow(65 * KIB), Err(NoRoom::ForAnyone));

        let body = HeldBody::new(Bytes::from_static(b"large"), large).into_bytes();
        let copy = body.clone();
        drop(body);
        assert_eq!((&copy[..], budget.held.lock().all), (&b"large"[..], 128 * KIB));
        drop(copy);
        let held = budget.held.lock();
        assert_eq!((held.all, held.of.len()), (0, 0), "nothing is remembered of nobody");
    }

    #[tokio::test]
    async fn one_message_goes_past_each_bound_and_who_waits_hears_of_room() {
        let budget = BodyBudget::new(BodyBudgetLimits {
            all: 256 * KIB,
            one: 128 * KIB,
        });
        let (mut first, mut second) = (budget.message_room(ONE), budget.message_room(ONE));
        first.grow_past(129 * KIB).unwrap();
        assert_eq!(second.grow_past(FREE_BYTES + 1), Err(NoRoom::ForThisUser));
        // The other user's share is not touched, but the bound of all is reached.
        let mut other = budget.message_room(OTHER);
        assert_eq!(other.grow(65 * KIB), Err(NoRoom::ForAnyone));
        other.grow_past(65 * KIB).unwrap();
        assert_eq!(first.grow_past(193 * KIB), Err(NoRoom::ForAnyone));
        other.grow_past(640 * KIB).unwrap();
        let freed = budget.freed();
        drop(other);
        freed.await;
        first.grow_past(193 * KIB).unwrap();
        drop(first);
        second.grow_past(FREE_BYTES + 1).unwrap();
        drop(second);
        let held = budget.held.lock();
        assert_eq!((held.all, held.of.len(), held.overdrawn.len()), (0, 0, 0));
    }
}
