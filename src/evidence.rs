//! The keeper of evidence: makes, once a minute is over, what its traces tell fault localization, and makes it
//! anew when spans came late. So hours of baseline are a few rows, and a question reads no more of the raw spans
//! than examples need.
//!
//! Which minutes there are and how many spans they have the service graph says; who rolls that up keeps this
//! too. Nothing waits for it: a minute without evidence is read from its spans when it is asked for.

use std::time::Duration;

use model::evidence::RULE;
use store::evidence::{EvidenceRow, StaleRow, pack};
use store::rollup::Rolling;
use store::{LookupError, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::debug;
use view::View;

use crate::clock;
use crate::roll_metrics::Metrics;

/// How often it looks for work.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A minute's traces may go on for so long after it.
const AFTER: Duration = Duration::from_secs(150);
/// Minutes of one look.
const MINUTES_MAX: u64 = 20;
/// After a minute it rests so many times as long as that took: it must not be in the way of ingest.
const REST_TIMES: u32 = 2;
/// Pause after a failure.
const PAUSE: Duration = Duration::from_secs(20);

/// Keeps evidence for ever, whenever this process rolls: while `reigns` has the epoch of its reign.
pub(crate) async fn keep(store: Store, view: View, mut reigns: watch::Receiver<Option<u64>>, metrics: Metrics) {
    while reigns.wait_for(Option::is_some).await.is_ok() {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(reason) = look(&store, &view, &metrics).await {
            metrics.failures.inc();
            debug!(%reason, "evidence cannot be made now; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn look(store: &Store, view: &View, metrics: &Metrics) -> Result<(), String> {
    let rolling = store.rolling().map_err(|error: LookupError| error.to_string())?;
    let stale = rolling.stale_evidence(RULE as u16, AFTER, MINUTES_MAX).await.map_err(|error| error.to_string())?;
    let mut outcome = Ok(());
    for minute in stale {
        let began = Instant::now();
        match make(&rolling, view, minute).await {
            Ok(()) => metrics.evidence.inc(),
            // One that cannot be made must not be in the way of the others.
            Err(reason) => {
                outcome = Err(reason);
                0
            }
        };
        metrics.evidence_seconds.inc_by(began.elapsed().as_secs_f64());
        tokio::time::sleep(began.elapsed() * REST_TIMES).await;
    }
    outcome
}

async fn make(rolling: &Rolling, view: &View, minute: StaleRow) -> Result<(), String> {
    let made = view.evidence_of(&minute.tenant, minute.minute, minute.spans).await;
    let evidence = made.map_err(|error| error.to_string())?;
    let now_ns = clock::now_ns();
    let row = EvidenceRow {
        tenant: minute.tenant,
        minute_s: u32::try_from(minute.minute * 60).unwrap_or(0),
        generation: now_ns.unsigned_abs(),
        rule: RULE as u16,
        spans: minute.spans,
        rolled_ns: now_ns,
        evidence: pack(&evidence),
    };
    rolling.write_evidence(&[row]).await.map_err(|error| error.to_string())
}
