//! The committed gRPC code is what the generator makes of `proto/link.proto`.
//! `UPDATE_GENERATED=1` (as `cargo xtask generate` sets it) writes the file instead.

use std::path::Path;

#[test]
fn the_committed_link_code_is_generated_from_the_proto_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let descriptors = protox::compile([root.join("proto/link.proto")], [root.join("proto")]).unwrap();
    let out = tempfile::tempdir().unwrap();
    tonic_prost_build::configure()
        // They hold secrets: `src/convert/configuration.rs` gives them a `Debug` that prints none.
        .skip_debug([".lychgate.link.v1.ProviderKey", ".lychgate.link.v1.Configuration"])
        // Not copied on their way from the spool to the socket.
        .bytes(".lychgate.link.v1.DeliverRequest.interceptions")
        // Lists are bounded before they are decoded.
        .codec_path("crate::bounded::BoundedCodec")
        .out_dir(out.path())
        .compile_fds(descriptors)
        .unwrap();
    let generated = std::fs::read_to_string(out.path().join("lychgate.link.v1.rs")).unwrap();
    let path = root.join("src/generated/lychgate.link.v1.rs");
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{} is stale: run `cargo xtask generate`",
        path.display()
    );
}
