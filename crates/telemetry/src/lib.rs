//! Tracing set-up and metrics
