//! A self-hosted AI gateway: one binary with roles
fn main() {}
