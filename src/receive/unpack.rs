//! Unpacking a body within limit and budget. Long work goes to a blocking thread, so that one large
//! body does not hold up the connections that share its worker.

use std::sync::LazyLock;

use access::Permit;
use bytes::Bytes;
use tokio::sync::Semaphore;
use wire::encoding::{DecompressError, Encoding, decompress};

use crate::fault::Fault;

/// Packed bodies above this go to a blocking thread. Telemetry unpacks to about ten times the size at
/// some 300 MB/s, so this is a millisecond of work.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// Large bodies that are unpacked at the same time.
static TURNS: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(std::thread::available_parallelism().map_or(2, std::num::NonZero::get).max(2)));

/// The plain body, with the permit grown by it. A body that is not packed is handed through.
pub(crate) async fn unpack(
    encoding: Encoding,
    body: &Bytes,
    limit: usize,
    permit: Permit,
) -> Result<(Bytes, Permit), Fault> {
    if encoding == Encoding::Identity {
        return Ok((body.clone(), permit));
    }
    if body.len() <= INLINE_BYTES_MAX {
        return work(encoding, body, limit, permit);
    }
    let body = body.clone();
    // More at once would only hold more memory.
    let _turn = TURNS.acquire().await;
    match tokio::task::spawn_blocking(move || work(encoding, &body, limit, permit)).await {
        Ok(result) => result,
        // Only at shutdown, or after a fault in the library: neither is the sender's doing.
        Err(_) => Err(Fault::no_budget()),
    }
}

fn work(encoding: Encoding, body: &[u8], limit: usize, mut permit: Permit) -> Result<(Bytes, Permit), Fault> {
    let before = permit.bytes();
    let plain = decompress(encoding, body, limit, &mut |bytes| permit.grow(bytes)).map_err(|error| match error {
        DecompressError::Corrupt => {
            let message = format!("the {} body is corrupt or cut short", encoding.name());
            Fault::Code(access::Error::invalid(message))
        }
        DecompressError::TooLarge => Fault::too_large("the decompressed body", limit),
        DecompressError::NoBudget => Fault::no_budget(),
    })?;
    let unused = (permit.bytes() - before).saturating_sub(plain.len());
    permit.shrink(unused);
    Ok((Bytes::from(plain), permit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::{Budget, Code};

    fn packed(encoding: Encoding, bytes: usize) -> Bytes {
        let plain = vec![0; bytes];
        match encoding {
            Encoding::Gzip => crate::rig::gzip(&plain).into(),
            _ => zstd::encode_all(&plain[..], 1).expect("packs").into(),
        }
    }

    // Scenario: small and large bodies, a limit that is met exactly and passed by one, a small budget, both threads.
    // Guarantee: the plain size is exact, refusals say which bound it was, and all bytes come back.
    #[tokio::test]
    async fn bounds_hold() {
        let budget = Budget::new(100 << 20);
        let small = Budget::new(1 << 20);
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            for bytes in [0, 1, 100_000, 60 << 20] {
                let body = packed(encoding, bytes);
                let take = |budget: &Budget| budget.take(0).expect("a permit");
                let (plain, permit) = unpack(encoding, &body, bytes, take(&budget)).await.expect("at the limit");
                assert_eq!(plain.len(), bytes);
                assert!(permit.bytes() >= bytes && budget.used() == permit.bytes());
                drop(permit);
                if bytes > 0 {
                    let fault = unpack(encoding, &body, bytes - 1, take(&budget)).await.expect_err("above the limit");
                    assert!(
                        matches!(fault, Fault::Code(error) if error.code == Code::TooLarge),
                        "{encoding:?} {bytes}"
                    );
                }
                if bytes > 2 << 20 {
                    let fault = unpack(encoding, &body, bytes, take(&small)).await.expect_err("above the budget");
                    assert!(matches!(fault, Fault::Code(error) if error.code == Code::Unavailable));
                }
            }
        }
        assert_eq!((budget.used(), small.used()), (0, 0));
    }
}
