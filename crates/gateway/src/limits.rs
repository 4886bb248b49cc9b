//! The bounds of the data plane, for `docs/limits.md`.

use crate::access_log::WAITING_LINES;
use crate::auth::leases::{LOOKUP_TIMEOUT, LOOKUPS, MAX_LEASE, RENEWALS, WAITING};
use crate::exchange::content_coding::MOST_RATIO;
use crate::exchange::content_coding::answer::MOST_BYTES;
use crate::exchange::discard::{ANSWER, REFUSED};
use crate::exchange::models::learning::{LIST, PAGES};
use crate::exchange::socket::{
    ACTIVE_LANES, CLIENT_MESSAGE, ENDED, ID_BYTES, IDLE, LANES, LIFETIME, PROVIDER_MESSAGE, RESPONSES, UNASKED,
    UPGRADE_TIMEOUT,
};
use crate::fetched_keys::AUTHORITY;
use crate::inbound::listener::{
    CONNECTIONS, HEAD_TIMEOUT, HEADER_LIST, IDLE_TIMEOUT, REQUEST_FIELDS, STREAMS, WRITE_TIMEOUT,
};
use crate::made_objects::{GENERATION, LATE_ENDS};
use crate::model_lists::VERSIONS;
use crate::object_lookups::{ASKING, UNKNOWN_FOR, UNKNOWN_GENERATION};
use crate::options::Options;
use crate::routing::usage_refusals::KINDS;
use crate::sockets::SOCKETS;
use crate::upstream::h1::ANSWER_FIELDS;
use lychgate_clouds::{ANSWER_BYTES, CREDENTIAL_BYTES, LONGEST};
use lychgate_types::limits;
use lychgate_types::limits::{Limit, Most};

/// All of them, with the defaults of what can be set.
pub fn limits() -> Vec<Limit> {
    let options = Options::new("", "", "");
    limits! {
        Stranger, Most::count(CONNECTIONS.all), "connections to one listener", "closed at once", "a_connection_too_many_is_closed_at_once";
        Stranger, Most::count(CONNECTIONS.one), "of them from one address", "closed at once", "a_connection_too_many_is_closed_at_once";
        Stranger, Most::Time(HEAD_TIMEOUT), "wait for the head of a request", "closed", "a_connection_without_a_request_is_closed";
        Stranger, Most::Time(IDLE_TIMEOUT), "an HTTP/2 connection without a request", "closed",
            "an_http_2_connection_that_is_not_used_is_closed_and_one_with_an_open_answer_is_not";
        Stranger, Most::Time(WRITE_TIMEOUT), "wait for a peer to take the next byte", "closed", "a_peer_that_takes_nothing_is_given_up";
        Stranger, Most::bytes(options.head_limit), "head of an HTTP/1.1 request", "431, closed", "a_head_without_end_is_refused", "--max-head-bytes";
        Stranger, Most::count(REQUEST_FIELDS), "header fields of an HTTP/1.1 request", "431, closed", "a_head_of_too_many_fields_is_refused";
        Stranger, Most::Bytes(HEADER_LIST.into()), "header list of an HTTP/2 request", "431",
            "an_http_2_connection_has_bounded_heads_and_so_many_requests_at_a_time";
        Stranger, Most::Count(STREAMS.into()), "concurrent requests of one HTTP/2 connection", "the next one waits",
            "an_http_2_connection_has_bounded_heads_and_so_many_requests_at_a_time";
        Stranger, Most::Count(lychgate_stream::FRAMES_AT_ONCE), "HTTP/2 frames that ask for nothing, at once", "closed",
            "frames_that_ask_for_nothing_close_the_connection";
        Stranger, Most::Count(lychgate_stream::FRAMES_PER_SECOND), "further ones in a second", "closed",
            "frames_that_ask_for_nothing_close_the_connection";
        Stranger, Most::count(LOOKUPS.all), "tokens that are new to a replica and looked up at the same time", "503 `lookups_too_many`",
            "one_source_of_unknown_tokens_leaves_room_for_others";
        Stranger, Most::count(LOOKUPS.one), "of them from one address", "503 `lookups_too_many`",
            "one_source_of_unknown_tokens_leaves_room_for_others";
        User, Most::count(RENEWALS.all), "tokens that worked before and are looked up again at the same time", "503 `lookups_too_many`",
            "those_that_worked_before_have_a_bound_too";
        Stranger, Most::count(WAITING.all), "requests that wait for look-ups of the one or the other", "503 `lookups_too_many`",
            "those_of_one_source_who_wait_leave_room_for_others";
        Stranger, Most::count(WAITING.one), "of them from one address", "503 `lookups_too_many`",
            "those_of_one_source_who_wait_leave_room_for_others";
        Stranger, Most::Time(LOOKUP_TIMEOUT), "wait for the look-up of a token", "503 `control_plane_unreachable`",
            "while_the_control_plane_is_away_known_tokens_work_and_unknown_ones_do_not_hang";
        Stranger, Most::count(options.refused_bodies.all), "refused HTTP/1.1 requests whose bodies are read on", "closed without reading on",
            "without_a_place_a_strangers_body_is_not_read_on";
        Stranger, Most::count(options.refused_bodies.one), "of them from one address", "closed without reading on",
            "without_a_place_a_strangers_body_is_not_read_on";
        Stranger, Most::bytes(REFUSED.bytes), "body of a refused request that is read on", "closed",
            "without_a_place_a_strangers_body_is_not_read_on";
        Stranger, Most::Time(REFUSED.time), "time for that", "closed", "without_a_place_a_strangers_body_is_not_read_on";
        User, Most::Count(options.max_requests), "requests in flight, streams included", "503 `too_many_requests`",
            "too_many_requests_or_records_are_refused_with_retry_after";
        User, Most::bytes(options.body_limit), "request body", "413 `body_too_large`", "a_body_over_the_limit_is_refused_announced_or_not",
            "--max-body-bytes";
        Stranger, Most::count(WAITING_LINES), "lines of the access log that wait for their disk", "dropped, and counted",
            "no_request_waits_for_a_disk_that_hangs_and_lines_dropped_are_counted";
        User, Most::bytes(lychgate_wire::limits::NAME_BYTES), "name of a model in a path", "404 `unknown_path`",
            "a_key_in_the_query_and_a_model_that_is_too_long_are_refused";
        User, Most::count(lychgate_wire::limits::FORM_PARTS), "parts of a form", "400", "a_form_is_nothing_but_its_parts";
        User, Most::count(lychgate_wire::limits::REFERENCES), "stored objects that a request's body names", "400", "there_is_a_bound";
        User, Most::count(2 * GENERATION), "stored objects that a replica remembers", "asked for again",
            "what_is_used_stays_and_the_rest_is_bounded";
        User, Most::count(KINDS), "kinds of requests to one provider for which it refused to tell usage and that are remembered", "asked again",
            "the_kinds_that_are_remembered_are_bounded";
        User, Most::count(VERSIONS), "lists of models of one provider, for so many versions of a client, that a replica keeps", "the list for no version is told",
            "lists_are_bounded_in_number_pages_and_bytes";
        Provider, Most::Time(AUTHORITY.total), "wait for a credential that is fetched", "asked again, after 60 s at most",
            "while_the_authority_is_away_the_old_credential_serves_until_it_expires";
        Provider, Most::bytes(ANSWER_BYTES), "answer of an authority", "not used", "an_authority_that_refuses_is_quoted_by_its_code_and_asked_again";
        Provider, Most::bytes(CREDENTIAL_BYTES), "a credential that is fetched", "not used", "what_cant_be_sent_is_no_credential";
        Provider, Most::Time(LONGEST), "a credential that is fetched works", "fetched again", "a_credential_comes_with_how_long_it_works";
        Provider, Most::count(PAGES), "pages of such a list", "the rest is left out", "lists_are_bounded_in_number_pages_and_bytes";
        Provider, Most::bytes(LIST.bytes), "bytes of it, and of a page", "the rest is left out; a page is not used", "lists_are_bounded_in_number_pages_and_bytes";
        Provider, Most::count(lychgate_wire::limits::MODELS), "models of a list", "the rest is left out", "lists_are_bounded_in_number_pages_and_bytes";
        Provider, Most::Time(LIST.total), "time for a list", "not used", "a_list_that_does_not_come_is_asked_for_again";
        Provider, Most::Bytes(MOST_BYTES), "a compressed answer once it is decoded", "read no further, relayed whole",
            "what_is_decoded_is_bounded";
        User, Most::Count(MOST_RATIO), "bytes that one byte of a compressed body may become", "413 `body_too_large`",
            "what_is_decoded_is_bounded";
        User, Most::Time(options.body_idle_timeout), "wait for the next part of a request body", "408 `body_unfinished`",
            "a_body_that_stalls_is_refused";
        User, Most::Time(options.body_timeout), "time for a whole request body", "408 `body_unfinished`", "a_body_that_stalls_is_refused";
        User, Most::bytes(options.body_budget.all), "request bodies held at the same time", "503 `bodies_too_many`",
            "bodies_have_a_budget_in_sum_and_a_share_of_it_per_user", "--max-body-bytes";
        User, Most::bytes(options.body_budget.one), "of them of one user", "429 `bodies_too_many`",
            "bodies_have_a_budget_in_sum_and_a_share_of_it_per_user", "--max-body-bytes";
        User, Most::Time(options.drain_limits.time), "an answer that is read on after its client left", "recorded with an estimate",
            "beyond_the_drain_limits_usage_is_estimated";
        User, Most::bytes(options.drain_limits.bytes), "bytes of it", "recorded with an estimate", "a_stream_over_the_drain_limit_is_cut_off_and_still_recorded";
        User, Most::count(ASKING.all), "requests that wait for who made the objects that they name", "503 `lookups_too_many`",
            "those_who_ask_about_an_object_share_one_question_and_are_bounded";
        User, Most::count(ASKING.one), "of them of one user", "503 `lookups_too_many`",
            "those_who_ask_about_an_object_share_one_question_and_are_bounded";
        User, Most::Time(UNKNOWN_FOR), "how long it is remembered that nobody is known to have made an object", "asked again",
            "that_nobody_made_an_object_is_remembered_for_a_moment_and_of_so_many";
        User, Most::count(2 * UNKNOWN_GENERATION), "objects of which that is remembered", "asked again",
            "that_nobody_made_an_object_is_remembered_for_a_moment_and_of_so_many";
        User, Most::count(LATE_ENDS.all), "ends of background responses that wait for the record of their makers", "not booked until shown again",
            "ends_that_wait_for_their_makers_are_bounded";
        User, Most::count(LATE_ENDS.one), "of them of one user", "not booked until shown again",
            "ends_that_wait_for_their_makers_are_bounded";
        User, Most::Time(options.last_look.time), "look at a response in the background before it is deleted", "503 `provider_failed`, not deleted",
            "a_look_before_a_deletion_ends_by_time_and_by_bytes";
        User, Most::bytes(options.last_look.bytes), "bytes of it", "503 `provider_failed`, not deleted", "a_look_before_a_deletion_ends_by_time_and_by_bytes";
        User, Most::count(SOCKETS.all), "WebSockets", "429 `sockets_too_many`", "a_user_has_so_many_websockets";
        User, Most::count(SOCKETS.one), "of them of one user", "429 `sockets_too_many`", "a_user_has_so_many_websockets";
        User, Most::Time(UPGRADE_TIMEOUT), "wait for a provider to open a WebSocket", "504 `provider_failed`",
            "a_provider_that_does_not_open_a_websocket_is_given_up";
        User, Most::Time(LIFETIME), "a WebSocket", "closed, 1001, behind what is being made", "a_websocket_has_its_time";
        User, Most::Time(IDLE), "a WebSocket in which nothing is made", "closed, 1001", "a_websocket_has_its_time";
        User, Most::bytes(CLIENT_MESSAGE), "a message of a client, whole or in parts", "413 `body_too_large`, closed, 1009",
            "a_message_that_is_too_large_or_no_text_closes_the_websocket";
        User, Most::count(LANES), "lanes that a WebSocket names", "429 `sockets_too_many`", "lanes_and_responses_are_bounded";
        User, Most::count(ACTIVE_LANES), "of them with responses at the same time", "429 `sockets_too_many`",
            "lanes_and_responses_are_bounded";
        User, Most::count(RESPONSES), "responses that one lane waits for", "429 `sockets_too_many`", "lanes_and_responses_are_bounded";
        User, Most::count(UNASKED), "steers of a WebSocket that wait", "429 `sockets_too_many`", "steers_that_wait_are_bounded";
        User, Most::count(ENDED), "responses of a WebSocket", "closed, 1001, behind what is being made", "a_websocket_makes_so_many_responses";
        Provider, Most::count(UNASKED), "responses at a time on a WebSocket that nobody asked for", "closed, 1013", "responses_that_nobody_asked_for_are_bounded_and_on_record";
        Provider, Most::bytes(ID_BYTES), "id of a response on a WebSocket", "closed, 1013", "what_the_provider_names_is_bounded";
        User, Most::Bytes(options.spool.max_bytes), "records that wait for delivery, and what requests in flight have reserved: a quarter of their prompts, at least 4 KiB each; the rest of their records comes on top", "503 `spool_full`",
            "a_full_spool_takes_what_was_reserved_and_nothing_more_until_there_is_room", "--spool-max-bytes";
        User, Most::Bytes(options.spool.max_bytes / 2), "of them of one user", "503 `spool_share_full`",
            "one_user_leaves_half_of_the_spool_to_the_others", "--spool-max-bytes";
        User, Most::Bytes(options.spool.max_bytes / 4 * 3), "of them of one user while nobody else has any, with `--spool-full unrecorded`", "not recorded",
            "where_requests_go_on_unrecorded_somebody_alone_leaves_a_quarter_to_those_who_come_later", "--spool-max-bytes";
        Replica, Most::Time(MAX_LEASE), "how long a token is known without asking again", "asked again", "no_lease_is_longer_than_a_day";
        Replica, Most::Time(options.max_offline), "serving known tokens without a control plane", "503 `offline_too_long`",
            "nothing_is_lost_and_nobody_is_stale", "--max-offline";
        Provider, Most::count(ANSWER_FIELDS), "header fields of an answer", "502 `provider_failed`", "an_answer_with_too_many_header_fields_is_a_502";
        Provider, Most::bytes(ANSWER.bytes), "an answer that is not forwarded and read on for its connection", "the connection is closed",
            "a_discard_ends_by_bytes_time_or_end";
        Provider, Most::bytes(PROVIDER_MESSAGE), "a message over a WebSocket", "closed, 1011", "a_message_that_is_too_large_or_no_text_closes_the_websocket";
        Provider, Most::bytes(lychgate_wire::limits::EVENT_BYTES), "event of a stream that is read whole", "read abridged, relayed whole",
            "an_event_over_the_limit_is_abridged_and_not_held";
        Provider, Most::bytes(lychgate_wire::limits::FRAME_PAYLOAD_BYTES), "frame of a stream in AWS's format", "not read on, relayed whole",
            "a_claim_is_refused_before_anything_is_held_for_it";
        Provider, Most::bytes(lychgate_wire::limits::BODY_BYTES), "blocking answer that is read whole", "read abridged, relayed whole",
            "the_limit_is_the_same_for_every_cut";
        User, Most::bytes(lychgate_wire::limits::PROMPT_BYTES), "text of a prompt on record", "cut, and marked", "text_is_cut_between_characters_and_marked_once";
        Provider, Most::bytes(lychgate_wire::limits::ANSWER_CONTENT_BYTES), "arguments and thoughts of one answer on record", "cut, and marked",
            "long_strings_are_cut_between_characters_and_marked";
        Provider, Most::count(lychgate_wire::limits::ITEMS), "tool calls and thoughts of one answer on record", "left out",
            "lists_are_bounded_and_depth_does_no_harm";
        Provider, Most::count(lychgate_wire::limits::PASSES), "usage rows of one answer", "left out", "each_billed_pass_of_the_model_is_a_row";
        Provider, Most::count(lychgate_wire::limits::COUNTERS), "counters of one usage", "left out", "counters_are_bounded_in_number_depth_and_name";
    }
}
