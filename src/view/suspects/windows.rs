//! The evidence of some windows, for those who compare it in another way than `locate::locate`.

use correlate::graph::Names;
use model::evidence::{Evidence, Sample};
use store::questions::{Ask, Window, evidence};

use super::SPANS_MAX;
use super::gather::Known;
use crate::ViewError;

/// What windows tell.
pub(crate) struct Told {
    /// Evidence, window by window.
    pub(crate) rows: Vec<Evidence>,
    /// Traces of the last window.
    pub(crate) sample: Sample,
    /// Why it is not everything.
    pub(crate) partial_reason: Option<String>,
}

/// Gathers windows.
pub(crate) async fn told(ask: &Ask<'_>, windows: &[Window]) -> Result<Told, ViewError> {
    let mut known = Known::default();
    for window in windows {
        known.add(&evidence::minutes(ask, *window).await?);
        known.read(ask, *window).await?;
    }
    let of = known.unread(windows).div_ceil(SPANS_MAX).max(1);
    let mut names = Names::default();
    let mut parts = Vec::new();
    for window in windows {
        parts.push(known.gather(ask, *window, of, &mut names).await?);
    }
    let is_trimmed = parts.iter().any(|part| part.is_trimmed);
    let samples = match (parts.last(), windows.last()) {
        (Some(part), Some(window)) if !part.is_read() => {
            Some(known.sample(ask, &[known.trimmed(*window)], &mut names).await?)
        }
        _ => None,
    };
    let made = tokio::task::spawn_blocking(move || {
        let sample = match &samples {
            Some(traces) => traces.sample(&names),
            None => parts.last().map(|part| part.sample(&names)).unwrap_or_default(),
        };
        (parts.iter().map(|part| part.evidence(&names)).collect(), sample)
    });
    let (rows, sample) = made.await.map_err(|_| ViewError::Broken("making evidence broke off".into()))?;
    let reasons = [
        (of > 1).then(|| format!("of the traces without stored evidence one of {of} was looked at")),
        is_trimmed.then(|| "windows were cut to whole minutes".to_owned()),
    ];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    Ok(Told { rows, sample, partial_reason: (!reasons.is_empty()).then(|| reasons.join("; ")) })
}
