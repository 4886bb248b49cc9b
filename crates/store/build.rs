//! Has the crate built again when a migration is added; the macro that embeds them only watches those it knows.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
