//! Every metric that there is. `metrics.md` beside this crate is made from it.

use super::labels::*;
use super::link_trouble::LinkTrouble;
use lychgate_types::interception::Outcome;
use lychgate_types::{KeyRefusal, Texts};

/// Who serves a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Every process.
    Process,
    /// Whoever takes AI requests: a replica, and a control plane for its embedded gateway.
    DataPlane,
    /// A control plane.
    ControlPlane,
}

lychgate_types::text_enum! {
    /// What kind of number a metric is.
    Type {
        /// It only grows, from 0 at the process' start.
        Counter = "counter",
        /// It goes up and down.
        Gauge = "gauge",
        /// Counts by how long something took.
        Histogram = "histogram",
    }
}

/// A label.
#[derive(Debug, Clone, Copy)]
pub struct LabelName {
    /// Its name.
    pub name: &'static str,
    /// All that it may say; `None`: what somebody who may configure this deployment gave as a name, or this program's version.
    pub values: Option<fn() -> Vec<&'static str>>,
}

fn texts<L: Texts>() -> Vec<&'static str> {
    L::ALL.iter().map(|value| value.text()).collect()
}

macro_rules! metrics {
    ($($part:ident { $($variant:ident = $kind:ident $name:literal $([$($label:ident $(in $values:ident)?),+])? $help:literal,)* })*) => {
        /// A metric. Its documentation is what scrapers are told of it.
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

            /// Who serves it.
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
        BuildInfo = Gauge "lychgate_build_info" [version] "Always 1; the label tells this program's version.",
        ProcessStart = Gauge "process_start_time_seconds" "When this process started, in seconds since 1970.",
        ProcessCpu = Counter "process_cpu_seconds_total" "Processor time that this process has used, its own and the system's for it.",
        ProcessMemory = Gauge "process_resident_memory_bytes" "Memory that this process holds; only where the system has /proc.",
        ProcessOpenFiles = Gauge "process_open_fds" "Files and connections that are open; only where the system has /proc.",
        ProcessMaxFiles = Gauge "process_max_fds" "How many may be open.",
    }
    DataPlane {
        Ready = Gauge "lychgate_gateway_ready" "1 while the data plane may receive traffic; /readyz says why if it may not.",
        Draining = Gauge "lychgate_gateway_draining" [by in DrainedBy] "1 while no new requests are taken because somebody wants it so.",
        LinkState = Gauge "lychgate_link_state" [state in LinkState] "1 for how the data plane stands with the control plane, 0 for the other states.",
        LinkTrouble = Gauge "lychgate_link_trouble" [reason in LinkTrouble] "1 for why it is not attached, as of the last attempt (of a refusal: the first reason); all 0 while it is attached or has not tried.",
        LinkOffline = Gauge "lychgate_link_offline_seconds" "Seconds since the data plane was last attached, or since it started if it never was; 0 while attached.",
        LinkOfflineLimit = Gauge "lychgate_link_offline_limit_seconds" "How long requests with known tokens are accepted without a control plane (--max-offline).",
        LinkAttachments = Counter "lychgate_link_attachments_total" "Times that it attached; showing a new gateway key is one more.",
        LinkLosses = Counter "lychgate_link_losses_total" "Times that it was attached and then was not.",
        ConfigurationVersion = Gauge "lychgate_configuration_version" "The configuration in force; 0 before the first.",
        Requests = Counter "lychgate_requests_total" [provider, outcome in Outcome] "AI requests that went to a provider and are over, by the provider tried last; each leaves a record.",
        RequestsPassed = Counter "lychgate_requests_passed_through_total" "Requests relayed that leave no record: lists of models and the like.",
        RequestsRefused = Counter "lychgate_requests_refused_total" [reason in Refused] "Requests that were not relayed, or got no answer and leave no record.",
        RequestsInFlight = Gauge "lychgate_requests_in_flight" "Requests being served, streams included.",
        RequestDuration = Histogram "lychgate_request_duration_seconds" [provider] "From a request's head to the last byte of its answer, by the provider tried last.",
        FirstByte = Histogram "lychgate_request_first_byte_seconds" [provider] "From a request's head to the first byte of its answer's body.",
        Overhead = Histogram "lychgate_request_overhead_seconds" [provider] "The gateway's own time before a request goes to the provider addressed.",
        Retries = Counter "lychgate_upstream_retries_total" [provider] "Attempts after the first of a request, by the provider then tried.",
        Breakers = Gauge "lychgate_upstream_breakers" [provider, state in BreakerState] "Circuit breakers that are not closed: one for each model and credential of a provider.",
        Tokens = Counter "lychgate_tokens_total" [provider, kind in TokenKind] "Tokens that providers said were used.",
        Leases = Gauge "lychgate_token_leases" [kind in LeaseKind] "User tokens of which something is believed, or was until a moment ago.",
        LookupsInFlight = Gauge "lychgate_token_lookups_in_flight" "User tokens that the control plane is being asked about.",
        Lookups = Counter "lychgate_token_lookups_total" [result in Lookup] "What the control plane said when asked about user tokens.",
        SpoolRecords = Gauge "lychgate_spool_records" "Records that wait for the control plane's acknowledgement.",
        SpoolBytes = Gauge "lychgate_spool_bytes" "Bytes on disk that they take.",
        SpoolLimit = Gauge "lychgate_spool_limit_bytes" "Bytes from which on there is no room, somewhat below --spool-max-bytes.",
        SpoolNoRoom = Gauge "lychgate_spool_no_room" [reason in NoRoom] "1 for why there is no room for records; all 0 while there is.",
        SpoolOldest = Gauge "lychgate_spool_oldest_record_timestamp_seconds" "When the record was made that has waited longest, in seconds since 1970; 0 while none waits, or none can be read yet.",
        SpoolAppended = Counter "lychgate_spool_appended_total" "Records put in by this process.",
        SpoolDelivered = Counter "lychgate_spool_delivered_total" "Records that the control plane has taken, those left by an earlier process included.",
        SpoolRejected = Counter "lychgate_spool_rejected_total" "Records that the control plane could not take and that were set aside.",
        SpoolSetAside = Gauge "lychgate_spool_set_aside" "Files that lie aside for an operator to look at.",
        SpoolUnrecorded = Counter "lychgate_spool_unrecorded_total" "Requests whose record was given up because it could not be kept.",
        SpoolErrors = Counter "lychgate_spool_errors_total" "Times that the disk did not take what it should.",
        DeliveryFailures = Counter "lychgate_spool_delivery_failures_total" "Batches that could not be delivered and are tried again.",
        SnapshotWritten = Gauge "lychgate_snapshot_written_timestamp_seconds" "When what is known was last sealed for a start without a control plane, in seconds since 1970; 0 before.",
    }
    ControlPlane {
        DatabaseUp = Gauge "lychgate_database_up" "1 while the database answers; while it does not, what is read from it is left out here.",
        AttachedReplicas = Gauge "lychgate_attached_replicas" [state in Attached] "Replicas attached to this control plane; its embedded gateway is none.",
        Replicas = Gauge "lychgate_replicas" [state in ReplicaState] "Replicas in the registry, the same from every control plane.",
        GatewayKeys = Gauge "lychgate_gateway_keys" [state in KeyState] "Gateway keys, the same from every control plane.",
        GatewayKeyExpires = Gauge "lychgate_gateway_key_expires_timestamp_seconds" [gateway_key] "When a gateway key expires that does so within 14 days, in seconds since 1970; the 100 next ones, the same from every control plane.",
        KeyRefusals = Counter "lychgate_gateway_key_refusals_total" [reason in KeyRefusal] "Calls of replicas that were refused.",
        LinkCallsFailed = Counter "lychgate_link_calls_failed_total" "Calls of replicas that failed inside, as a rule because the database did.",
        Ingested = Counter "lychgate_ingest_records_total" [result in Ingested] "Records that replicas delivered, by what became of them.",
        IngestBatches = Counter "lychgate_ingest_batches_total" "Batches of records taken in.",
        FeedPosition = Gauge "lychgate_feed_position" "The change up to which replicas here have been told.",
        FeedHead = Gauge "lychgate_feed_head" "The last change that there is; above the position, replicas here lag behind.",
        FeedPolling = Gauge "lychgate_feed_polling" "1 while database notifications are unavailable and the feed polls for changes every second.",
        FeedLosses = Counter "lychgate_feed_listen_losses_total" "Times that listening for changes failed or had to begin anew.",
        RevocationsPushed = Counter "lychgate_revocations_pushed_total" "Token revocations pushed to the replicas attached here.",
        ApiRequests = Counter "lychgate_api_requests_total" [status in StatusClass] "Requests to the API by the status of their answers.",
        AuthenticationFailures = Counter "lychgate_api_authentication_failures_total" [reason in AuthenticationFailure] "Requests to the API of callers who were not let in.",
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
