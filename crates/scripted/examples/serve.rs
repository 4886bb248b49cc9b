//! Serves the scripted provider by itself, for a look at it or as the upstream of a measurement:
//! `cargo run -p lychgate-scripted --example serve -- 127.0.0.1:9000`

#![expect(clippy::print_stdout, reason = "a command line program")]

use lychgate_scripted::ScriptedProvider;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let provider = ScriptedProvider::start(listen.parse()?).await?;
    println!("listening on http://{}", provider.addr());
    tokio::signal::ctrl_c().await?;
    provider.stop().await;
    Ok(())
}
