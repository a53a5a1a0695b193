//! What the keeper of log patterns holds: for each service the keys that are known, and while new ones
//! come, a miner. All of it can be read from `log_patterns` again, so what was not used for longest goes
//! first when there is too much.

use std::collections::{HashMap, HashSet};

use correlate::patterns::{Added, Bounds, Miner, OVERFLOW, PATTERN_RULE, Seen, of_service, place};
use store::rollup::{ExampleRow, PatternRow, RENEW_NS, REST_KEY};

/// Keys held, all services together; about 60 bytes each.
const KEYS_MAX: usize = 500_000;
/// Templates held by miners, all services together; half a kilobyte each, 4 at worst.
const TEMPLATES_MAX: usize = 20_000;
/// How much earlier than noted a key must have been seen for that to be noted.
const EARLIER_NS: i64 = 60 * 1_000_000_000;

/// Tenant and service.
pub(crate) type Whose = (String, String);

/// A key of new logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) key: u64,
    pub(crate) logs: u64,
    pub(crate) first_ns: i64,
    pub(crate) last_ns: i64,
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) id: u64,
    pub(crate) first_ns: i64,
    pub(crate) written_ns: i64,
}

/// One service.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) known: HashMap<u64, Known>,
    pub(crate) miner: Option<Miner>,
    /// Keys for which there was no room; bounded as the keys are.
    turned_away: HashSet<u64>,
    used: u64,
}

/// What is to be written of a service.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// Whole rows: new keys, and those whose note is old.
    pub(crate) rows: Vec<PatternRow>,
    /// Former ids of patterns whose rows are to be written anew.
    pub(crate) former: Vec<u64>,
    /// The templates of those that they became.
    pub(crate) templates: HashMap<u64, String>,
}

impl Book {
    /// The book of a service of which so much is known.
    pub(crate) fn of(known: impl IntoIterator<Item = (u64, Known)>) -> Book {
        Book { known: known.into_iter().collect(), ..Book::default() }
    }

    /// Whether a log of the key is to be read: it is new, or a note of it is old.
    pub(crate) fn wants(&self, found: &Found, now_ns: i64) -> bool {
        match self.known.get(&found.key) {
            Some(known) => {
                now_ns.saturating_sub(known.written_ns) > RENEW_NS
                    || found.first_ns < known.first_ns.saturating_sub(EARLIER_NS)
            }
            None => !self.turned_away.contains(&found.key) && !self.is_full(),
        }
    }

    /// Whether new keys are turned away unseen.
    pub(crate) fn is_full(&self) -> bool {
        self.turned_away.len() >= Bounds::default().keys
    }

    /// Whether the key has no pattern of its own.
    pub(crate) fn overflows(&self, key: u64) -> bool {
        !self.known.contains_key(&key)
    }

    /// Takes in logs of keys and says what changed. With `all`, every pattern is written anew.
    pub(crate) fn take(
        &mut self,
        (tenant, service): &Whose,
        examples: Vec<ExampleRow>,
        found: &[Found],
        all: bool,
        now_ns: i64,
    ) -> News {
        let miner = self.miner.get_or_insert_with(|| Miner::new(Bounds::default()));
        let found: HashMap<u64, &Found> = found.iter().map(|found| (found.key, found)).collect();
        let mut fresh: HashMap<u64, PatternRow> = HashMap::new();
        for example in examples {
            let Some(found) = found.get(&example.key) else { continue };
            let key = match miner.add(&seen(&example)) {
                Added::New | Added::Known => example.key,
                Added::Overflow => {
                    self.turned_away.insert(example.key);
                    REST_KEY
                }
            };
            let is_noted =
                key == REST_KEY && self.known.get(&key).is_some_and(|rest| now_ns - rest.written_ns <= RENEW_NS);
            if !is_noted {
                fresh.entry(key).or_insert_with(|| row(tenant, service, key, example, found, now_ns));
            }
        }
        miner.settle();
        let mut news = News::default();
        let rest = (of_service(service.as_bytes(), OVERFLOW), "<*>".to_owned(), vec![(REST_KEY, 0)]);
        let patterns = miner
            .patterns()
            .into_iter()
            .map(|pattern| (of_service(service.as_bytes(), pattern.id), pattern.template, pattern.keys));
        for (id, template, keys) in patterns.chain([rest]) {
            for (key, _) in keys {
                if let Some(mut row) = fresh.remove(&key) {
                    let first_ns = self.known.get(&key).map_or(row.first_ns, |known| known.first_ns.min(row.first_ns));
                    (row.id, row.template, row.first_ns) = (id, template.clone(), first_ns);
                    self.known.insert(key, Known { id, first_ns, written_ns: now_ns });
                    news.rows.push(row);
                } else if let Some(known) = self.known.get_mut(&key)
                    && (known.id != id || all)
                {
                    news.former.push(known.id);
                    news.templates.entry(id).or_insert_with(|| template.clone());
                    known.id = id;
                }
            }
        }
        news.former.sort_unstable();
        news.former.dedup();
        news
    }
}

/// As the miner sees a log.
pub(crate) fn seen(example: &ExampleRow) -> Seen<'_> {
    Seen {
        key: example.key,
        body: example.example.as_bytes(),
        event_name: example.event_name.as_bytes(),
        severity_number: example.severity_number,
        place: place(example.code_file.as_bytes(), example.code_line.as_bytes(), example.code_function.as_bytes()),
    }
}

fn row(tenant: &str, service: &str, key: u64, example: ExampleRow, found: &Found, now_ns: i64) -> PatternRow {
    PatternRow {
        tenant: tenant.to_owned(),
        service: service.to_owned(),
        key,
        id: 0,
        template: String::new(),
        event_name: example.event_name,
        severity_number: example.severity_number,
        code_file: example.code_file,
        code_line: example.code_line,
        code_function: example.code_function,
        example: example.example,
        key_rule: correlate::RULE as u16,
        rule: PATTERN_RULE as u16,
        first_ns: found.first_ns,
        last_ns: found.last_ns,
        written_ns: now_ns,
        generation: 0,
    }
}

/// The services that are held.
#[derive(Debug, Default)]
pub(crate) struct Books {
    books: HashMap<Whose, Book>,
    uses: u64,
}

impl Books {
    /// Takes a service's book out, if it is held; [`Books::put`] gives it back.
    pub(crate) fn take(&mut self, whose: &Whose) -> Option<Book> {
        self.books.remove(whose)
    }

    /// Holds a book.
    pub(crate) fn put(&mut self, whose: Whose, mut book: Book) {
        self.uses += 1;
        book.used = self.uses;
        self.books.insert(whose, book);
        self.trim();
    }

    /// Keys and templates held.
    pub(crate) fn size(&self) -> (usize, usize) {
        let sizes = self.books.values().map(Book::size);
        sizes.fold((0, 0), |sum, size| (sum.0 + size.0, sum.1 + size.1))
    }

    fn trim(&mut self) {
        let (mut keys, mut templates) = self.size();
        if keys <= KEYS_MAX && templates <= TEMPLATES_MAX {
            return;
        }
        let mut oldest: Vec<(u64, Whose)> = self.books.iter().map(|(whose, book)| (book.used, whose.clone())).collect();
        oldest.sort_unstable();
        // Whatever it is, the one that is worked on stays.
        oldest.pop();
        for (_, whose) in oldest {
            let Some(book) = self.books.get_mut(&whose) else { continue };
            let size = book.size();
            if templates > TEMPLATES_MAX && book.miner.take().is_some() {
                templates -= size.1;
                keys -= size.0 - book.size().0;
            }
            if keys > KEYS_MAX {
                keys -= book.size().0;
                self.books.remove(&whose);
            }
            if keys <= KEYS_MAX && templates <= TEMPLATES_MAX {
                return;
            }
        }
    }
}

impl Book {
    fn size(&self) -> (usize, usize) {
        let (keys, templates) = self.miner.as_ref().map_or((0, 0), Miner::size);
        // One at least: names cost something, too.
        (keys + self.known.len() + self.turned_away.len() + 1, templates)
    }
}

#[cfg(test)]
#[path = "pattern_books_tests.rs"]
mod tests;
