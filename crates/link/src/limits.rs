//! What a peer may send over the link, in bytes, number and time. Each bound stands here and nowhere else.

use lychgate_types::limits;
use lychgate_types::limits::{Limit, Most};
use std::time::Duration;

/// The largest message that a replica takes, a whole configuration with all providers.
pub const DOWN_MESSAGE_BYTES: usize = 32 << 20;
/// The largest message that goes up an attachment: a hello with its labels.
pub const UP_MESSAGE_BYTES: usize = 64 << 10;
/// The largest look-up of a token: a hash.
pub const AUTHORIZE_MESSAGE_BYTES: usize = 4 << 10;
/// The largest look-up of stored objects: a hash, and the ids that one request names.
pub const OWNS_MESSAGE_BYTES: usize = 64 << 10;
/// Stored objects in one look-up.
pub const OWNED_OBJECTS: usize = 128;
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

/// The rows of `docs/limits.md` about the link.
pub fn limits() -> Vec<Limit> {
    limits! {
        Replica, Most::bytes(AUTHORIZE_MESSAGE_BYTES), "a look-up over the link", "refused", "each_method_takes_no_more_than_it_may_need";
        Replica, Most::bytes(OWNS_MESSAGE_BYTES), "a look-up of stored objects", "refused", "each_method_takes_no_more_than_it_may_need";
        Replica, Most::count(OWNED_OBJECTS), "stored objects of a look-up", "refused", "lists_end_at_their_bounds";
        Replica, Most::Time(HELLO_TIME), "wait for the first message of an attachment", "closed", "an_unfinished_message_is_given_up";
        Replica, Most::bytes(UP_MESSAGE_BYTES), "a message of an attachment", "closed", "each_method_takes_no_more_than_it_may_need";
        Replica, Most::bytes(DELIVER_MESSAGE_BYTES), "a delivery of records", "refused", "each_method_takes_no_more_than_it_may_need";
        Replica, Most::Time(AUTHORIZE_BODY_TIME), "time for a look-up", "given up", "an_unfinished_message_is_given_up";
        Replica, Most::Time(DELIVER_BODY_TIME), "time for a delivery", "given up", "an_unfinished_message_is_given_up";
        Replica, Most::Time(SILENCE), "an attachment without a heartbeat", "closed", "an_attachment_without_a_heartbeat_is_closed";
        Replica, Most::count(DELIVERED_RECORDS), "records of a delivery", "refused", "lists_end_at_their_bounds";
        Replica, Most::count(RECORD_ITEMS), "elements of each list of a record", "the record is set aside", "each_list_ends_at_its_bound";
        Replica, Most::count(COUNTERS), "further counters of one usage", "the record is set aside", "each_list_ends_at_its_bound";
        Replica, Most::count(LABELS), "labels of a replica", "refused", "lists_end_at_their_bounds";
        Replica, Most::count(AMPLIFICATION), "bytes of memory for one byte of a message", "refused",
            "empty_elements_are_worth_no_more_memory_than_ten_times_their_bytes";
    }
}
