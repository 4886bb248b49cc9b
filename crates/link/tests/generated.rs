//! The committed gRPC code is what the generator makes of `proto/link.proto`.
//! `UPDATE_GENERATED=1` (as `cargo xtask generate` sets it) writes the file instead.

use lychgate_link::PROTOCOL;
use std::path::Path;

/// The protocol's version, and what `link.proto` said when somebody last thought about it.
const KNOWN: (&str, u64) = ("1.4", 0xb066_33f8_2f9c_142b);

#[test]
fn the_protocols_version_is_thought_about_when_its_messages_change() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("proto/link.proto")).unwrap();
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words: Vec<_> = code.flat_map(str::split_whitespace).collect();
    // FNV-1a.
    let hash = words.join(" ").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    assert_eq!(
        (PROTOCOL.to_string().as_str(), hash),
        KNOWN,
        "link.proto or its version has changed. If a replica sends something that an older control plane must understand, because it would \
         lose data otherwise, raise the minor number of `PROTOCOL` in src/version.rs; then write both values here"
    );
}

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
