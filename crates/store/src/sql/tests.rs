//! SQL text tests.
