//! Templates and merges as tables; what holds for every set of logs as properties.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::grouping::{Grouping, grouping};
use super::*;
use crate::pattern_key;

fn seen(body: &str) -> Seen<'_> {
    Seen { key: pattern_key(body.as_bytes(), b"", 9, 0), body: body.as_bytes(), severity_number: 9, ..Seen::default() }
}

fn mined<'b>(bodies: impl IntoIterator<Item = &'b str>) -> Miner {
    let mut miner = Miner::default();
    for body in bodies {
        miner.add(&seen(body));
    }
    miner.settle();
    miner
}

fn id(miner: &Miner, body: &str) -> u64 {
    miner.pattern(seen(body).key, 0).unwrap()
}

fn templates(miner: &Miner) -> Vec<String> {
    let mut templates: Vec<String> = miner.patterns().into_iter().map(|pattern| pattern.template).collect();
    templates.sort();
    templates
}

// Scenario: bodies with values that masking does not know.
// Guarantee: they are holes; words, labels, places in the source and the names of errors stay.
#[test]
fn one_body() {
    let cases = [
        // paths, URLs, hosts, addresses
        ("Deleting /var/lib/x/_base now", "Deleting <*> now"),
        ("GET https://example.org/a?b=c&d done", "GET <*> done"),
        ("open C:\\Users\\bob failed", "open <*> failed"),
        ("Input/output error on tree/torus", "Input/output error on tree/torus"),
        ("route / is gone", "route / is gone"),
        ("../x ./y a/b/c", "<*>"),
        ("/usr/bin/true", "<*>"),
        ("connect to db.example.com:5432, retry", "connect to <*>, retry"),
        ("connect to localhost:80", "connect to <*>"),
        ("to svc.cluster.local and java.net and a.b", "to <*> and java.net and a.b"),
        ("host bgl.co.uk up", "host <*> up"),
        ("mail bob@example.org sent", "mail <*> sent"),
        ("chip FF:F2:9F:DC:00:EA at ff02::fb", "chip <*> at <*>"),
        ("task:7 type:create", "task:<*> type:create"),
        // words with numbers in them
        ("stored blk_-17 on node-3", "stored <*> on <*>"),
        ("PSR0=1 PSR1=2 gone", "PSR<*>=<*> gone"),
        ("rx a1, b2, c3; x1", "rx <*>; <*>"),
        ("node7", "node<*>"),
        ("42", "<*>"),
        // dates, units, comparisons, absent values
        ("at Fri Jun 17 07:07:00 2005 it began", "at <*> it began"),
        ("on Sat Jul 9 04:30:01 PDT 2005", "on <*>"),
        ("Sun rises, May comes", "Sun rises, May comes"),
        ("size 5.2 KB, free 14 B", "size <*>, free <*>"),
        ("lifetime <1 sec, was 00:02", "lifetime <*>, was <*>"),
        ("Switch<0>(0x0)::call", "Switch<<*>>(<*>)::call"),
        ("from 1.2.3.4 () at main()", "from <*> (<*>) at main()"),
        ("enabled=x cached: true", "enabled=<*> cached: <*>"),
        // signs
        ("enabled.....1", "enabled...<*>"),
        ("Wait... done.", "Wait... done."),
        ("can't do it, isn't it", "can't do it, isn't it"),
        ("[create][Success]", "[create][Success]"),
        // lists and repetitions
        ("ids [a, b, c] of x=[d] and [e]", "ids [<*>] of x=[<*>] and [e]"),
        ("Set: T(id=1), T(id=2), T(id=3) end", "Set: T(id=<*>) end"),
        ("(1) at 0x1 (2) at 0x2 (3) at 0x3", "(<*>) at <*>"),
        ("no no no", "no no no"),
        // what stays
        ("a.s.Impl#65 user", "a.s.Impl#65 user"),
        ("o.Log4Impl#65 user", "o.<*>#65 user"),
        ("at /srv/app/main.go:17", "at /srv/app/main.go:17"),
        ("main.go:17: java.io.IOException: x", "main.go:17: java.io.IOException: x"),
        ("{\"level\":\"info\",\"msg\":\"user 7 left\"}", "{\"level\":\"info\",\"msg\":\"user <*> left\"}"),
        // no text is too strange
        ("", ""),
        ("   ", ""),
        ("<*>", "<*>"),
        ("::: == ,,", "::: == ,,"),
        ("größe 5 日本 3", "größe <*> 日本 <*>"),
        ("\u{1a}", "<*>"),
    ];
    for (body, expected) in cases {
        assert_eq!(template(body.as_bytes()), expected, "{body:?}");
    }
    let long = format!("got {} twice", "x-".repeat(100));
    assert_eq!(template(long.as_bytes()), "got <*> twice", "long words are values");
    let cut = format!("rows {}", "order7 ".repeat(1000));
    assert_eq!(template(cut.as_bytes()), "rows <*>", "the word that the bound cuts in two says nothing");
}

// Scenario: logs of one service, a set a case: first the bodies, then the patterns.
// Guarantee: what differs in the names of things is joined, what differs in what happened is not.
#[test]
fn many_bodies() {
    let cases: [(&str, &[&str], &[&str]); 18] = [
        (
            "two users, behind a noun that a preposition introduces",
            &["session closed for user ann", "session closed for user bob", "session opened for user bob"],
            &["session closed for user <*>", "session opened for user bob"],
        ),
        (
            "white space before everything",
            &["  session closed for user ann", "session closed for user bob"],
            &["session closed for user <*>"],
        ),
        (
            "a hole and a name in one place",
            &["Failed password for root from 1.2.3.4", "Failed password for user1 from 1.2.3.4"],
            &["Failed password for <*> from <*>"],
        ),
        (
            "two words between prepositions are not yet a value",
            &["Block 1 stored as bytes in memory", "Block 1 stored as values in memory"],
            &["Block <*> stored as bytes in memory", "Block <*> stored as values in memory"],
        ),
        (
            "states and participles are no names",
            &["went from NEW to OLD", "went from NEW to SOLD", "went from NEW to GONE", "went from NEW to DEAD"],
            &["went from NEW to DEAD", "went from NEW to GONE", "went from NEW to OLD", "went from NEW to SOLD"],
        ),
        (
            "participles",
            &["the service started", "the service stopped", "the service connected", "the service failed"],
            &["the service connected", "the service failed", "the service started", "the service stopped"],
        ),
        (
            "classes",
            &["Registering class a.b.C for class d.e.F", "Registering class a.b.G for class d.e.H"],
            &["Registering class <*> for class <*>"],
        ),
        ("arguments of a call", &["LOGIN chdir(pwd) failed", "LOGIN chdir(/a/b) failed"], &["LOGIN chdir(<*>) failed"]),
        (
            "errors",
            &[
                "call failed: a.b.OneException",
                "call failed: a.b.TwoException",
                "call failed: a.b.SixException",
                "call failed: a.b.TenError",
            ],
            &[
                "call failed: a.b.OneException",
                "call failed: a.b.SixException",
                "call failed: a.b.TenError",
                "call failed: a.b.TwoException",
            ],
        ),
        (
            "one statement, its place in the text",
            &["Impl#5 [find][name: ann]", "Impl#5 [find][name: bob]", "Impl#6 [find][name: bob]"],
            &["Impl#5 [find][name: <*>]", "Impl#6 [find][name: bob]"],
        ),
        (
            "loggers are places, too",
            &["logger=a.b.C level=info msg=done", "logger=a.b.D level=info msg=done"],
            &["logger=a.b.C level=info msg=done", "logger=a.b.D level=info msg=done"],
        ),
        (
            "seven words in one place",
            &[
                "got cyan paint",
                "got blue paint",
                "got tan paint",
                "got lime paint",
                "got pink paint",
                "got gold paint",
                "got grey paint",
            ],
            &[
                "got blue paint",
                "got cyan paint",
                "got gold paint",
                "got grey paint",
                "got lime paint",
                "got pink paint",
                "got tan paint",
            ],
        ),
        (
            "eight words in one place",
            &[
                "got cyan paint",
                "got blue paint",
                "got tan paint",
                "got lime paint",
                "got pink paint",
                "got gold paint",
                "got grey paint",
                "got teal paint",
            ],
            &["got <*> paint"],
        ),
        (
            "the first word says most",
            &["a came up", "b came up", "c came up", "d came up", "e came up", "f came up", "g came up", "h came up"],
            &["a came up", "b came up", "c came up", "d came up", "e came up", "f came up", "g came up", "h came up"],
        ),
        (
            "each pair of names is rare, each name is not",
            &[
                "add user ann to group ops",
                "add user bob to group ops",
                "add user bob to group dev",
                "add user cat to group qa",
                "add user ann to group web",
            ],
            &["add user <*> to group <*>"],
        ),
        (
            "what happened is no name, up to fifteen",
            &[
                "VM Paused now",
                "VM Stopped now",
                "VM Started now",
                "VM Resumed now",
                "VM Deleted now",
                "VM Killed now",
                "VM Suspended now",
                "VM Created now",
            ],
            &[
                "VM Created now",
                "VM Deleted now",
                "VM Killed now",
                "VM Paused now",
                "VM Resumed now",
                "VM Started now",
                "VM Stopped now",
                "VM Suspended now",
            ],
        ),
        ("two words are enough to compare", &["for user ann", "for user bob"], &["for user <*>"]),
        (
            "one word is not",
            &["for ann", "for bob", "for cat", "for dan"],
            &["for ann", "for bob", "for cat", "for dan"],
        ),
    ];
    for (case, bodies, expected) in cases {
        assert_eq!(templates(&mined(bodies.iter().copied())), expected, "{case}");
    }
}

// Scenario: many words in one place, and then the names of errors and places in the source there.
// Guarantee: the words are a value; errors and places are patterns of their own, however many.
#[test]
fn errors_and_places_stay() {
    let letters: Vec<char> = ('a'..='t').collect();
    let some = |what: &str| letters.iter().map(|letter| what.replace('?', &letter.to_string())).collect::<Vec<_>>();
    let (words, errors) = (some("failed with ?oo now"), some("failed with x.?ooException now"));
    let places: Vec<String> = (0..20).map(|line| format!("failed with x.Impl#{line} now")).collect();
    for kept in [&errors, &places] {
        let mut expected = kept.clone();
        expected.push("failed with <*> now".to_owned());
        expected.sort();
        assert_eq!(templates(&mined(words.iter().chain(kept).map(String::as_str))), expected);
    }
}

// Scenario: one body at several severities, of several events, from several places.
// Guarantee: each has its pattern; names within one place from attributes are joined at once.
#[test]
fn identity_of_use() {
    let here = place(b"src/a.rs", b"12", b"run");
    let cases = [
        (Seen { severity_number: 9, ..Seen::default() }, "info"),
        (Seen { severity_number: 10, ..Seen::default() }, "info"),
        (Seen { severity_number: 17, ..Seen::default() }, "error"),
        (Seen { severity_number: 9, event_name: b"tick", ..Seen::default() }, "event"),
        (Seen { severity_number: 9, place: here, ..Seen::default() }, "here"),
        (Seen { severity_number: 9, place: place(b"src/a.rs", b"13", b"run"), ..Seen::default() }, "there"),
    ];
    let mut miner = Miner::default();
    for body in ["got cyan paint", "got blue paint"] {
        for (one, _) in cases {
            let key = pattern_key(body.as_bytes(), one.event_name, one.severity_number, one.place);
            miner.add(&Seen { key, body: body.as_bytes(), ..one });
        }
    }
    miner.settle();
    let id = |body: &str, one: &Seen<'_>| {
        miner.pattern(pattern_key(body.as_bytes(), one.event_name, one.severity_number, one.place), one.place).unwrap()
    };
    for (a, name) in &cases {
        for (b, other) in &cases {
            assert_eq!(id("got cyan paint", a) == id("got cyan paint", b), name == other, "{name} {other}");
        }
        assert_eq!(id("got cyan paint", a) == id("got blue paint", a), a.place != 0, "{name}");
    }
    assert_eq!(place(b"", b"", b""), 0);
    assert_ne!(place(b"a", b"", b"b"), place(b"ab", b"", b""));
}

// Scenario: two collectors see the same events of different users, and one of them restarts.
// Guarantee: they agree on ids without having spoken, today and in later releases.
#[test]
fn ids_are_the_same_everywhere() {
    let one = mined(["session closed for user ann", "session closed for user bob"]);
    let other = mined(["session closed for user dan", "session closed for user eve", "session closed for user fay"]);
    assert_eq!(id(&one, "session closed for user ann"), id(&other, "session closed for user eve"));
    assert_eq!(id(&one, "session closed for user ann"), STABLE, "a new id needs a new PATTERN_RULE");
}
const STABLE: u64 = 1_011_743_335_729_862_324;

// Scenario: a pattern is given out, then another key shows that it is too narrow.
// Guarantee: the old id leads to the new pattern, here and where it is recalled from a table.
#[test]
fn old_ids_lead_on() {
    let mut miner = mined(["session closed for user ann"]);
    let old = id(&miner, "session closed for user ann");
    assert_eq!(miner.current(old), Some(old));
    miner.add(&seen("session closed for user bob"));
    assert_eq!(miner.pattern(seen("session closed for user bob").key, 0), None, "not settled yet");
    miner.settle();
    let new = id(&miner, "session closed for user bob");
    assert_ne!(old, new);
    assert_eq!(miner.current(old), Some(new));
    assert_eq!(miner.current(7), None);

    let mut restarted = mined(["session closed for user ann", "session closed for user bob"]);
    assert_eq!(restarted.current(old), None);
    assert!(!restarted.recall(old, 7, 0), "a key that it does not know");
    assert!(restarted.recall(old, seen("session closed for user ann").key, 0));
    assert_eq!(restarted.current(old), Some(new));
}

// Scenario: more keys and templates than there is room for.
// Guarantee: what fits is kept, the rest is one pattern and counted; new keys of known templates fit.
#[test]
fn bounds() {
    let mut miner = Miner::new(Bounds { keys: 4, templates: 2 });
    assert_eq!(miner.add(&seen("wrote /a/b")), Added::New);
    assert_eq!(miner.add(&seen("wrote /a/b")), Added::Known);
    assert_eq!(miner.add(&seen("read /a/b")), Added::New);
    assert_eq!(miner.add(&seen("sent /a/b")), Added::Overflow, "a third template");
    assert_eq!(miner.add(&seen("wrote /c/d")), Added::New, "a known one");
    assert_eq!(miner.add(&seen("wrote /e/f")), Added::New);
    assert_eq!(miner.add(&seen("wrote /g/h")), Added::Overflow, "a fifth key");
    miner.settle();
    assert_eq!(miner.overflowed(), 2);
    assert_eq!(id(&miner, "sent /a/b"), OVERFLOW);
    assert_eq!(id(&miner, "wrote /a/b"), id(&miner, "wrote /e/f"));
    assert_eq!(templates(&miner), ["read <*>", "wrote <*>"]);
}

// Scenario: bodies made to cost much: huge, binary, thousands without anything in common.
// Guarantee: each has a pattern, templates are bounded, nothing panics.
#[test]
fn hostile_bodies() {
    let mut miner = Miner::default();
    let holes = "1 a ".repeat(100_000);
    let deep = "[".repeat(100_000);
    let words = "word ".repeat(100_000);
    let binary: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let long = "x/y.z:".repeat(20_000);
    let mut bodies: Vec<Vec<u8>> =
        [&holes, &deep, &words, &long].iter().map(|text| text.as_bytes().to_vec()).chain([binary]).collect();
    let letters = |mut number: u32| {
        let mut word = String::new();
        for _ in 0..6 {
            word.push(char::from(b'a' + (number % 20) as u8));
            number = number.wrapping_mul(2_654_435_761).rotate_left(7) / 3;
        }
        word
    };
    for number in 0..6000_u32 {
        let word = |at: u32| letters(number.wrapping_mul(40_503).wrapping_add(at * 7919));
        bodies.push(format!("{} {} ({}) to {}: {}", word(1), word(2), word(3), word(4), word(5)).into_bytes());
    }
    for body in &bodies {
        miner.add(&Seen { key: pattern_key(body, b"", 0, 0), body, ..Seen::default() });
    }
    miner.settle();
    let patterns = miner.patterns();
    assert!(patterns.iter().all(|pattern| pattern.template.len() < 8192));
    assert!(patterns.len() > 2500, "unlike bodies stay apart: {}", patterns.len());
    let kept: usize = patterns.iter().map(|pattern| pattern.keys.len()).sum();
    assert_eq!(kept, Bounds::default().templates);
    assert_eq!(miner.overflowed() as usize, bodies.len() - kept);
}

// Scenario: five lines in three true groups, grouped in other ways.
// Guarantee: the figures of the literature.
#[test]
fn grouping_figures() {
    let cases = [
        ("aaabc", 1.0, 1.0),
        ("aaabb", 0.6, 0.4), // one of two right, three wanted: 2 / 5
        ("aabcd", 0.4, 4.0 / 7.0),
        ("aaaaa", 0.0, 0.0),
        ("abcde", 0.4, 0.5),
    ];
    for (groups, accuracy, f1) in cases {
        let found = grouping(groups.bytes().zip("aaabc".bytes()));
        assert!((found.accuracy - accuracy).abs() < 1e-9 && (found.f1 - f1).abs() < 1e-9, "{groups}: {found:?}");
        assert_eq!(found.true_groups, 3);
    }
    assert_eq!(grouping(std::iter::empty::<(u8, u8)>()), Grouping::default());
}

// Logs of a few statements whose names come from small sets: much joins, in every way there is.
fn bodies() -> impl Strategy<Value = Vec<String>> {
    let names = "ann bob dan7 a.b.C OLD gone eve fay gus hal ivy joe kim lea max nia oda pat quin ron";
    let name = |count: usize| prop::sample::select(names.split(' ').take(count).collect::<Vec<_>>());
    let statement = prop::sample::select(vec![
        "session X for user Y by Z",
        "copied X from Y to Z",
        "class X as Y: Z",
        "Impl#1 X made Y of Z",
        "see(X) then see(Y, Z)",
        "x: X=1 y: Y=2 Z",
        "cached rows X Y W here",
        "fan of words: W",
        "W came up",
    ]);
    let body =
        (statement, name(4), name(6), name(6), name(20)).prop_map(|(statement, x, y, z, w): (&str, _, _, _, _)| {
            statement.replace('X', x).replace('Y', y).replace('Z', z).replace('W', w)
        });
    prop::collection::vec(body, 1..120)
}

// Which bodies are together, and under which id.
fn partition(miner: &Miner, bodies: &[String]) -> BTreeMap<u64, BTreeSet<String>> {
    let mut partition: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    for body in bodies {
        partition.entry(id(miner, body)).or_default().insert(body.clone());
    }
    partition
}

proptest! {
    // Scenario: a set of logs in two orders, at once and piece by piece.
    // Guarantee: the same patterns with the same ids and templates.
    #[test]
    fn order_does_not_matter((bodies, shuffled) in bodies().prop_flat_map(|bodies| (Just(bodies.clone()), Just(bodies).prop_shuffle()))) {
        let one = mined(bodies.iter().map(String::as_str));
        let mut other = Miner::default();
        for body in &shuffled {
            other.add(&seen(body));
            other.settle();
        }
        prop_assert_eq!(one.patterns(), other.patterns());
        prop_assert_eq!(partition(&one, &bodies), partition(&other, &bodies));
    }

    // Scenario: a set of logs, and more that come later.
    // Guarantee: what was together stays together, and every old id leads to where its logs are now.
    #[test]
    fn patterns_only_join(bodies in bodies(), later in bodies()) {
        let mut miner = mined(bodies.iter().map(String::as_str));
        let before = partition(&miner, &bodies);
        for body in &later {
            miner.add(&seen(body));
        }
        miner.settle();
        for (old, members) in before {
            let now: BTreeSet<u64> = members.iter().map(|body| id(&miner, body)).collect();
            prop_assert_eq!(now.len(), 1, "{:?} came apart", members);
            prop_assert_eq!(miner.current(old), now.first().copied());
        }
        let patterns = miner.patterns();
        let ids: BTreeSet<u64> = patterns.iter().map(|pattern| pattern.id).collect();
        prop_assert_eq!(ids.len(), patterns.len());
    }

    // Scenario: any bytes.
    // Guarantee: a template, the same each time, and a pattern; never a panic.
    #[test]
    fn any_bytes_have_a_pattern(body in prop::collection::vec(any::<u8>(), 0..300), text in "[\"'=a-fA-Z0-9#:{}()\\[\\]<>,./ \\\\-]{0,100}") {
        for body in [&body[..], text.as_bytes()] {
            prop_assert_eq!(template(body), template(body));
            let mut miner = Miner::default();
            miner.add(&Seen { key: 1, body, ..Seen::default() });
            miner.settle();
            prop_assert_eq!(miner.pattern(1, 0), Some(miner.patterns()[0].id));
        }
    }
}
