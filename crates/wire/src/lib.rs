//! Provider formats: bytes in, facts out
