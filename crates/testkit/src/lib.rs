//! Test bench: a fresh database per test, real processes on real sockets
