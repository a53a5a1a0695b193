//! Numbers as people read them.

/// A duration in nanoseconds: `4.2 ms`, `2.0 s`.
pub(crate) fn time(ns: f64) -> String {
    let (value, unit) = match ns {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "µs"),
        ns => (ns, "ns"),
    };
    if value >= 100.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// A share: `12 %`, `0.4 %`.
pub(crate) fn percent(share: f64) -> String {
    let value = share * 100.0;
    if value > 0.0 && value < 9.95 { format!("{value:.1} %") } else { format!("{value:.0} %") }
}

/// An edge.
pub(crate) fn edge_text(caller: &str, callee: &str) -> String {
    format!("{caller} -> {callee}")
}

/// A count: `17`, `3.5`.
pub(crate) fn number(value: f64) -> String {
    if value >= 100.0 || (value - value.round()).abs() < 0.05 { format!("{value:.0}") } else { format!("{value:.1}") }
}
