//! All metrics. `metrics.md` next to this crate is generated from this list.

use super::labels::*;
use super::link_trouble::LinkTrouble;
use lychgate_types::interception::Outcome;
use lychgate_types::{KeyRefusal, Texts};

/// Which processes serve a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every process.
    Process,
    /// A process that serves AI requests: a replica, or a control plane with its embedded gateway.
    DataPlane,
    /// A control plane.
    ControlPlane,
}

lychgate_types::text_enum! {
    /// What kind of number a metric is.
    Type {
        /// Only grows, from 0 at the start of the process.
        Counter = "counter",
        /// Goes up and down.
        Gauge = "gauge",
        /// Counts observations in buckets by duration.
        Histogram = "histogram",
    }
}

/// A label.
#[derive(Debug, Clone, Copy)]
pub struct LabelName {
    /// Its name.
    pub name: &'static str,
    /// All values that it can have; `None`: a name that an operator configured, or the version of the program.
    pub values: Option<fn() -> Vec<&'static str>>,
}

fn texts<L: Texts>() -> Vec<&'static str> {
    L::ALL.iter().map(|value| value.text()).collect()
}

macro_rules! metrics {
    ($($part:ident { $($variant:ident = $kind:ident $name:literal $([$($label:ident $(in $values:ident)?),+])? $help:literal,)* })*) => {
        /// A metric. Its documentation is also its help text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Metric { $($(
            #[doc = $help]
            $variant,
        )*)* }

        impl Metric {
            /// Every metric, in the order of the list.
            pub const ALL: &'static [Self] = &[$($(Self::$variant,)*)*];

            /// Its name.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$variant => $name,)*)* }
            }

            /// What kind of number it is.
            pub const fn kind(self) -> Type {
                match self { $($(Self::$variant => Type::$kind,)*)* }
            }

            /// What it means.
            pub const fn help(self) -> &'static str {
                match self { $($(Self::$variant => $help,)*)* }
            }

            /// Which processes serve it.
            pub const fn part(self) -> Part {
                match self { $($(Self::$variant => Part::$part,)*)* }
            }

            /// Its labels.
            pub const fn labels(self) -> &'static [LabelName] {
                match self { $($(Self::$variant => &[$($(LabelName {
                    name: stringify!($label),
                    values: metrics!(@values $($values)?),
                },)+)?],)*)* }
            }
        }
    };
    (@values) => { None };
    (@values $values:ident) => { Some(texts::<$values>) };
}

metrics! {
    Process {
        BuildInfo = Gauge "lychgate_build_info" [version] "Always 1; the label has the version of the program.",
        ProcessStart = Gauge "process_start_time_seconds" "Start time of the process, in seconds since the Unix epoch.",
        ProcessCpu = Counter "process_cpu_seconds_total" "CPU time that the process has used, user and system.",
        ProcessMemory = Gauge "process_resident_memory_bytes" "Resident memory of the process; only on systems with /proc.",
        ProcessOpenFiles = Gauge "process_open_fds" "Open file descriptors, connections included; only on systems with /proc.",
        ProcessMaxFiles = Gauge "process_max_fds" "Limit on open file descriptors.",
    }
    DataPlane {
        Ready = Gauge "lychgate_gateway_ready" "1 while the data plane can serve requests; /readyz gives the reason if it can't.",
        Draining = Gauge "lychgate_gateway_draining" [by in DrainedBy] "1 while new requests are refused because of an operator's drain or a shutdown.",
        LinkState = Gauge "lychgate_link_state" [state in LinkState] "1 for the current state of the control link, 0 for the others.",
        LinkTrouble = Gauge "lychgate_link_trouble" [reason in LinkTrouble] "1 for the reason of the last failed attempt to attach (for a refusal: its first reason); all 0 while attached or before the first attempt.",
        LinkOffline = Gauge "lychgate_link_offline_seconds" "Seconds since the data plane was last attached, or since it started if it never was; 0 while attached.",
        LinkOfflineLimit = Gauge "lychgate_link_offline_limit_seconds" "How long requests with known tokens are accepted without a control plane (--max-offline).",
        LinkAttachments = Counter "lychgate_link_attachments_total" "Attachments to a control plane; presenting a new gateway key counts as one.",
        LinkLosses = Counter "lychgate_link_losses_total" "Attachments that were lost.",
        ConfigurationVersion = Gauge "lychgate_configuration_version" "Version of the configuration in use; 0 before the first.",
        Requests = Counter "lychgate_requests_total" [provider, outcome in Outcome] "Finished AI requests that were sent to a provider, by the last provider tried; each has a record.",
        RequestsPassed = Counter "lychgate_requests_passed_through_total" "Relayed requests that have no record, such as model listings.",
        RequestsRefused = Counter "lychgate_requests_refused_total" [reason in Refused] "Requests that were not relayed, or that got no response and have no record.",
        RequestsInFlight = Gauge "lychgate_requests_in_flight" "Requests in progress, streams included.",
        AccessLogDropped = Counter "lychgate_access_log_dropped_lines_total" "Lines of the access log that were dropped because its disk could not keep up, or could not be written.",
        RequestDuration = Histogram "lychgate_request_duration_seconds" [provider] "Time from the request head to the last byte of the response, by the last provider tried.",
        FirstByte = Histogram "lychgate_request_first_byte_seconds" [provider] "Time from the request head to the first byte of the response body.",
        Overhead = Histogram "lychgate_request_overhead_seconds" [provider] "Time that the gateway itself takes before it sends a request, by the first provider tried.",
        Retries = Counter "lychgate_upstream_retries_total" [provider] "Attempts after the first, by the provider that was tried.",
        Breakers = Gauge "lychgate_upstream_breakers" [provider, state in BreakerState] "Circuit breakers that are not closed; there is one for each API, model and credential of a provider.",
        Tokens = Counter "lychgate_tokens_total" [provider, kind in TokenKind] "Tokens used: as providers reported them, or estimated where a response broke off.",
        Leases = Gauge "lychgate_token_leases" [kind in LeaseKind] "User tokens in the lease cache, including leases that have just expired.",
        RequestsWaiting = Gauge "lychgate_requests_waiting" "Requests that wait until their token is looked up; they are not in progress yet.",
        LookupsInFlight = Gauge "lychgate_token_lookups_in_flight" "User tokens that the control plane is being asked about.",
        Lookups = Counter "lychgate_token_lookups_total" [result in Lookup] "Answers of the control plane about user tokens.",
        SpoolRecords = Gauge "lychgate_spool_records" "Records that wait for the control plane's acknowledgement.",
        SpoolBytes = Gauge "lychgate_spool_bytes" "Disk space that the spool takes, in bytes.",
        SpoolLimit = Gauge "lychgate_spool_limit_bytes" "Size from which the spool accepts no new records, somewhat below --spool-max-bytes.",
        SpoolNoRoom = Gauge "lychgate_spool_no_room" [reason in NoRoom] "1 for the reason why the spool accepts no records; all 0 while it does.",
        SpoolOldest = Gauge "lychgate_spool_oldest_record_timestamp_seconds" "Time of the oldest waiting record, in seconds since the Unix epoch; 0 while none waits, or none can be read yet.",
        SpoolAppended = Counter "lychgate_spool_appended_total" "Records that this process appended to the spool.",
        SpoolDelivered = Counter "lychgate_spool_delivered_total" "Records that the control plane acknowledged, including those of an earlier process.",
        SpoolRejected = Counter "lychgate_spool_rejected_total" "Records that the control plane could not store, now set aside.",
        SpoolSetAside = Gauge "lychgate_spool_set_aside" "Files set aside for an operator to inspect.",
        SpoolInterrupted = Counter "lychgate_spool_interrupted_total" "Requests that were in flight when an earlier process ended without warning, and that this one recorded as interrupted.",
        SpoolUnrecorded = Counter "lychgate_spool_unrecorded_total" "Requests whose record was dropped because it could not be written.",
        SpoolErrors = Counter "lychgate_spool_errors_total" "Failed disk operations of the spool.",
        DeliveryFailures = Counter "lychgate_spool_delivery_failures_total" "Batches that could not be delivered and will be retried.",
        SnapshotWritten = Gauge "lychgate_snapshot_written_timestamp_seconds" "When the snapshot for a start without a control plane was last written, in seconds since the Unix epoch; 0 before the first.",
    }
    ControlPlane {
        DatabaseUp = Gauge "lychgate_database_up" "1 while the database responds; while it does not, metrics read from it are missing.",
        DatabaseWritable = Gauge "lychgate_database_writable" "1 while the database can be written; 0 when its disk is full, read-only or failing.",
        AttachedReplicas = Gauge "lychgate_attached_replicas" [state in Attached] "Replicas attached to this control plane, without its embedded gateway.",
        ReplicaClockSkew = Gauge "lychgate_replica_clock_skew_seconds" "Largest difference between the clock of a replica attached to this control plane and its own, in seconds, to about three; over 30 is in the log.",
        Replicas = Gauge "lychgate_replicas" [state in ReplicaState] "Replicas in the registry, the same on every control plane.",
        GatewayKeys = Gauge "lychgate_gateway_keys" [state in KeyState] "Gateway keys, the same on every control plane.",
        GatewayKeyExpires = Gauge "lychgate_gateway_key_expires_timestamp_seconds" [gateway_key] "Expiry of the gateway keys that expire within 14 days, in seconds since the Unix epoch; at most the next 100, the same on every control plane.",
        KeyRefusals = Counter "lychgate_gateway_key_refusals_total" [reason in KeyRefusal] "Calls of replicas that were refused.",
        LinkCallsFailed = Counter "lychgate_link_calls_failed_total" "Calls of replicas that failed with an internal error, usually of the database.",
        Ingested = Counter "lychgate_ingest_records_total" [result in Ingested] "Records that replicas delivered, by result.",
        IngestBatches = Counter "lychgate_ingest_batches_total" "Batches of records that were stored.",
        FeedPosition = Gauge "lychgate_feed_position" "Last change of the feed that was announced to the replicas attached here.",
        FeedHead = Gauge "lychgate_feed_head" "Last change of the feed in the database; if it is ahead of the position, replicas here lag behind.",
        FeedPolling = Gauge "lychgate_feed_polling" "1 while database notifications are unavailable and the feed polls for changes every second.",
        FeedLosses = Counter "lychgate_feed_listen_losses_total" "Times that listening for database notifications failed or had to be restarted.",
        RevocationsPushed = Counter "lychgate_revocations_pushed_total" "Token revocations pushed to the replicas attached here.",
        ApiRequests = Counter "lychgate_api_requests_total" [status in StatusClass] "API requests, by class of the response status.",
        AuthenticationFailures = Counter "lychgate_api_authentication_failures_total" [reason in AuthenticationFailure] "API requests that failed to authenticate.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;
    use std::fmt::Write as _;

    #[test]
    fn names_follow_the_conventions() {
        let mut seen = HashSet::new();
        for metric in Metric::ALL {
            let name = metric.name();
            assert!(seen.insert(name), "{name} is there twice");
            let ours = if metric.part() == Part::Process {
                ""
            } else {
                "lychgate_"
            };
            assert!(name.starts_with(ours), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind() == Type::Counter, "{name}");
            assert!(metric.help().ends_with('.') && !metric.help().contains('\n'), "{name}");
            for label in metric.labels() {
                assert!(!matches!(label.name, "le" | "job" | "instance"), "{name}");
                for value in label.values.map(|values| values()).unwrap_or_default() {
                    let plain = value
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
                    assert!(plain, "{name}: {value} would have to be escaped");
                }
            }
        }
    }

    fn document() -> String {
        let mut text = String::from(
            "# Metrics\n\nWhat `--metrics-listen` serves at `/metrics`. Generated from `src/metrics/list.rs` by `cargo xtask generate`.\n",
        );
        for (part, title) in [
            (Part::Process, "Every process"),
            (
                Part::DataPlane,
                "Data plane: replicas, and a control plane for its embedded gateway",
            ),
            (Part::ControlPlane, "Control plane"),
        ] {
            let _ = write!(
                text,
                "\n## {title}\n\n| name | type | labels | what |\n|---|---|---|---|\n"
            );
            for metric in Metric::ALL.iter().filter(|metric| metric.part() == part) {
                let labels: Vec<_> = metric.labels().iter().map(label).collect();
                let (name, kind, labels) = (metric.name(), metric.kind(), labels.join("; "));
                let _ = writeln!(text, "| `{name}` | {kind} | {labels} | {} |", metric.help());
            }
        }
        text
    }

    fn label(label: &LabelName) -> String {
        match label.values {
            None => format!("`{}`", label.name),
            Some(values) => format!("`{}`: {}", label.name, values().join(", ")),
        }
    }

    /// `UPDATE_GENERATED=1` (as `cargo xtask generate` sets it) writes the file instead.
    #[test]
    fn the_committed_list_is_that_of_the_program() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/metrics.md");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(path, document()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == document(), "{path} is stale: run `cargo xtask generate`");
    }
}
