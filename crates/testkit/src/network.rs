//! A faulty network between two processes: a proxy in front of an address that forwards bytes, cuts, holds or slows them, also on
//! connections that are already open.
//!
//! Not here: what the bytes mean.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

/// Most bytes read at once.
const PIECE: usize = 16 << 10;
/// Most chunks delayed in one direction of one connection.
const PIECES: usize = 4;

/// What happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Every byte is forwarded.
    Fair,
    /// Every connection is reset, the open ones and each new one.
    Cut,
    /// Connections are accepted and kept, but neither a byte nor a close gets through: a partition.
    Held,
    /// Every byte is delayed, and each direction has a limited bandwidth.
    Slow {
        /// The delay.
        delay: Duration,
        /// The bandwidth.
        bytes_per_second: u32,
    },
}

/// Where the proxy forwards to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// A running proxy. It stops when dropped.
#[derive(Debug)]
pub struct Network {
    addr: SocketAddr,
    weather: watch::Sender<Weather>,
    target: watch::Sender<Option<Target>>,
    server: JoinHandle<()>,
}

impl Network {
    /// Listens on a port of the loopback address. Until it has a target, it resets all connections.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let addr = listener.local_addr().expect("a bound port");
        let weather = watch::Sender::new(Weather::Fair);
        let target = watch::Sender::new(None);
        let server = tokio::spawn(accept(listener, weather.subscribe(), target.subscribe()));
        Self {
            addr,
            weather,
            target,
            server,
        }
    }

    /// Its own address, which stays the same when the target changes.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets the target of new connections.
    pub fn lead_to(&self, target: Target) {
        self.target.send_replace(Some(target));
    }

    /// Changes the weather, also for open connections.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn accept(listener: TcpListener, weather: watch::Receiver<Weather>, target: watch::Receiver<Option<Target>>) {
    // Connections live in this set, so they end with the listener.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, weather.clone(), target.clone()));
                }
                // Out of file descriptors, as a rule: let some connections end first.
                Err(_) => sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How one direction ended: regularly, or broken.
type Ended = Result<(), Broken>;

struct Broken;

impl<E: std::error::Error> From<E> for Broken {
    fn from(_: E) -> Self {
        Self
    }
}

/// One connection, to its end. Where it breaks, it is reset: half-open is a state of its own, which only [`Weather::Held`] makes.
async fn connection(mut client: TcpStream, weather: watch::Receiver<Weather>, target: watch::Receiver<Option<Target>>) {
    let mut cut = weather.clone();
    let ended = tokio::select! {
        biased;
        _ = cut.wait_for(|weather| *weather == Weather::Cut) => Err(Broken),
        ended = relay(&mut client, weather, target) => ended,
    };
    if ended.is_err() {
        // Failing to set it leaves an ordinary close.
        let _ = client.set_zero_linger();
    }
}

async fn relay(
    client: &mut TcpStream,
    mut weather: watch::Receiver<Weather>,
    target: watch::Receiver<Option<Target>>,
) -> Ended {
    moves(&mut weather).await?;
    let target = target.borrow().clone().ok_or(Broken)?;
    client.set_nodelay(true)?;
    match target {
        Target::Tcp(address) => {
            let server = TcpStream::connect(address).await?;
            server.set_nodelay(true)?;
            both_ways(client, server, &weather).await
        }
        Target::Unix(path) => both_ways(client, UnixStream::connect(path).await?, &weather).await,
    }
}

async fn both_ways(
    client: &mut TcpStream,
    mut server: impl AsyncRead + AsyncWrite + Unpin,
    weather: &watch::Receiver<Weather>,
) -> Ended {
    let (client_out, client_in) = client.split();
    let (server_out, server_in) = tokio::io::split(&mut server);
    let up = one_way(client_out, server_in, weather);
    let down = one_way(server_out, client_in, weather);
    tokio::try_join!(up, down).map(drop)
}

/// Passes on what comes until it ends, and then the end.
async fn one_way(
    from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    weather: &watch::Receiver<Weather>,
) -> Ended {
    // Bounded by the bytes of a few pieces: what is late is kept here, and what is too much waits at its sender.
    let (late, due) = mpsc::channel(PIECES);
    tokio::try_join!(read(from, late, weather.clone()), write(to, due, weather.clone())).map(drop)
}

/// A piece, and when it is to arrive. An empty one is the end.
type Late = (Instant, Vec<u8>);

async fn read(
    mut from: impl AsyncRead + Unpin,
    late: mpsc::Sender<Late>,
    mut weather: watch::Receiver<Weather>,
) -> Ended {
    loop {
        let mut piece = vec![0; PIECE];
        let count = from.read(&mut piece).await?;
        piece.truncate(count);
        let delay = match moves(&mut weather).await? {
            Weather::Slow {
                delay,
                bytes_per_second,
            } => {
                sleep(Duration::from_secs(1).mul_f64(count as f64 / f64::from(bytes_per_second.max(1)))).await;
                delay
            }
            _ => Duration::ZERO,
        };
        late.send((Instant::now() + delay, piece)).await?;
        if count == 0 {
            return Ok(());
        }
    }
}

async fn write(
    mut to: impl AsyncWrite + Unpin,
    mut due: mpsc::Receiver<Late>,
    mut weather: watch::Receiver<Weather>,
) -> Ended {
    while let Some((at, piece)) = due.recv().await {
        sleep_until(at).await;
        moves(&mut weather).await?;
        if piece.is_empty() {
            to.shutdown().await?;
        } else {
            to.write_all(&piece).await?;
        }
    }
    Ok(())
}

/// Waits until bytes move. It fails when the network is gone.
async fn moves(weather: &mut watch::Receiver<Weather>) -> Result<Weather, Broken> {
    Ok(*weather.wait_for(|weather| *weather != Weather::Held).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::ErrorKind;
    use tokio::time::timeout;

    /// Longer than anything takes that moves at all.
    const LONG: Duration = Duration::from_secs(20);
    /// Too short for nothing to have come by chance only.
    const QUIET: Duration = Duration::from_millis(200);

    /// A network before a server that says everything again, and a connection through it.
    async fn echo() -> (Network, TcpStream) {
        let server = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let network = Network::start().await;
        network.lead_to(Target::Tcp(server.local_addr().unwrap()));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut out, mut back) = stream.split();
                    tokio::io::copy(&mut out, &mut back).await
                });
            }
        });
        let client = TcpStream::connect(network.addr()).await.unwrap();
        (network, client)
    }

    /// Sends these bytes and waits until they are back.
    async fn there_and_back(client: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
        let (mut out, mut back) = client.split();
        let mut got = vec![0; bytes.len()];
        let (sent, read) = tokio::join!(back.write_all(bytes), timeout(LONG, out.read_exact(&mut got)));
        sent?;
        read.expect("it moves")?;
        assert!(got == bytes);
        Ok(())
    }

    #[tokio::test]
    async fn fair_weather_passes_everything_on_and_the_end_too() {
        let (_network, mut client) = echo().await;
        there_and_back(&mut client, &vec![7; 1 << 20]).await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(timeout(LONG, client.read(&mut [0; 1])).await.unwrap().unwrap(), 0);
    }

    #[tokio::test]
    async fn a_cut_resets_what_is_open_and_what_comes() {
        let (network, mut client) = echo().await;
        there_and_back(&mut client, b"before").await.unwrap();
        network.set(Weather::Cut);
        let broken = timeout(LONG, client.read(&mut [0; 1])).await.unwrap().unwrap_err();
        assert_eq!(broken.kind(), ErrorKind::ConnectionReset);
        let mut another = TcpStream::connect(network.addr()).await.unwrap();
        there_and_back(&mut another, b"during").await.unwrap_err();
        network.set(Weather::Fair);
        let mut after = TcpStream::connect(network.addr()).await.unwrap();
        there_and_back(&mut after, b"after").await.unwrap();
    }

    #[tokio::test]
    async fn held_bytes_come_when_it_is_over() {
        let (network, mut client) = echo().await;
        there_and_back(&mut client, b"before").await.unwrap();
        network.set(Weather::Held);
        client.write_all(b"during").await.unwrap();
        let mut another = TcpStream::connect(network.addr()).await.unwrap();
        let mut got = [0; 6];
        timeout(QUIET, client.read_exact(&mut got)).await.unwrap_err();
        network.set(Weather::Fair);
        timeout(LONG, client.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(&got, b"during");
        there_and_back(&mut another, b"after").await.unwrap();
    }

    #[tokio::test]
    async fn slow_bytes_are_late_and_few() {
        let (network, mut client) = echo().await;
        let slow = |milliseconds, bytes_per_second| Weather::Slow {
            delay: Duration::from_millis(milliseconds),
            bytes_per_second,
        };
        // Once there and once back.
        network.set(slow(150, 1 << 30));
        let begun = Instant::now();
        there_and_back(&mut client, b"late").await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
        network.set(slow(0, 100_000));
        let begun = Instant::now();
        there_and_back(&mut client, &vec![7; 50_000]).await.unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
    }

    #[tokio::test]
    async fn without_a_target_connections_are_reset_and_with_another_they_go_there() {
        let network = Network::start().await;
        let mut nowhere = TcpStream::connect(network.addr()).await.unwrap();
        there_and_back(&mut nowhere, b"nobody").await.unwrap_err();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        network.lead_to(Target::Unix(path));
        let mut client = TcpStream::connect(network.addr()).await.unwrap();
        let (mut served, _) = listener.accept().await.unwrap();
        served.write_all(b"here").await.unwrap();
        let mut got = [0; 4];
        timeout(LONG, client.read_exact(&mut got)).await.unwrap().unwrap();
        assert_eq!(&got, b"here");
    }
}
