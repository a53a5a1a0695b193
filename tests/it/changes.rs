//! What changed, end to end: telemetry in over the wire, then two windows or versions compared by the public API.

use serde_json::{Value, json};

use crate::program::{Program, request};
use crate::suspects::{broken, flush};

fn ask(program: &Program, tenant: &str, query: &str) -> (u16, Value) {
    let url = format!("{}/api/v1/changes?{query}", program.http);
    let answer = request("GET", &url, &[("x-scope-orgid", tenant)], &[]);
    (answer.status, answer.json())
}

fn drawn(answer: &Value) -> Vec<String> {
    let changes = answer["changes"].as_array().unwrap().iter();
    let text = |change: &Value, field: &str| change[field].as_str().unwrap().to_owned();
    changes
        .map(|change| format!("{} {} {}", text(change, "kind"), text(change, "service"), text(change, "subject")))
        .collect()
}

// Scenario: a new version on one pod fails; a service is gone; nothing is wrong; each in a run of its own.
// Guarantee: the error, its log line and the version are new and come first, by their effect; the service has vanished;
// quiet windows differ in little; the versions differ in what fails; the same question has the same answer.
#[test]
fn what_is_new_comes_first() {
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    for (tenant, fault) in [("bad", "bad-version:payment=0.6"), ("gone", "gone:shipping")] {
        let (truth, asked) = broken(&program, tenant, fault, "11m", "11");
        flush(&program, tenant);
        let ns = |end: &str| asked["fault"][end].as_str().unwrap().parse::<i64>().unwrap();
        let (from, to) = (ns("from"), ns("to"));
        let (status, answer) = ask(&program, tenant, &format!("after_from={from}&after_to={to}&limit=1000"));
        assert_eq!(status, 200, "{answer:#}");
        let found = drawn(&answer);
        let has = |start: &str| found.iter().any(|change| change.starts_with(start));
        let first = &answer["changes"][0];
        assert!(answer["after"]["failing"].as_f64() > Some(5.0), "{answer:#}");
        assert!(!first["text"].as_str().unwrap().is_empty() && first["effect"].as_f64() > Some(0.3), "{answer:#}");
        assert_eq!(answer["before"]["to_ns"], from.to_string());
        let (_, mut again) = ask(&program, tenant, &format!("after_from={from}&after_to={to}&limit=1000"));
        again["took_ms"] = answer["took_ms"].clone();
        assert_eq!(again, answer);
        let weights: Vec<f64> =
            answer["changes"].as_array().unwrap().iter().map(|change| change["effect"].as_f64().unwrap()).collect();
        assert!(weights[0] >= weights[weights.len() - 1], "{weights:?}");
        let service = truth["service"].as_str().unwrap();
        if tenant == "gone" {
            assert!(has("vanished_service shipping"), "{found:#?}");
            assert!(!has("vanished_operation shipping"), "{found:#?}");
        } else {
            assert!(has(&format!("new_version {service}")) && has(&format!("new_error {service}")), "{found:#?}");
            let query =
                format!("after_from={from}&after_to={to}&service=payment&before_version=2.3.1&after_version=2.4.0");
            let (status, between) = ask(&program, tenant, &query);
            assert_eq!(status, 200, "{between:#}");
            assert!(drawn(&between).iter().any(|change| change.starts_with("new_error payment")), "{between:#}");
            let (_, others) = ask(&program, tenant, &format!("after_from={from}&after_to={to}&service=search"));
            assert!(drawn(&others).iter().all(|change| change.contains("search")), "{others:#}");
        }
        let (_, calm) = ask(
            &program,
            tenant,
            &format!(
                "before_from={}&after_from={}&after_to={from}",
                from - 360_000_000_000_i64,
                from - 180_000_000_000
            ),
        );
        let loud =
            calm["changes"].as_array().unwrap().iter().filter(|change| change["effect"].as_f64() > Some(0.3)).count();
        assert_eq!(loud, 0, "{calm:#}");
        let (_, limited) = ask(&program, tenant, &format!("after_from={from}&after_to={to}&limit=1"));
        assert_eq!(limited["changes"], json!([first]));
    }
}

// Scenario: nothing is stored; questions that make no sense.
// Guarantee: no changes, with the reason; wrong questions are refused with a reason in the API's form.
#[test]
fn nothing_to_compare() {
    let program = Program::start_with(&["--set", "tenancy.enabled=true"]);
    let (status, empty) = ask(&program, "a", "");
    assert_eq!((status, &empty["changes"], &empty["partial"]), (200, &json!([]), &json!(true)), "{empty:#}");
    for wrong in [
        "after_from=yesterday",
        "after_from=now&after_to=now-5m",
        "after_from=now-9d",
        "before_version=1&service=a",
        "before_version=1&after_version=2",
        "before_version=1&after_version=2&service=a&before_from=now-1h",
        "limit=0",
        "limit=100000",
        "sevice=a",
    ] {
        let (status, answer) = ask(&program, "a", wrong);
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("invalid_argument")), "{wrong}");
    }
}
