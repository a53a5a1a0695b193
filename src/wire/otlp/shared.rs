//! What the three signals share: a request is a list of resources with scopes with items, under the
//! same field numbers everywhere. Resources and scopes are encoded once, when their first item is
//! accepted, so that nothing of an empty or refused group appears anywhere.

use model::batch::Account;
use model::{Batch, Decoded, Envelope, Limits, Reason, Resources, Scopes, Signal, mark};

use super::attributes::{Attributes, NO_ROLE};
use super::resource::{check_resource, check_scope, push_resource, push_scope, resource_role};
use crate::proto::{self, Cursor, Fault, What, fields};

const REQUEST_CHILD: u32 = 0x0a;
const HEAD: u32 = 0x0a;
const CHILD: u32 = 0x12;
const SCHEMA_URL: u32 = 0x1a;
const GROUP: u64 = fields(&[1, 2, 3]);

/// Memory that columns may take beyond [`EXPANSION_MAX`] times the body: small requests are free.
const FREE_BYTES: u64 = 64 << 20;
/// Bytes of columns per byte of body above which a request is refused. Honest items come with ids,
/// times and text; only lists of (nearly) empty messages get near this.
const EXPANSION_MAX: u64 = 8;
/// Rows and bytes that are reserved ahead at most; above them growth by doubling is cheap enough.
const RESERVE_MAX: (usize, usize) = (16 * 1024, 16 << 20);
/// Nested values above this pay for the memory in which they are written.
const LONG_TEXT_BYTES: usize = 4 << 10;
/// What an item may take beside twice its bytes.
const ITEM_BYTES: u64 = 1024;
/// What a pair takes beside its bytes.
const PAIR_BYTES: u64 = 12;

/// The limits of one request, and what its rows have cost so far.
pub(super) struct Bounds {
    pub(super) limits: Limits,
    pub(super) received_ns: i64,
    spent: u64,
    spent_max: u64,
    // Memory that may be taken before what is really held is counted again; see `Home::weigh`.
    left: u64,
}

impl Bounds {
    pub(super) fn new(limits: &Limits, received_ns: i64, body: &[u8]) -> Bounds {
        let spent_max = FREE_BYTES.saturating_add((body.len() as u64).saturating_mul(EXPANSION_MAX));
        Bounds { limits: *limits, received_ns, spent: 0, spent_max, left: limits.memory_bytes_max as u64 }
    }

    /// Charges a row of about `bytes` bytes that comes from `from`.
    #[inline]
    pub(super) fn charge(&mut self, bytes: u64, from: &[u8]) -> Result<(), Fault> {
        self.spent += bytes;
        if self.spent > self.spent_max {
            return Err(Cursor::new(from).fault(What::Expands));
        }
        self.take(bytes, from)
    }

    /// Takes memory that is not a row's: long texts and lists while they are put together.
    #[inline]
    pub(super) fn take(&mut self, bytes: u64, from: &[u8]) -> Result<(), Fault> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Cursor::new(from).fault(What::Memory)),
        }
    }

    /// Takes what a text may need that is written as JSON: six bytes for one, in a buffer that doubles.
    #[inline]
    pub(super) fn take_json(&mut self, content: &[u8]) -> Result<(), Fault> {
        if content.len() > LONG_TEXT_BYTES { self.take(10 * content.len() as u64, content) } else { Ok(()) }
    }

    /// Charges the pairs of a row.
    #[inline]
    pub(super) fn charge_pairs(&mut self, pairs: usize, from: &[u8]) -> Result<(), Fault> {
        self.charge(PAIR_BYTES * pairs as u64, from)
    }
}

/// Where the items of one signal go.
pub(super) trait Sink<'a> {
    /// The signal.
    const SIGNAL: Signal;

    /// About `items` items of `bytes` bytes together are coming.
    fn reserve(&mut self, items: usize, bytes: usize);

    /// Bytes of memory held.
    fn held(&self) -> usize;

    /// One item message.
    fn item(&mut self, home: &mut Home<'a>, item: &'a [u8]) -> Result<(), Fault>;

    /// All items have come; the columns go into `batch`.
    fn finish(self, batch: &mut Batch);
}

/// Resources and scopes of a request, and where in it the walk stands.
pub(super) struct Home<'a> {
    /// Limits and cost.
    pub(super) bounds: Bounds,
    /// What was refused or altered.
    pub(super) account: Account,
    signal: Signal,
    resources: Resources,
    resource_attributes: Attributes<'a>,
    scopes: Scopes,
    scope_attributes: Attributes<'a>,
    group: Layout<'a>,
    scope_group: Layout<'a>,
    resource: Option<u32>,
    scope: Option<u32>,
    // Marks of what was cut from the resource and the scope; their rows carry them.
    marks: [u32; 2],
    // The resource and scope that were encoded last: senders often repeat them group by group.
    last: [Option<(Layout<'a>, u32)>; 2],
    // Which resource, scope and item: for examples in the account.
    at: [usize; 3],
}

/// Walks a request message.
///
/// # Errors
/// The first fault; nothing of the request is to be stored then.
pub(super) fn walk<'a, S: Sink<'a>>(
    mut sink: S,
    body: &'a [u8],
    envelope: Envelope,
    limits: &Limits,
) -> Result<Decoded, Fault> {
    let mut home = Home::new(S::SIGNAL, Bounds::new(limits, envelope.received_ns, body));
    let mut request = Cursor::new(body);
    while !request.is_empty() {
        match request.key()? {
            REQUEST_CHILD => {
                let group = request.bytes()?;
                home.enter_resource(&mut sink, group)?;
                home.at[0] += 1;
            }
            key => request.skip_unknown(key, fields(&[1]))?,
        }
    }
    let mut batch = Batch::new(envelope);
    sink.finish(&mut batch);
    batch.resources = home.resources;
    batch.scopes = home.scopes;
    Ok(Decoded { batch, account: home.account })
}

impl<'a> Home<'a> {
    fn new(signal: Signal, bounds: Bounds) -> Home<'a> {
        Home {
            bounds,
            account: Account::default(),
            signal,
            resources: Resources::default(),
            resource_attributes: Attributes::new(resource_role),
            scopes: Scopes::default(),
            scope_attributes: Attributes::new(|_| NO_ROLE),
            group: Layout::default(),
            scope_group: Layout::default(),
            resource: None,
            scope: None,
            marks: [0; 2],
            last: [None; 2],
            at: [0; 3],
        }
    }

    /// The row numbers of the present resource and scope, which are encoded now if they were not.
    #[inline]
    pub(super) fn numbers(&mut self) -> Result<(u32, u32), Fault> {
        match (self.resource, self.scope) {
            (Some(resource), Some(scope)) => Ok((resource, scope)),
            _ => self.encode(),
        }
    }

    /// Marks that rows of the present resource and scope share.
    #[inline]
    pub(super) fn shared_marks(&self) -> u32 {
        self.marks[0] | self.marks[1]
    }

    /// Counts an item that is refused or altered.
    #[cold]
    pub(super) fn count(&mut self, reason: Reason, what: impl FnOnce() -> String) {
        let [resource, scope, item] = self.at;
        self.account
            .count(self.signal, reason, || format!("resource {resource}, scope {scope}, item {item}: {}", what()));
    }

    #[cold]
    fn encode(&mut self) -> Result<(u32, u32), Fault> {
        let resource = match (self.resource, self.last[0]) {
            (Some(resource), _) => resource,
            (None, Some((last, number))) if last.same_head(&self.group) => number,
            (None, _) => {
                self.group.take_heads(&mut self.bounds)?;
                let attributes = &mut self.resource_attributes;
                self.marks[0] = push_resource(&mut self.resources, attributes, self.group, &mut self.bounds)?;
                self.resources.len() as u32 - 1
            }
        };
        let scope = match (self.scope, self.last[1]) {
            (Some(scope), _) => scope,
            (None, Some((last, number))) if last.same_head(&self.scope_group) => number,
            (None, _) => {
                self.scope_group.take_heads(&mut self.bounds)?;
                let attributes = &mut self.scope_attributes;
                self.marks[1] = push_scope(&mut self.scopes, attributes, self.scope_group, &mut self.bounds)?;
                self.scopes.len() as u32 - 1
            }
        };
        self.last = [Some((self.group, resource)), Some((self.scope_group, scope))];
        (self.resource, self.scope) = (Some(resource), Some(scope));
        Ok((resource, scope))
    }

    fn enter_resource<S: Sink<'a>>(&mut self, sink: &mut S, group: &'a [u8]) -> Result<(), Fault> {
        let layout = Layout::of(group)?;
        self.group = layout;
        self.resource = None;
        self.at[1] = 0;
        for scope_group in layout.children() {
            self.enter_scope(sink, scope_group)?;
            self.at[1] += 1;
        }
        if self.resource.is_none() {
            check_resource(layout, &mut self.bounds)?;
        }
        Ok(())
    }

    fn enter_scope<S: Sink<'a>>(&mut self, sink: &mut S, group: &'a [u8]) -> Result<(), Fault> {
        let layout = Layout::of(group)?;
        self.scope_group = layout;
        self.scope = None;
        self.at[2] = 0;
        // As far as the items could honestly fit into their bytes.
        let items = layout.children.min(group.len() / 32 + 1);
        sink.reserve(items.min(RESERVE_MAX.0), group.len().min(RESERVE_MAX.1));
        for item in layout.children() {
            self.weigh(sink, item)?;
            sink.item(self, item)?;
            self.at[2] += 1;
        }
        if self.scope.is_none() {
            check_scope(layout, &mut self.bounds)?;
        }
        Ok(())
    }

    // Takes twice the bytes of the item, for its texts in columns that double; its rows are charged
    // where they are made. Both are guesses on the safe side: when they have used up the memory, what is
    // held is counted, and the guessing begins anew with what is left.
    #[inline]
    fn weigh<S: Sink<'a>>(&mut self, sink: &S, item: &[u8]) -> Result<(), Fault> {
        let weight = 2 * item.len() as u64;
        if self.bounds.left < 2 * weight + ITEM_BYTES {
            self.count_held(sink, 2 * weight + ITEM_BYTES, item)?;
        }
        self.bounds.left -= weight;
        Ok(())
    }

    #[cold]
    fn count_held<S: Sink<'a>>(&mut self, sink: &S, wanted: u64, item: &[u8]) -> Result<(), Fault> {
        let held = sink.held() + self.resources.heap_bytes() + self.scopes.heap_bytes();
        let max = self.bounds.limits.memory_bytes_max;
        self.bounds.left = max.saturating_sub(held) as u64;
        // Where little is left it would be counted item by item.
        if self.bounds.left < wanted + max as u64 / 16 { Err(Cursor::new(item).fault(What::Memory)) } else { Ok(()) }
    }
}

/// What a group (of a resource or a scope) holds beside its children: fields may come in any order.
#[derive(Clone, Copy, Default)]
pub(super) struct Layout<'a> {
    pub(super) group: &'a [u8],
    // The occurrences of field 1, the resource or scope: usually one.
    heads: usize,
    head: &'a [u8],
    pub(super) schema_url: &'a [u8],
    children: usize,
}

impl<'a> Layout<'a> {
    fn of(group: &'a [u8]) -> Result<Layout<'a>, Fault> {
        let mut layout = Layout { group, ..Layout::default() };
        let mut cursor = Cursor::new(group);
        while !cursor.is_empty() {
            match cursor.key()? {
                CHILD => {
                    cursor.bytes()?;
                    layout.children += 1;
                }
                HEAD => {
                    layout.head = cursor.bytes()?;
                    layout.heads += 1;
                }
                SCHEMA_URL => layout.schema_url = cursor.text()?,
                key => cursor.skip_unknown(key, GROUP)?,
            }
        }
        Ok(layout)
    }

    fn children(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        occurrences(self.group, CHILD)
    }

    // The memory for the texts of a resource or scope.
    fn take_heads(&self, bounds: &mut Bounds) -> Result<(), Fault> {
        let texts = self.heads().map(<[u8]>::len).sum::<usize>() + self.schema_url.len();
        bounds.take(2 * texts as u64, self.group)
    }

    // Whether resource or scope are surely the same, byte by byte.
    fn same_head(&self, other: &Layout<'_>) -> bool {
        self.heads == other.heads && self.heads <= 1 && self.head == other.head && self.schema_url == other.schema_url
    }

    /// Singular messages that come in pieces are read piece by piece: that is how protobuf merges them.
    pub(super) fn heads(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let several = (self.heads > 1).then(|| occurrences(self.group, HEAD));
        let one = (self.heads == 1).then_some(self.head);
        several.into_iter().flatten().chain(one)
    }
}

/// The occurrences of the length-delimited field with key `wanted` in a message whose frame was checked.
pub(super) fn occurrences(group: &[u8], wanted: u32) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new(group);
    std::iter::from_fn(move || {
        while !cursor.is_empty() {
            let key = cursor.key().ok()?;
            if key & 7 == proto::BYTES {
                let bytes = cursor.bytes().ok()?;
                if key == wanted {
                    return Some(bytes);
                }
            } else {
                cursor.skip(key).ok()?;
            }
        }
        None
    })
}

/// A name within the limit; [`mark::TRUNCATED`] is set when it had to be cut.
#[inline]
pub(super) fn cut<'t>(text: &'t [u8], bounds: &Bounds, marks: &mut u32) -> &'t [u8] {
    let kept = proto::cut(text, bounds.limits.name_bytes_max);
    if kept.len() < text.len() {
        *marks |= mark::TRUNCATED;
    }
    kept
}
