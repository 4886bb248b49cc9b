//! Reading a whole body within bounds of size and time.

use bytes::Bytes;
use http_body::Body;
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::time::Instant;

/// Room that is made for the announced length of a body before it comes.
const TRUSTED_BYTES: usize = 1 << 20;

/// What a body that is read whole may cost.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// Most bytes.
    pub bytes: usize,
    /// Longest wait for the next piece.
    pub idle: Duration,
    /// Longest time for the whole.
    pub total: Duration,
}

/// Why a body was not read.
#[derive(Debug)]
pub enum ReadError<E, N> {
    /// It is longer than allowed; the rest is unread.
    TooLarge,
    /// There is no room for more of it; the rest is unread.
    NoRoom(N),
    /// It came too slowly.
    TooSlow,
    /// Its own error: the sender left or broke the framing.
    Broken(E),
}

/// Reads the body whole. A declared length over the limit is refused before the first byte is asked for, and a body that
/// arrives in one piece is handed on without a copy. `grow` is asked for room whenever more of it is needed, with the memory that
/// the body is going to take so far.
pub async fn read_bounded<B, N>(
    body: &mut B,
    limits: ReadLimits,
    mut grow: impl FnMut(usize) -> Result<(), N>,
) -> Result<Bytes, ReadError<B::Error, N>>
where
    B: Body<Data = Bytes> + Unpin,
{
    let declared = body.size_hint().lower();
    if declared > limits.bytes as u64 {
        return Err(ReadError::TooLarge);
    }
    let Some(first) = next(body, limits, None).await? else {
        return Ok(Bytes::new());
    };
    let deadline = Instant::now() + limits.total;
    let expected = usize::try_from(declared).unwrap_or(usize::MAX);
    let mut whole = Vec::new();
    let mut following = Some(first);
    while let Some(piece) = following {
        if piece.len() > limits.bytes - whole.len() {
            return Err(ReadError::TooLarge);
        }
        let size = whole.len() + piece.len();
        if whole.is_empty() && body.is_end_stream() {
            grow(size).map_err(ReadError::NoRoom)?;
            return Ok(piece);
        }
        if size > whole.capacity() {
            // The declared length is the sender's word: room is made for some of it, the rest as it really comes.
            let most = if size <= expected { expected } else { limits.bytes };
            let capacity = (2 * whole.capacity())
                .max(expected.min(TRUSTED_BYTES))
                .clamp(size, most);
            grow(capacity).map_err(ReadError::NoRoom)?;
            whole.reserve_exact(capacity - whole.len());
        }
        whole.extend_from_slice(&piece);
        drop(piece);
        following = next(body, limits, Some(deadline)).await?;
    }
    Ok(whole.into())
}

/// The next piece of data; trailers are passed over.
async fn next<B, N>(
    body: &mut B,
    limits: ReadLimits,
    deadline: Option<Instant>,
) -> Result<Option<Bytes>, ReadError<B::Error, N>>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        let idle = Instant::now() + limits.idle;
        let until = deadline.map_or(idle, |deadline| deadline.min(idle));
        match tokio::time::timeout_at(until, body.frame()).await {
            Err(_) => return Err(ReadError::TooSlow),
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(ReadError::Broken(error)),
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}
