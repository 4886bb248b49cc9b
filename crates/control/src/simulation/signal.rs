//! A value that tasks can wait for; they are woken in the order in which they came. (The runtime's own watched value wakes its
//! waiters in an order that follows from no seed.)

use std::sync::Mutex;
use tokio::sync::Notify;

#[derive(Debug)]
pub(super) struct Signal<T> {
    value: Mutex<T>,
    bell: Notify,
}

impl<T: Copy> Signal<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            value: Mutex::new(value),
            bell: Notify::new(),
        }
    }

    pub(super) fn get(&self) -> T {
        *self.value.lock().unwrap()
    }

    pub(super) fn set(&self, value: T) {
        *self.value.lock().unwrap() = value;
        self.bell.notify_waiters();
    }

    /// Waits for a value that satisfies this, including the current one.
    pub(super) async fn until(&self, like: impl Fn(T) -> bool) -> T {
        loop {
            let rung = self.bell.notified();
            let value = self.get();
            if like(value) {
                return value;
            }
            rung.await;
        }
    }
}
