//! Rules at work, on steady services.

use crate::tests_kit::*;
use crate::*;

fn rule(when: &str) -> Rule {
    Rule::from_json(&format!(r#"{{"name":"mine","when":{when}}}"#)).unwrap()
}

// Scenario: each kind of rule, and what makes it fire while history alone would not yet or never.
// Guarantee: an incident of that rule, told, over when the condition is; without the condition nothing.
#[test]
fn rules_fire_and_end() {
    let cases: [(&str, &[(&str, Wrong)]); 6] = [
        (
            r#"{"kind":"threshold","signal":"error_ratio","service":"b","above":0.02,"window_s":60}"#,
            &[("b", Wrong::Fails(0.025))],
        ),
        (
            r#"{"kind":"threshold","signal":"errors","service":"*","above":4,"window_s":60}"#,
            &[("b", Wrong::Fails(0.025))],
        ),
        (
            r#"{"kind":"threshold","signal":"p95_ms","service":"b","operation":"op","above":50,"window_s":30}"#,
            &[("b", Wrong::Slow)],
        ),
        (
            r#"{"kind":"threshold","signal":"throughput","service":"b","below":0.5,"window_s":120}"#,
            &[("b", Wrong::Gone)],
        ),
        (
            r#"{"kind":"error_pattern","service":"b","pattern":"64","count":100,"window_s":60}"#,
            &[("b", Wrong::Lines(1))],
        ),
        (r#"{"kind":"absence","service":"b","for_s":60}"#, &[("b", Wrong::Gone)]),
    ];
    for (when, wrong) in cases {
        let mut bench = Bench::new("a b");
        bench.watch.set_rules(vec![rule(when)]).unwrap();
        bench.pass(300, &[]);
        assert!(bench.told.is_empty(), "{when}");
        bench.pass(180, wrong);
        assert_eq!(bench.kinds(), [NoticeKind::Opened], "{when}");
        let incident = bench.watch.incidents().next().unwrap();
        assert!(incident.symptoms.iter().any(|symptom| symptom.rule == "mine"), "{when}: {:?}", incident.symptoms);
        assert_eq!(incident.services().into_iter().collect::<Vec<_>>(), ["b"]);
        bench.pass(300, &[]);
        assert_eq!(bench.kinds(), [NoticeKind::Opened, NoticeKind::Closed], "{when}");
    }
}

// Scenario: a rule for new patterns; a pattern that was never there, then the same again after a restart.
// Guarantee: it fires once for it; after the restart it is known.
#[test]
fn a_new_pattern_is_new_once() {
    let mut bench = Bench::new("a b");
    let mine = rule(r#"{"kind":"new_pattern","service":"b","severity_min":17}"#);
    bench.watch.set_rules(vec![mine]).unwrap();
    bench.pass(10, &[("b", Wrong::Lines(1))]);
    bench.pass(900, &[]);
    let of_rule = |bench: &Bench| bench.watch.incidents().filter(|incident| incident.rule == "mine").count();
    assert_eq!(of_rule(&bench), 1);
    let snapshot = bench.watch.snapshot(bench.now_s * SECOND_NS);
    bench.watch = Watch::restore(Settings::default(), snapshot);
    assert_eq!(bench.watch.rules().len(), 1);
    bench.pass(600, &[]);
    bench.pass(10, &[("b", Wrong::Lines(1))]);
    bench.pass(300, &[]);
    assert_eq!(of_rule(&bench), 1);
}

// Scenario: a key that nobody saw before joins a pattern that is long known; another one is a pattern of its own. A
// rule counts the lines of the first by an id that the pattern had.
// Guarantee: only the other one is new; the rule counts; people are told what lines say, and no keys.
#[test]
fn patterns_have_names() {
    let mut bench = Bench::new("a b");
    let fresh = rule(r#"{"kind":"new_pattern","service":"b","severity_min":17}"#);
    let count =
        r#"{"name":"count","when":{"kind":"error_pattern","service":"b","pattern":"abc","count":90,"window_s":60}}"#;
    bench.watch.set_rules(vec![fresh, Rule::from_json(count).unwrap()]).unwrap();
    bench.watch.set_present([(0xabc, [7].into())].into());
    let wanted = bench.watch.unnamed(bench.now_s * SECOND_NS, 10);
    assert_eq!(wanted, [("a".to_owned(), 7), ("b".to_owned(), 7)]);
    let old_s = bench.now_s - 500;
    let mut name = |key, id, template: &str, since_s| {
        let (service, template) = ("b".to_owned(), template.to_owned());
        let now_ns = bench.now_s * SECOND_NS;
        bench.watch.name(now_ns, vec![Pattern { service, key, id, template, since_s }]);
    };
    name(100, 7, "disk <*> is full", old_s);
    name(101, 8, "out of ink", bench.now_s);
    bench.pass(30, &[("b", Wrong::Lines(2))]);
    let texts: Vec<String> =
        bench.watch.incidents().flat_map(|it| &it.symptoms).map(|symptom| symptom.text.clone()).collect();
    let of = |words: &str| texts.iter().filter(|text| text.contains(words)).count();
    assert_eq!((of("never seen before"), of("(rule count)")), (1, 1), "{texts:#?}");
    assert!(of("ERROR line \"disk <*> is full\" of b") == 1 && of("pattern \"out of ink\"") == 1, "{texts:#?}");
    assert_eq!(of("0000000000000064"), 0, "{texts:#?}");
}

// Scenario: a silence for a rule; a list of rules with a wrong one, and one with a name twice.
// Guarantee: the rule's incident is recorded and not told; a wrong list changes nothing.
#[test]
fn silenced_and_refused() {
    let mut bench = Bench::new("a b");
    let mine = rule(r#"{"kind":"threshold","signal":"errors","service":"b","above":4,"window_s":60}"#);
    bench.watch.set_rules(vec![mine.clone()]).unwrap();
    let silence = Silence { id: "s".into(), rule: "mi*".into(), until_ns: i64::MAX, ..Silence::default() };
    bench.watch.set_silences(vec![silence.clone()]).unwrap();
    bench.pass(120, &[("b", Wrong::Fails(0.025))]);
    assert_eq!(bench.watch.incidents().filter(|incident| incident.rule == "mine").count(), 1);
    assert!(bench.told.is_empty());
    assert!(bench.watch.set_rules(vec![mine.clone(), mine]).unwrap_err().contains("`name`"));
    let empty = Silence { rule: String::new(), ..silence };
    assert!(bench.watch.set_silences(vec![empty]).unwrap_err().contains("`service`"));
    assert_eq!((bench.watch.rules().len(), bench.watch.silences().len()), (1, 1));
}
