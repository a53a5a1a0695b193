//! Why a span has no partner. Only what stored spans can prove or strongly suggest is a reason.

/// Why a span is unpaired, or what is odd about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Reason {
    /// The span names its peer, but the peer has stored no span: drawn as an external node.
    PeerNotInstrumented = 1,
    /// A client or producer whose callee is not stored and which does not say whom it called.
    PeerUnknown = 2,
    /// The client's own flags say that its context was not sampled, so its callee kept nothing.
    NotSampled = 3,
    /// The parent is not stored, and the span is one of a sample: the parent may have been sampled out.
    SampledOut = 4,
    /// The parent is not stored, and the trace has both 64-bit and 128-bit ids: one was cut on the way.
    IdTruncated = 5,
    /// The parent is not stored, and nothing says why.
    ParentNotStored = 6,
    /// A server that joined its client's span (Zipkin's `shared`), whose client is not stored.
    ClientNotStored = 7,
    /// None of the spans that a consumer links to is stored.
    LinkNotStored = 8,
    /// A consumer without parent, link, destination and peer.
    NoProducer = 9,
    /// The span is its own parent.
    SelfParent = 10,
    /// The span is its own ancestor.
    CyclicParents = 11,
    /// The minute is so young that the partner may still be on its way ([`Reason::at_age`]).
    NotYetArrived = 12,
    /// A note, not a missing partner: the span begins well before the span that called it.
    ClockSkew = 13,
    /// A note, not a missing partner: several different spans carry this id.
    DuplicateId = 14,
    /// Only in [`super::Wanted`]: the reference is stored in another minute. Never counted.
    StoredElsewhere = 15,
}

impl Reason {
    /// Every reason, by number.
    pub const ALL: [Reason; 15] = [
        Reason::PeerNotInstrumented,
        Reason::PeerUnknown,
        Reason::NotSampled,
        Reason::SampledOut,
        Reason::IdTruncated,
        Reason::ParentNotStored,
        Reason::ClientNotStored,
        Reason::LinkNotStored,
        Reason::NoProducer,
        Reason::SelfParent,
        Reason::CyclicParents,
        Reason::NotYetArrived,
        Reason::ClockSkew,
        Reason::DuplicateId,
        Reason::StoredElsewhere,
    ];

    /// Its code in answers and tables.
    pub fn code(self) -> &'static str {
        match self {
            Reason::PeerNotInstrumented => "peer_not_instrumented",
            Reason::PeerUnknown => "peer_unknown",
            Reason::NotSampled => "not_sampled",
            Reason::SampledOut => "sampled_out",
            Reason::IdTruncated => "id_truncated",
            Reason::ParentNotStored => "parent_not_stored",
            Reason::ClientNotStored => "client_not_stored",
            Reason::LinkNotStored => "link_not_stored",
            Reason::NoProducer => "no_producer",
            Reason::SelfParent => "self_parent",
            Reason::CyclicParents => "cyclic_parents",
            Reason::NotYetArrived => "not_yet_arrived",
            Reason::ClockSkew => "clock_skew",
            Reason::DuplicateId => "duplicate_id",
            Reason::StoredElsewhere => "stored_elsewhere",
        }
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Whether the span lacks a partner; otherwise it is paired and only odd.
    pub fn is_unpaired(self) -> bool {
        !matches!(self, Reason::ClockSkew | Reason::DuplicateId | Reason::StoredElsewhere)
    }

    /// The reason as it is shown for a minute of this age. Tables know no age (they are a function of
    /// the spans alone), so a lack that may be mere lateness is renamed when it is read.
    pub fn at_age(self, age_ns: i64, late_ns: i64) -> Reason {
        let may_be_late = matches!(
            self,
            Reason::PeerUnknown | Reason::ParentNotStored | Reason::ClientNotStored | Reason::LinkNotStored
        );
        if may_be_late && age_ns < late_ns { Reason::NotYetArrived } else { self }
    }
}
