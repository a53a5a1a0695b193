//! What the books say of a service, without a store.

use super::*;

fn whose() -> Whose {
    ("acme".to_owned(), "shop".to_owned())
}

fn example(body: &str) -> ExampleRow {
    ExampleRow {
        key: correlate::pattern_key(body.as_bytes(), b"", 9, 0),
        example: body.to_owned(),
        event_name: String::new(),
        severity_number: 9,
        code_file: String::new(),
        code_line: String::new(),
        code_function: String::new(),
    }
}

fn found(example: &ExampleRow, first_ns: i64) -> Found {
    Found { key: example.key, logs: 1, first_ns, last_ns: first_ns + 5 }
}

fn take(book: &mut Book, bodies: &[String], now_ns: i64) -> News {
    let examples: Vec<ExampleRow> = bodies.iter().map(|body| example(body)).collect();
    let found: Vec<Found> = examples.iter().map(|example| found(example, 100)).collect();
    book.take(&whose(), examples, &found, false, now_ns)
}

fn greeting(name: &str) -> String {
    format!("session closed for user {name}")
}

// Scenario: names come one after the other, until there are enough to know that they are names.
// Guarantee: first each has its pattern, then the stored ones are told to become the common one, which new ones
// have at once; ids are the service's.
#[test]
fn patterns_become_others() {
    let mut book = Book::default();
    let one = take(&mut book, &[greeting("alice")], 1_000);
    assert_eq!((one.rows.len(), one.former.len()), (1, 0));
    assert_eq!((one.rows[0].first_ns, one.rows[0].last_ns, one.rows[0].written_ns), (100, 105, 1_000));
    let names = ["bob", "carol", "dave", "erin"].map(greeting);
    let more = take(&mut book, &names, 2_000);
    assert_eq!(more.former, [one.rows[0].id]);
    assert_eq!(more.templates.values().collect::<Vec<_>>(), ["session closed for user <*>"]);
    let id = more.rows[0].id;
    assert!(more.rows.len() == 4 && more.rows.iter().all(|row| row.id == id && row.template.ends_with("<*>")));
    assert_eq!(book.known.values().filter(|known| known.id == id).count(), 5);
    let mut other = Book::default();
    let other = other.take(
        &("acme".into(), "cart".into()),
        names.iter().map(|body| example(body)).collect(),
        &names.iter().map(|body| found(&example(body), 1)).collect::<Vec<_>>(),
        false,
        0,
    );
    assert_eq!((&other.rows[0].template, other.rows[0].id != id), (&more.rows[0].template, true));
}

// Scenario: a known key comes again: at once, much earlier than noted, and a day later.
// Guarantee: only then is a log of it read; the first time seen stays the earliest.
#[test]
fn notes_are_renewed() {
    let day = RENEW_NS;
    let mut book = Book::default();
    take(&mut book, &[greeting("alice")], day);
    let again = example(&greeting("alice"));
    assert!(!book.wants(&found(&again, 100), day + 1));
    assert!(!book.wants(&found(&again, 100 - EARLIER_NS), day + 1));
    assert!(book.wants(&found(&again, 99 - EARLIER_NS), day + 1));
    assert!(book.wants(&found(&again, 3 * day), 2 * day + 1));
    let late = Found { key: again.key, logs: 1, first_ns: 3 * day, last_ns: 3 * day };
    let news = book.take(&whose(), vec![again.clone()], &[late], false, 3 * day);
    assert_eq!((news.rows[0].first_ns, news.rows[0].last_ns), (100, 3 * day));
    assert!(!book.wants(&found(&again, 3 * day), 3 * day + 1));
}

// Scenario: every pattern is to be made anew (other rules).
// Guarantee: each former id is named, with the template of what it is now.
#[test]
fn all_can_be_made_anew() {
    let mut book = Book::default();
    take(&mut book, &["cache warmed up".to_owned(), "disk is full".to_owned()], 0);
    let news = book.take(&whose(), Vec::new(), &[], true, 1);
    assert_eq!((news.rows.len(), news.former.len(), news.templates.len()), (0, 2, 2));
}

// Scenario: a service writes more kinds of logs than are told apart.
// Guarantee: what is beyond has one pattern, written once; keys that were turned away are not read again.
#[test]
fn the_rest_is_one_pattern() {
    let word = |mut number: usize| {
        let mut word = String::new();
        for _ in 0..4 {
            word.push((b'g' + (number % 19) as u8) as char);
            number /= 19;
        }
        word
    };
    let templates = Bounds::default().templates;
    // Of different lengths, so that nothing merges.
    let bodies: Vec<String> = (0..templates + 10)
        .map(|number| (0..2 + number % 100).map(|at| word(number * 101 + at)).collect::<Vec<_>>().join(" "))
        .collect();
    let mut book = Book::default();
    let news = take(&mut book, &bodies, 0);
    let rest: Vec<&PatternRow> = news.rows.iter().filter(|row| row.key == REST_KEY).collect();
    assert_eq!((rest.len(), rest[0].template.as_str()), (1, "<*>"));
    assert_eq!(rest[0].id, of_service(b"shop", OVERFLOW));
    let turned_away: Vec<&String> = bodies.iter().filter(|body| book.overflows(example(body).key)).collect();
    assert_eq!(turned_away.len(), 10);
    assert!(!book.wants(&found(&example(turned_away[0]), 100), 1));
    assert!(take(&mut book, &[bodies[0].clone() + " and on"], 1).rows.is_empty(), "the rest is noted already");
}

// Scenario: more services than may be held, one of them used again and again.
// Guarantee: there are never more keys and templates than allowed, and what is in use stays.
#[test]
fn what_is_held_is_bounded() {
    let mut books = Books::default();
    for service in 0..40 {
        let mut book = Book::default();
        let known = Known { id: 1, first_ns: 0, written_ns: 0 };
        book.known.extend((0..30_000).map(|key| (key, known)));
        books.put(("t".into(), service.to_string()), book);
        let used = books.take(&("t".into(), "0".into())).expect("it is in use");
        books.put(("t".into(), "0".into()), used);
        assert!(books.size().0 <= KEYS_MAX);
    }
    assert!(books.take(&("t".into(), "1".into())).is_none());
}
