//! Zipkin v1 to v2. A v1 span holds the events of several hosts, each with its endpoint; a v2 span is
//! one host's view. So annotations are spread over as many spans as there are service names, and what
//! v1 says by annotation ("cs", "sr", …) becomes kind, times and `shared`.

use std::borrow::Cow;

use model::{SpanId, TraceId};

use super::span::{Annotation, Endpoint, Kind, ZipkinSpan};

/// Services that one v1 span may name: each makes a v2 span, and all are looked through for every
/// annotation. Real ones name two or three.
const SERVICES_MAX: usize = 256;

/// A v1 span. Numbers are as sent; 0 is absent.
#[derive(Clone, Debug, Default)]
pub(super) struct V1Span<'a> {
    pub(super) trace_id: TraceId,
    pub(super) id64: bool,
    pub(super) id: SpanId,
    pub(super) parent_id: Option<SpanId>,
    pub(super) name: Cow<'a, str>,
    pub(super) timestamp_us: i64,
    pub(super) duration_us: i64,
    pub(super) annotations: Vec<V1Annotation<'a>>,
    pub(super) binary_annotations: Vec<BinaryAnnotation<'a>>,
    pub(super) debug: Option<bool>,
}

#[derive(Clone, Debug)]
pub(super) struct V1Annotation<'a> {
    pub(super) timestamp_us: i64,
    pub(super) value: Cow<'a, str>,
    pub(super) endpoint: Option<Endpoint<'a>>,
}

/// A tag, or with the keys "ca", "sa" and "ma" the address of the other side.
#[derive(Clone, Debug)]
pub(super) struct BinaryAnnotation<'a> {
    pub(super) key: Cow<'a, str>,
    /// `None` when it is an address only.
    pub(super) value: Option<Cow<'a, str>>,
    pub(super) endpoint: Option<Endpoint<'a>>,
}

/// Converts `source`, handing each resulting span to `sink`.
pub(super) fn convert<'a>(mut source: V1Span<'a>, sink: &mut dyn FnMut(ZipkinSpan<'a>)) -> Result<(), String> {
    if source.trace_id.is_none() {
        return Err("traceId == 0".into());
    }
    if source.id.is_none() {
        return Err("id == 0".into());
    }
    source.annotations.iter_mut().for_each(|a| a.endpoint = a.endpoint.take().filter(|e| !e.is_empty()));
    source.binary_annotations.iter_mut().for_each(|b| b.endpoint = b.endpoint.take().filter(|e| !e.is_empty()));
    source.annotations.sort_by(|a, b| (a.timestamp_us, &a.value).cmp(&(b.timestamp_us, &b.value)));
    source.binary_annotations.sort_by(|a, b| a.key.cmp(&b.key));
    let mut split = Split::new(&source);
    split.annotations();
    split.binary_annotations();
    if split.spans.len() > SERVICES_MAX {
        return Err(format!("a span names more than {SERVICES_MAX} services"));
    }
    for span in split.spans {
        sink(span.finish()?);
    }
    Ok(())
}

// A core annotation: its time and who recorded it.
#[derive(Clone, Copy)]
struct Core<'s, 'a> {
    time_us: i64,
    endpoint: &'s Endpoint<'a>,
}

#[derive(Default)]
struct Cores<'s, 'a> {
    client_send: Option<Core<'s, 'a>>,
    client_receive: Option<Core<'s, 'a>>,
    server_receive: Option<Core<'s, 'a>>,
    server_send: Option<Core<'s, 'a>>,
    message_send: Option<Core<'s, 'a>>,
    message_receive: Option<Core<'s, 'a>>,
    wire_send: Option<Core<'s, 'a>>,
    wire_receive: Option<Core<'s, 'a>>,
}

struct Split<'s, 'a> {
    source: &'s V1Span<'a>,
    cores: Cores<'s, 'a>,
    // The first one takes what names no endpoint.
    spans: Vec<ZipkinSpan<'a>>,
}

impl<'s, 'a> Split<'s, 'a> {
    fn new(source: &'s V1Span<'a>) -> Split<'s, 'a> {
        Split { source, cores: Cores::default(), spans: vec![fresh(source, None)] }
    }

    fn annotations(&mut self) {
        for annotation in &self.source.annotations {
            let at = self.of(annotation.endpoint.as_ref());
            if !self.core(annotation, at) {
                self.annotate(at, annotation.timestamp_us, annotation.value.clone());
            }
        }
        self.add_missing_starts();
        self.rpc();
        self.messaging();
    }

    // Whether it is a core annotation; those count only with an endpoint.
    fn core(&mut self, annotation: &'s V1Annotation<'a>, at: usize) -> bool {
        let Some(endpoint) = &annotation.endpoint else { return false };
        let core = Some(Core { time_us: annotation.timestamp_us, endpoint });
        let (place, kind) = match &*annotation.value {
            "cs" => (&mut self.cores.client_send, Some(Kind::Client)),
            "cr" => (&mut self.cores.client_receive, Some(Kind::Client)),
            "sr" => (&mut self.cores.server_receive, Some(Kind::Server)),
            "ss" => (&mut self.cores.server_send, Some(Kind::Server)),
            "ms" => (&mut self.cores.message_send, Some(Kind::Producer)),
            "mr" => (&mut self.cores.message_receive, Some(Kind::Consumer)),
            "ws" => (&mut self.cores.wire_send, None),
            "wr" => (&mut self.cores.wire_receive, None),
            _ => return false,
        };
        *place = core;
        if kind.is_some() {
            self.spans[at].kind = kind;
        }
        true
    }

    // Bridging from events to spans can lose the start annotation; the span's own times tell it.
    fn add_missing_starts(&mut self) {
        let source = self.source;
        let start = |end: Option<Core<'s, 'a>>| {
            let end = end?;
            let told = source.timestamp_us != 0 && source.duration_us != 0;
            let ends = source.timestamp_us.wrapping_add(source.duration_us) == end.time_us;
            (told && ends).then_some(Core { time_us: source.timestamp_us, endpoint: end.endpoint })
        };
        let cores = &mut self.cores;
        cores.client_send = cores.client_send.or_else(|| start(cores.client_receive));
        cores.server_receive = cores.server_receive.or_else(|| start(cores.server_send));
    }

    fn rpc(&mut self) {
        let Cores { client_send, client_receive, server_receive, server_send, .. } = self.cores;
        match (client_send, client_receive, server_receive, server_send) {
            (Some(cs), cr, Some(sr), ss) => self.both_sides(cs, cr, sr, ss),
            (Some(cs), Some(cr), ..) => self.times(cs, Some(cr)),
            (_, _, Some(sr), Some(ss)) => self.times(sr, Some(ss)),
            _ => self.incomplete_rpc(),
        }
        // v1 had no shared flag: by convention a server's span without times of its own is shared.
        let unowned = self.source.timestamp_us == 0 || (server_send.is_some() && self.source.duration_us == 0);
        if let (None, Some(sr), true) = (client_send, server_receive, unowned) {
            let at = self.of(Some(sr.endpoint));
            self.spans[at].shared = Some(true);
        }
    }

    fn both_sides(&mut self, cs: Core<'s, 'a>, cr: Option<Core<'s, 'a>>, sr: Core<'s, 'a>, ss: Option<Core<'s, 'a>>) {
        self.times(cs, cr);
        let client = self.of(Some(cs.endpoint));
        let server = self.other_side(client, Kind::Client, cs, sr, Kind::Server);
        self.spans[server].shared = Some(true);
        self.spans[server].timestamp_us = micros(sr.time_us);
        if let Some(ss) = ss {
            self.spans[server].duration_us = micros(ss.time_us.wrapping_sub(sr.time_us));
        }
        if cr.is_none() && self.source.duration_us == 0 {
            self.spans[client].duration_us = 0;
        }
    }

    // The span of the receiving side: its own one even when both sides are the same service.
    fn other_side(&mut self, near: usize, near_kind: Kind, from: Core<'s, 'a>, to: Core<'s, 'a>, kind: Kind) -> usize {
        if from.endpoint.service_name != to.endpoint.service_name {
            return self.of(Some(to.endpoint));
        }
        self.spans[near].kind = Some(near_kind);
        let mut span = fresh(self.source, Some(to.endpoint));
        span.kind = Some(kind);
        self.spans.push(span);
        self.spans.len() - 1
    }

    fn incomplete_rpc(&mut self) {
        let Cores { client_send, client_receive, server_receive, server_send, .. } = self.cores;
        for at in 0..self.spans.len() {
            let (begin, end, name) = match self.spans[at].kind {
                Some(Kind::Client) => (client_send, client_receive, "cr"),
                Some(Kind::Server) => (server_receive, server_send, "ss"),
                _ => continue,
            };
            if let Some(begin) = begin {
                self.spans[at].timestamp_us = micros(begin.time_us);
            }
            if let Some(end) = end {
                self.annotate(at, end.time_us, Cow::Borrowed(name));
            }
        }
        if self.source.timestamp_us != 0 {
            self.spans[0].timestamp_us = micros(self.source.timestamp_us);
            self.spans[0].duration_us = micros(self.source.duration_us);
        }
    }

    fn messaging(&mut self) {
        let Cores { message_send, message_receive, wire_send, wire_receive, .. } = self.cores;
        match (message_send, message_receive) {
            (Some(ms), Some(mr)) => {
                let producer = self.of(Some(ms.endpoint));
                let consumer = self.other_side(producer, Kind::Producer, ms, mr, Kind::Consumer);
                let begin = wire_receive.unwrap_or(mr);
                self.spans[consumer].shared = Some(true);
                self.spans[consumer].timestamp_us = micros(begin.time_us);
                if wire_receive.is_some() {
                    self.spans[consumer].duration_us = micros(mr.time_us.wrapping_sub(begin.time_us));
                }
                self.spans[producer].timestamp_us = micros(ms.time_us);
                self.spans[producer].duration_us =
                    wire_send.map_or(0, |ws| micros(ws.time_us.wrapping_sub(ms.time_us)));
            }
            (Some(ms), None) => self.times(ms, wire_send),
            (None, Some(mr)) => match wire_receive {
                Some(wr) => self.times(wr, Some(mr)),
                None => self.times(mr, None),
            },
            (None, None) => {
                for (core, name) in [(wire_send, "ws"), (wire_receive, "wr")] {
                    if let Some(core) = core {
                        let at = self.of(Some(core.endpoint));
                        self.annotate(at, core.time_us, Cow::Borrowed(name));
                    }
                }
            }
        }
    }

    fn binary_annotations(&mut self) {
        let (mut ca, mut sa, mut ma) = (None, None, None);
        for binary in &self.source.binary_annotations {
            match &*binary.key {
                // The value should be true; old clients of some languages write "1".
                "ca" => ca = binary.endpoint.as_ref(),
                "sa" => sa = binary.endpoint.as_ref(),
                "ma" => ma = binary.endpoint.as_ref(),
                key => {
                    let Some(value) = &binary.value else { continue };
                    let at = self.of(binary.endpoint.as_ref());
                    if key != "lc" || !value.is_empty() {
                        self.spans[at].tags.push((binary.key.clone(), value.clone()));
                    }
                }
            }
        }
        self.addresses(ca, sa, ma);
    }

    fn addresses(&mut self, ca: Option<&Endpoint<'a>>, sa: Option<&Endpoint<'a>>, ma: Option<&Endpoint<'a>>) {
        let Cores { client_send, client_receive, server_receive, server_send, message_send, message_receive, .. } =
            self.cores;
        let server = server_receive.or(server_send);
        let client = client_send.or(client_receive);
        if server.is_none() && client.is_none() && (ca.is_some() || sa.is_some()) {
            // "sa" alone does not make a client of the span.
            let at = self.of(ca.filter(|_| sa.is_some()));
            self.spans[at].remote = sa.or(ca).cloned();
            if sa.is_none() {
                self.spans[at].kind = Some(Kind::Server);
            }
            return;
        }
        if let (Some(ca), Some(server)) = (ca, server)
            && ca != server.endpoint
        {
            let mut remote = ca.clone();
            // Some servers name the client's socket after themselves, which would look like a loopback.
            if ca.service_name == server.endpoint.service_name {
                remote.service_name = Cow::Borrowed("");
            }
            let at = self.of(Some(server.endpoint));
            self.spans[at].remote = Some(remote);
        }
        let sides = [(sa, client), (ma, message_send), (ma, message_receive)];
        for (address, side) in sides {
            if let (Some(address), Some(side)) = (address, side) {
                let at = self.of(Some(side.endpoint));
                self.spans[at].remote = Some(address.clone());
            }
        }
    }

    // The span's own times if it has both, else those of its first and last annotation.
    fn times(&mut self, begin: Core<'s, 'a>, end: Option<Core<'s, 'a>>) {
        let at = self.of(Some(begin.endpoint));
        let span = &mut self.spans[at];
        if self.source.timestamp_us != 0 && self.source.duration_us != 0 {
            span.timestamp_us = micros(self.source.timestamp_us);
            span.duration_us = micros(self.source.duration_us);
        } else {
            span.timestamp_us = micros(begin.time_us);
            if let Some(end) = end {
                span.duration_us = micros(end.time_us.wrapping_sub(begin.time_us));
            }
        }
    }

    // The number of the span that belongs to the endpoint, by service name.
    fn of(&mut self, endpoint: Option<&Endpoint<'a>>) -> usize {
        let Some(endpoint) = endpoint else { return 0 };
        for (at, span) in self.spans.iter_mut().enumerate() {
            match &span.local {
                Some(local) if local.service_name != endpoint.service_name => {}
                Some(_) => return at,
                None => {
                    span.local = Some(endpoint.clone());
                    return at;
                }
            }
        }
        // The request is refused in the end; until then nothing grows.
        if self.spans.len() <= SERVICES_MAX {
            self.spans.push(fresh(self.source, Some(endpoint)));
        }
        self.spans.len() - 1
    }

    fn annotate(&mut self, at: usize, timestamp_us: i64, value: Cow<'a, str>) {
        self.spans[at].annotations.push(Annotation { timestamp_us, value });
    }
}

fn fresh<'a>(source: &V1Span<'a>, local: Option<&Endpoint<'a>>) -> ZipkinSpan<'a> {
    ZipkinSpan {
        trace_id: source.trace_id,
        id64: source.id64,
        parent_id: source.parent_id,
        id: source.id,
        name: source.name.clone(),
        local: local.cloned(),
        debug: source.debug,
        ..ZipkinSpan::default()
    }
}

// Times of v2 are absent rather than negative.
fn micros(time_us: i64) -> u64 {
    time_us.max(0) as u64
}
