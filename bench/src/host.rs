//! The machine that a run uses: its cores, the processes on them, and a throw-away PostgreSQL.

pub(crate) mod machine;
pub(crate) mod postgres;
pub(crate) mod process;
