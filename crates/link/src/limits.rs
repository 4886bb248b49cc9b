//! What a peer may send over the link, in bytes, number and time. Each bound stands here and nowhere else.

use std::time::Duration;

/// The largest message that a replica takes, a whole configuration with all providers.
pub const DOWN_MESSAGE_BYTES: usize = 32 << 20;
/// The largest message that goes up an attachment: a hello with its labels.
pub const UP_MESSAGE_BYTES: usize = 64 << 10;
/// The largest look-up of a token: a hash.
pub const AUTHORIZE_MESSAGE_BYTES: usize = 4 << 10;
/// The largest delivery.
pub const DELIVER_MESSAGE_BYTES: usize = 4 << 20;
/// Records in one delivery.
pub const DELIVERED_RECORDS: usize = 2048;
/// Elements of each list of one record.
pub const RECORD_ITEMS: usize = 1024;
/// Further counters of one usage.
pub const COUNTERS: usize = 64;
/// Labels of one replica.
pub const LABELS: usize = 64;
/// So many bytes of memory may one byte of a message cost once it is decoded.
pub const AMPLIFICATION: usize = 10;

/// Longest wait for a whole look-up, once its head has come.
pub const AUTHORIZE_BODY_TIME: Duration = Duration::from_secs(10);
/// Longest wait for a whole delivery.
pub const DELIVER_BODY_TIME: Duration = Duration::from_secs(60);
/// Longest wait for the hello of an attachment.
pub const HELLO_TIME: Duration = Duration::from_secs(10);
/// Longest wait for a heartbeat, of which one is due every ten seconds.
pub const SILENCE: Duration = Duration::from_secs(60);
