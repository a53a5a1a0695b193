//! Retry storms: a callee that refuses because it is called too often is not who is at fault.

use std::collections::BTreeMap;

use crate::finding::{Channel, Finding, Sign};

/// How much of a callee's refusals a storm against it explains, when the storm is certain.
const EXPLAINED: f64 = 0.9;

/// Takes off what refusals say against a service that is being stormed: HTTP 429 and 503, gRPC's
/// RESOURCE_EXHAUSTED and UNAVAILABLE, without an exception of its own.
pub(crate) fn discount(findings: &mut [Finding]) {
    let mut stormed: BTreeMap<String, f64> = BTreeMap::new();
    for found in findings.iter() {
        if let Sign::Repeats { callee, storm, .. } = &found.sign {
            let sure = stormed.entry(callee.clone()).or_default();
            *sure = sure.max(*storm);
        }
    }
    if stormed.is_empty() {
        return;
    }
    let mut fails: BTreeMap<String, bool> = BTreeMap::new();
    for found in findings.iter().filter(|found| found.channel == Channel::Errors) {
        *fails.entry(found.service.clone()).or_default() |= !is_refusal(&found.subject);
    }
    for found in findings.iter_mut().filter(|found| matches!(found.channel, Channel::Errors | Channel::Steps)) {
        let Some(storm) = stormed.get(&found.service) else { continue };
        if fails.get(&found.service) == Some(&false) {
            found.strength *= 1.0 - EXPLAINED * storm;
        }
    }
}

fn is_refusal(subject: &str) -> bool {
    ["HTTP 429", "HTTP 503", "gRPC 8", "gRPC 14"].iter().any(|refusal| subject.ends_with(refusal))
}
