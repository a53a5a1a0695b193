//! The questions and tables of log patterns against the real engine.

use std::collections::HashSet;
use std::time::Duration;

use model::Table;
use store::Store;
use store::questions::{Ask, LogMatch, PatternMatch, Window, logs, patterns};
use store::rollup::{ExampleRow, KnownRow, PatternRow, REST_KEY};

use crate::support::{Engine, admin, execute, number};

const SECOND: i64 = 1_000_000_000;

/// A log as `(tenant, service, key, second, severity, body)`, in a part of its own with the others.
async fn insert(client: &clickhouse::Client, logs: &[(&str, &str, u64, i64, u8, &str)]) {
    let row = |(tenant, service, key, second, severity, body): &(&str, &str, u64, i64, u8, &str)| {
        let body = body.replace('\\', "\\\\").replace('\'', "\\'");
        format!(
            "('{tenant}', '{service}', {key}, fromUnixTimestamp64Nano({}), {severity}, '{body}', map('code.lineno', '{second}'))",
            second * SECOND
        )
    };
    let rows: Vec<String> = logs.iter().map(row).collect();
    let sql = "INSERT INTO otel_logs (Tenant, ServiceName, PatternKey, Timestamp, SeverityNumber, Body, LogAttributes) VALUES ";
    execute(client, &format!("{sql}{}", rows.join(", "))).await;
}

fn row(tenant: &str, service: &str, key: u64, id: u64, generation: u64) -> PatternRow {
    PatternRow {
        tenant: tenant.to_owned(),
        service: service.to_owned(),
        key,
        id,
        template: format!("template {id}"),
        example: format!("example {key}"),
        code_file: "a.rs".to_owned(),
        key_rule: 2,
        rule: 1,
        first_ns: 5 * SECOND,
        last_ns: 9 * SECOND,
        written_ns: generation as i64,
        generation,
        ..PatternRow::default()
    }
}

// Its rows are of 1970 and do not expire.
fn lasting(engine: &Engine) -> Store {
    engine.store_with(|config| config.retention.logs = Duration::ZERO)
}

async fn parts(store: &Store) -> Vec<String> {
    store.rolling().unwrap().parts(Table::Logs).await.unwrap().into_iter().map(|part| part.name).collect()
}

// Scenario: logs of two tenants and services in parts, some without a key, bodies that are long or odd.
// Guarantee: the keys of given parts come service by service, with counts and times; one whole log of each key that
// is asked for is found in them, cut behind 2 KiB, with its place under either name.
#[tokio::test]
async fn keys_and_examples_of_parts() {
    let engine = Engine::shared();
    let store = lasting(engine);
    store.apply_schema().await.unwrap();
    let client = admin(engine, &store);
    execute(&client, "SYSTEM STOP MERGES otel_logs").await;
    let long = "é".repeat(5_000);
    insert(&client, &[("a", "shop", 7, 10, 9, "one"), ("a", "shop", 7, 30, 9, "two"), ("a", "", 0, 1, 0, "no key")])
        .await;
    insert(&client, &[("a", "shop", 8, 20, 17, &long), ("b", "it\\'s", 7, 40, 9, "other tenant")]).await;
    let rolling = store.rolling().unwrap();
    let mut keys = Vec::new();
    let read = |row: store::rollup::KeyRow| {
        let seconds = (row.first_ns / SECOND, row.last_ns / SECOND);
        keys.push(format!("{} {} {} x{} {seconds:?}", row.tenant, row.service, row.key, row.logs));
    };
    let all = parts(&store).await;
    assert_eq!(all.len(), 2);
    rolling.pattern_keys(&all, read).await.unwrap();
    assert_eq!(keys, ["a shop 7 x2 (10, 30)", "a shop 8 x1 (20, 20)", "b it's 7 x1 (40, 40)"]);
    let example = |key: u64, example: &str, severity_number, line: &str| ExampleRow {
        key,
        example: example.to_owned(),
        event_name: String::new(),
        severity_number,
        code_file: String::new(),
        code_line: line.to_owned(),
        code_function: String::new(),
    };
    let mut found = rolling.pattern_examples(&all, "a", "shop", &[7, 8, 99]).await.unwrap();
    found.sort_by_key(|row| row.key);
    assert_eq!(found, [example(7, "one", 9, "10"), example(8, &"é".repeat(1_026), 17, "20")]);
    let other = rolling.pattern_examples(&all, "b", "it's", &[7]).await.unwrap();
    assert_eq!(other, [example(7, "other tenant", 9, "40")]);
    assert!(rolling.pattern_examples(&all[..0], "a", "shop", &[7]).await.unwrap().is_empty());
}

// Scenario: patterns are written, join others, and are of other rules.
// Guarantee: the newest generation counts, whatever came last; other tenants and services are left alone; rows are
// read back as they were written.
#[tokio::test]
async fn rows_are_replaced() {
    let engine = Engine::shared();
    let store = lasting(engine);
    store.apply_schema().await.unwrap();
    let rolling = store.rolling().unwrap();
    rolling
        .write_patterns(&[row("a", "shop", 1, 10, 5), row("a", "shop", 2, 20, 5), row("b", "shop", 1, 30, 5)])
        .await
        .unwrap();
    rolling.write_patterns(&[row("a", "shop", 1, 20, 7)]).await.unwrap();
    rolling.write_patterns(&[row("a", "shop", 1, 40, 6)]).await.unwrap();
    let mut known = rolling.known_patterns("a", "shop").await.unwrap();
    known.sort_by_key(|row| row.key);
    let is = |key, written_ns| KnownRow { key, id: 20, first_ns: 5 * SECOND, written_ns };
    assert_eq!(known, [is(1, 7), is(2, 5)]);
    let mut rows = Vec::new();
    rolling.patterns("a", "shop", &[], |row| rows.push(row)).await.unwrap();
    assert_eq!(rows, [row("a", "shop", 1, 20, 7), row("a", "shop", 2, 20, 5)]);
    rows.clear();
    rolling.patterns("a", "shop", &[10, 40], |row| rows.push(row)).await.unwrap();
    assert!(rows.is_empty(), "what is replaced is not there: {rows:?}");
    assert!(rolling.outdated_patterns(1).await.unwrap().is_empty());
    let outdated: HashSet<(String, String)> = rolling.outdated_patterns(2).await.unwrap().into_iter().collect();
    assert_eq!(outdated.len(), 2);
}

// Scenario: logs whose keys have one pattern, another, none, and of a service that has too many; two tenants.
// Guarantee: counts add up by pattern, a key without one stands for itself, the rest is one; an id that was, a
// key and the rest find exactly those logs, also negated, in a search.
#[tokio::test]
async fn patterns_are_counted_and_found() {
    let engine = Engine::shared();
    let store = lasting(engine);
    store.apply_schema().await.unwrap();
    let admin = admin(engine, &store);
    let mut all =
        vec![("a", "big", 71, 5, 9, "rest one"), ("a", "big", 72, 6, 13, "rest two"), ("a", "big", 73, 7, 9, "known")];
    all.extend([("a", "shop", 1, 10, 9, "x"), ("a", "shop", 1, 11, 9, "x"), ("a", "shop", 2, 12, 17, "y")]);
    all.extend([
        ("a", "shop", 3, 13, 9, "new 17"),
        ("a", "cart", 1, 14, 9, "elsewhere"),
        ("b", "shop", 1, 15, 9, "other"),
    ]);
    all.push(("a", "shop", 0, 16, 9, "no key"));
    insert(&admin, &all).await;
    let rolling = store.rolling().unwrap();
    let written = [row("a", "shop", 1, 10, 1), row("a", "shop", 2, 20, 1), row("a", "cart", 1, 50, 1)];
    rolling.write_patterns(&written).await.unwrap();
    rolling.write_patterns(&[row("a", "shop", 1, 30, 2), row("a", "shop", 2, 30, 2)]).await.unwrap();
    rolling.write_patterns(&[row("a", "big", REST_KEY, 60, 2), row("a", "big", 73, 61, 2)]).await.unwrap();

    let client = store.client().unwrap();
    let ask = Ask { client: &client, tenant: "a" };
    let window = Window { from_ns: 0, to_ns: 100 * SECOND };
    let counts = patterns::counts(&ask, window, &LogMatch::default(), 10).await.unwrap();
    let drawn = |count: &patterns::PatternCount| {
        let seconds = (count.first_ns / SECOND, count.last_ns / SECOND, count.since_ns / SECOND);
        format!("{} {} {} x{} sev {} {seconds:?}", count.service, count.id, count.is_kept, count.logs, count.severity)
    };
    let expected = [
        "shop 30 true x3 sev 17 (10, 12, 5)",
        "big 60 true x2 sev 13 (5, 6, 5)",
        "big 61 true x1 sev 9 (7, 7, 5)",
        "cart 50 true x1 sev 9 (14, 14, 5)",
        "shop 3 false x1 sev 9 (13, 13, 0)",
    ];
    assert_eq!(counts.iter().map(drawn).collect::<Vec<_>>(), expected);
    assert_eq!((counts[0].patterns, counts[0].all_logs), (5, 8));
    let few =
        patterns::counts(&ask, window, &LogMatch { severity_min: Some(13), ..LogMatch::default() }, 1).await.unwrap();
    assert_eq!((few.len(), few[0].patterns, few[0].all_logs), (1, 2, 2));

    let texts = patterns::texts(&ask, vec![30, 60]).await.unwrap();
    let rest = texts.iter().find(|text| text.id == 60).unwrap();
    assert_eq!((texts.len(), rest.template.as_str(), rest.code.0.as_str()), (2, "template 60", "a.rs"));
    assert_eq!(patterns::examples(&ask, window, vec![3]).await.unwrap(), [(3, "new 17".to_owned())]);
    let of = patterns::of_keys(&ask, vec!["shop".into()], vec![1, 3, REST_KEY]).await.unwrap();
    assert_eq!(of.iter().map(|row| (row.key, row.id)).collect::<Vec<_>>(), [(1, 30)]);

    let found = async |id: u64, negated: bool, tenant: &str| {
        let ask = Ask { client: &client, tenant };
        let mut pattern = PatternMatch::new(id);
        pattern.means = patterns::meanings(&ask, id).await.unwrap();
        let mut matching = LogMatch { pattern: Some(pattern.clone()), ..LogMatch::default() };
        if negated {
            let not = store::questions::Term::Not(Box::new(store::questions::Term::Pattern(pattern)));
            matching = LogMatch { terms: vec![not], ..LogMatch::default() };
        }
        let search = logs::LogSearch { window, matching, newest_first: false, limit: 50, after: None };
        let page = logs::search(&ask, &search).await.unwrap();
        page.logs.iter().map(|log| log.body.clone()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(30, false, "a").await, "x x y");
    assert_eq!(found(10, false, "a").await, "x x y", "an id that it had");
    assert_eq!(found(2, false, "a").await, "x x y", "a key that has a pattern");
    assert_eq!(found(3, false, "a").await, "new 17", "a key that has none");
    assert_eq!(found(60, false, "a").await, "rest one rest two");
    assert_eq!(found(30, true, "a").await, "rest one rest two known new 17 elsewhere no key");
    assert_eq!(found(30, false, "b").await, "", "another tenant's");
    assert_eq!(found(99, false, "a").await, "", "nobody's");
}

// Scenario: a store with a retention of logs, then another one.
// Guarantee: what is known of patterns is kept two days longer than their logs; rows of logs that came just now
// stay, whatever time the logs say.
#[tokio::test]
async fn patterns_outlive_their_logs() {
    let engine = Engine::shared();
    let day = Duration::from_secs(86_400);
    let store = engine.store_with(|config| config.retention.logs = day);
    store.apply_schema().await.unwrap();
    let admin = admin(engine, &store);
    let kept = async |table: &str, ttl: &str| {
        let sql = format!(
            "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = '{table}' AND engine_full LIKE '% TTL {ttl}%'"
        );
        number(&admin, &sql).await
    };
    assert_eq!(kept("log_patterns", "toDateTime(greatest(LastSeen, WrittenAt)) + toIntervalSecond(259200)").await, 1);
    assert_eq!(kept("log_pattern_ids", "toDateTime(WrittenAt) + toIntervalSecond(259200)").await, 1);
    let now_ns = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64;
    let just_now = PatternRow { written_ns: now_ns, ..row("a", "shop", 1, 10, 1) };
    store.rolling().unwrap().write_patterns(&[just_now, row("a", "shop", 2, 20, 1)]).await.unwrap();
    execute(&admin, "OPTIMIZE TABLE log_patterns FINAL").await;
    execute(&admin, "OPTIMIZE TABLE log_pattern_ids FINAL").await;
    assert_eq!(number(&admin, "SELECT sum(PatternKey) FROM log_patterns").await, 1);
    assert_eq!(number(&admin, "SELECT sum(PatternKey) FROM log_pattern_ids").await, 1);
    let forever = engine.store_with(|config| {
        config.database = store.database().to_owned();
        config.retention.logs = Duration::ZERO;
    });
    forever.apply_schema().await.unwrap();
    assert_eq!(kept("log_patterns", "").await, 0);
}
