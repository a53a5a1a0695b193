//! Zipkin's dependency links: which service called which, derived from whole traces by Zipkin's own
//! rules, so that `/api/v2/dependencies` says what Zipkin would. Our own service graph is another
//! matter and unites more.
//!
//! [`merge`] cleans the spans of a trace, [`tree`] puts them in place, and here each one is asked what
//! it links. Everything is a loop over flat lists: a chain of a million spans costs no stack, spans
//! that are their own ancestors are simply never reached. Spec: facts on Zipkin, section 3.

mod merge;
mod tree;

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::HashMap;

/// A service name or address by number; the default is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Name(u32);

/// One side of a call; the default is an absent endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Service name.
    pub service: Name,
    /// IPv4 address as text.
    pub ipv4: Name,
    /// IPv6 address as text.
    pub ipv6: Name,
    /// Port; 0 for none.
    pub port: u16,
}

/// Kinds that link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Calls.
    Client,
    /// Is called.
    Server,
    /// Sends a message.
    Producer,
    /// Takes a message.
    Consumer,
}

/// What of a span decides about links.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinkSpan {
    /// Span id.
    pub id: u64,
    /// Parent's span id; 0 for none.
    pub parent: u64,
    /// Kind.
    pub kind: Option<Kind>,
    /// Whether another side began the span.
    pub shared: bool,
    /// Whether it has a tag `error`, whatever that says.
    pub error: bool,
    /// Start, microseconds since the epoch; 0 when absent.
    pub timestamp_us: u64,
    /// Who recorded it.
    pub local: Endpoint,
    /// Service name of the other side.
    pub remote: Name,
}

/// Calls from one service to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Who calls.
    pub parent: String,
    /// Who is called.
    pub child: String,
    /// How often.
    pub calls: u64,
    /// How many of the calls failed.
    pub errors: u64,
}

/// Gathers links, trace by trace.
#[derive(Debug, Default)]
pub struct Linker {
    names: Names,
    places: HashMap<(Name, Name), usize>,
    links: Vec<(Name, Name, u64, u64)>,
}

#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Linker {
    /// The number of a name; the empty one is none.
    pub fn name(&mut self, text: &str) -> Name {
        self.names.number(text)
    }

    /// Adds the links of a whole trace, given in any order, with any span given more than once.
    pub fn put_trace(&mut self, spans: Vec<LinkSpan>) {
        let spans = merge::merge(spans, &self.names);
        let tree = tree::Tree::build(&spans);
        tree.walk(|at, ancestor, is_leaf| self.put_span(&spans, tree.root, at, ancestor, is_leaf));
    }

    /// The links, in the order in which they were seen first.
    pub fn into_links(self) -> Vec<Link> {
        let Linker { names, links, .. } = self;
        let told = |(parent, child, calls, errors)| Link {
            parent: names.text(parent).to_owned(),
            child: names.text(child).to_owned(),
            calls,
            errors,
        };
        links.into_iter().map(told).collect()
    }

    // `ancestor` is the nearest one that has a kind.
    fn put_span(&mut self, spans: &[LinkSpan], root: Option<usize>, at: usize, ancestor: Option<usize>, is_leaf: bool) {
        let span = &spans[at];
        let own = span.local.service;
        let kind = match span.kind {
            // The server below names itself better than its client can.
            Some(Kind::Client) if !is_leaf => return,
            Some(kind) => kind,
            None if own.is_some() && span.remote.is_some() => Kind::Client,
            None => return,
        };
        let (mut parent, child) = match kind {
            Kind::Server | Kind::Consumer if root == Some(at) && span.remote.is_none() => return,
            Kind::Server | Kind::Consumer => (span.remote, own),
            Kind::Client | Kind::Producer => (own, span.remote),
        };
        if matches!(kind, Kind::Producer | Kind::Consumer) {
            // Between a service and its broker; nothing is inferred from who sent the message.
            return self.add(parent, child, span.error);
        }
        let mut error = span.error;
        if let Some(ancestor) = ancestor.map(|at| &spans[at]).filter(|ancestor| ancestor.local.service.is_some()) {
            let above = ancestor.local.service;
            if kind == Kind::Client && own.is_some() && above != own {
                self.add(above, own, false);
            }
            if kind == Kind::Server || parent.is_none() {
                parent = above;
            }
            // The client's half of the call was passed over: only here can its error be seen.
            let called = ancestor.kind == Some(Kind::Client) && span.parent != 0 && span.parent == ancestor.id;
            error |= called && ancestor.error;
        }
        self.add(parent, child, error);
    }

    fn add(&mut self, parent: Name, child: Name, error: bool) {
        if parent.is_none() || child.is_none() {
            return;
        }
        let at = *self.places.entry((parent, child)).or_insert_with(|| {
            self.links.push((parent, child, 0, 0));
            self.links.len() - 1
        });
        self.links[at].2 += 1;
        self.links[at].3 += u64::from(error);
    }
}

impl Name {
    fn is_none(self) -> bool {
        self.0 == 0
    }

    fn is_some(self) -> bool {
        !self.is_none()
    }
}

impl Names {
    fn number(&mut self, text: &str) -> Name {
        if text.is_empty() {
            return Name::default();
        }
        if let Some(number) = self.numbers.get(text) {
            return Name(*number);
        }
        self.texts.push(text.to_owned());
        let number = self.texts.len() as u32;
        self.numbers.insert(text.to_owned(), number);
        Name(number)
    }

    fn text(&self, name: Name) -> &str {
        name.0.checked_sub(1).map_or("", |at| &self.texts[at as usize])
    }

    // As texts, absent ones last.
    fn compare(&self, a: Name, b: Name) -> Ordering {
        a.is_none().cmp(&b.is_none()).then_with(|| self.text(a).cmp(self.text(b)))
    }
}
