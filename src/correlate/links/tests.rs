//! Zipkin's rules for links as tables of traces, and traces that no honest sender makes.

use proptest::prelude::*;

use super::*;

/// The links of traces, drawn as `parent>child calls/errors`. Traces are parted by empty lines; a span is
/// `id parent kind local>remote [shared] [error] [at_us]`, with `-` for what is absent, `name:port` for a port.
fn links(text: &str) -> String {
    let mut linker = Linker::default();
    for trace in text.split("\n\n") {
        let spans = trace.lines().map(str::trim).filter(|line| !line.is_empty());
        let spans: Vec<LinkSpan> = spans.map(|line| span(&mut linker, line)).collect();
        linker.put_trace(spans);
    }
    let drawn = |link: Link| format!("{}>{} {}/{}", link.parent, link.child, link.calls, link.errors);
    linker.into_links().into_iter().map(drawn).collect::<Vec<_>>().join(", ")
}

fn span(linker: &mut Linker, line: &str) -> LinkSpan {
    let words: Vec<&str> = line.split_whitespace().collect();
    let number = |text: &str| text.parse().unwrap_or(0);
    let (local, remote) = words[3].split_once('>').unwrap();
    let (service, port) = local.split_once(':').unwrap_or((local, "0"));
    let (service, ip) = service.split_once('@').unwrap_or((service, ""));
    let mut name = |text: &str| linker.name(if text == "-" { "" } else { text });
    LinkSpan {
        id: number(words[0]),
        parent: number(words[1]),
        kind: match words[2] {
            "client" => Some(Kind::Client),
            "server" => Some(Kind::Server),
            "producer" => Some(Kind::Producer),
            "consumer" => Some(Kind::Consumer),
            _ => None,
        },
        shared: words.contains(&"shared"),
        error: words.contains(&"error"),
        timestamp_us: words.last().map_or(0, |word| number(word)),
        local: Endpoint { service: name(service), ipv4: name(ip), ipv6: Name::default(), port: port.parse().unwrap() },
        remote: name(remote),
    }
}

// Scenario: one or few traces for every rule of the linker: kinds, missing names, errors, brokers, ancestors, shared and split spans, roots.
// Guarantee: exactly Zipkin's links, in the order in which a breadth-first walk meets them.
#[test]
fn every_rule() {
    let cases: [(&str, &str, &str); 34] = [
        ("a root server whose caller is unknown", "1 - server web>-", ""),
        ("a root server whose caller is known", "1 - server web>proxy", "proxy>web 1/0"),
        ("a root client, nobody below", "1 - client web>app", "web>app 1/0"),
        (
            "a client's name for the other side gives way to the server's",
            "1 - client web>lb\n2 1 server app>-",
            "web>app 1/0",
        ),
        ("a shared span", "1 - client web>app\n1 - server app>web shared", "web>app 1/0"),
        ("the shared flag was forgotten", "1 - client web>-\n1 - server app>-", "web>app 1/0"),
        (
            "a shared span that does not know its parent",
            "1 - server web>-\n2 1 client web>-\n2 - server app>- shared",
            "web>app 1/0",
        ),
        (
            "three services, shared spans",
            "1 - server web>-\n2 1 client web>-\n2 1 server app>- shared\n3 2 client app>db",
            "web>app 1/0, app>db 1/0",
        ),
        ("the real ancestor wins over the claimed one", "1 - server web>-\n2 1 server app>mistaken", "web>app 1/0"),
        (
            "a server without an ancestor's name keeps its claim",
            "1 - server ->-\n2 1 server app>claimed",
            "claimed>app 1/0",
        ),
        ("no kind, both names known", "1 - - web>app", "web>app 1/0"),
        ("no kind, one name", "1 - - web>-\n2 1 - ->app", ""),
        (
            "local spans between",
            "1 - server web>-\n2 1 - web>-\n3 2 - web>-\n4 3 - web>-\n5 4 client web>-\n5 4 server app>- shared",
            "web>app 1/0",
        ),
        (
            "a missing span between leaves the client to its ancestor",
            "1 - client web>-\n3 1 client app>db",
            "web>app 1/0, app>db 1/0",
        ),
        (
            "the extra link is never an error",
            "1 - client web>- error\n3 1 client app>db error",
            "web>app 1/0, app>db 1/1",
        ),
        ("error by tag", "1 - client web>app error", "web>app 1/1"),
        ("error of the split client", "1 - client web>- error\n2 1 server app>-", "web>app 1/1"),
        ("an error counts once", "1 - client web>- error\n2 1 server app>- error", "web>app 1/1"),
        (
            "an ancestor's error is not inherited past a local span",
            "1 - client web>- error\n2 1 - app>-\n3 2 server app>-",
            "web>app 1/0",
        ),
        ("a server's error is not inherited", "1 - server web>- error\n2 1 server app>-", "web>app 1/0"),
        (
            "producer to broker to consumer",
            "1 - producer web>kafka\n2 1 consumer app>kafka",
            "web>kafka 1/0, kafka>app 1/0",
        ),
        ("without a broker messages link nothing", "1 - producer web>-\n2 1 consumer app>-", ""),
        ("a root consumer that names its broker", "1 - consumer app>kafka", "kafka>app 1/0"),
        ("a producer is an ancestor of calls", "1 - producer web>-\n2 1 server app>-", "web>app 1/0"),
        ("an erroneous message", "1 - producer web>kafka error", "web>kafka 1/1"),
        ("self links", "1 - server web>-\n2 1 client web>web", "web>web 1/0"),
        ("loopback through a shared span", "1 - client web>web\n1 - server web>web shared", "web>web 1/0"),
        ("headless: no root, several orphans", "2 1 client web>app\n3 1 server db>app", "web>app 1/0, app>db 1/0"),
        ("two roots: the later hangs below the first", "1 - server web>-\n2 - server app>-", "web>app 1/0"),
        ("orphans hang below the root", "1 - server web>-\n9 8 server app>-", "web>app 1/0"),
        (
            "levels, then time, absent times first",
            "1 - server a>-\n2 1 client a>x 20\n3 1 client a>y 10\n4 1 client a>z\n5 2 server s>- 1",
            "a>z 1/0, a>y 1/0, a>s 1/0",
        ),
        ("a trace stored twice", "1 - client web>app\n1 - client web>app\n2 1 - web>-\n2 1 - web>-", ""),
        ("two traces add up", "1 - client web>app\n\n7 - client web>app error", "web>app 2/1"),
        ("fragments of one span", "1 - client web>-\n1 - - ->app error", "web>app 1/1"),
    ];
    for (about, trace, expected) in cases {
        assert_eq!(links(trace), expected, "{about}");
    }
}

// Scenario: one client id answered by two servers, each with local spans of its own, with and without ports.
// Guarantee: a local span belongs to the server of its own side.
#[test]
fn shared_spans_are_told_apart_by_side() {
    let two = "1 - client web>-
        1 - server app@10.0.0.1>- shared
        1 - server app@10.0.0.2>- shared
        2 1 client app@10.0.0.1>db
        3 1 client app@10.0.0.2>cache";
    assert_eq!(links(two), "web>app 2/0, app>db 1/0, app>cache 1/0");
    let ports = "1 - client web>-\n1 - server app:80>- shared\n1 - server app:81>- shared";
    assert_eq!(links(ports), "web>app 2/0");
    let fragments = "1 - client web>-\n1 - server app:80>- shared\n1 - server app>- shared error";
    assert_eq!(links(fragments), "web>app 1/1");
}

// Scenario: spans that are each other's parents, a span its own parent, one id for all, ids that only collide; nothing at all.
// Guarantee: it ends; what cannot be reached from a root links nothing.
#[test]
fn impossible_traces() {
    assert_eq!(links(""), "");
    assert_eq!(links("1 2 client a>b\n2 1 client b>c"), "");
    assert_eq!(links("1 - server r>-\n2 3 client a>b\n3 2 client b>c\n4 1 client r>d"), "r>d 1/0");
    assert_eq!(links("1 1 client a>b"), "");
    assert_eq!(links("5 - server a:1>x\n5 - server a:2>x\n5 - server a:3>x"), "x>a 1/0");
}

// Scenario: a million spans: in one chain without kinds, under one root, all with one id, all in one circle.
// Guarantee: no deep recursion, no square time.
#[test]
fn a_million_spans() {
    let many = 1_000_000u64;
    let mut linker = Linker::default();
    let (a, b) = (linker.name("a"), linker.name("b"));
    let local = |service| Endpoint { service, ..Endpoint::default() };
    let kindless = LinkSpan { local: local(a), remote: b, ..LinkSpan::default() };
    let shapes: [&dyn Fn(u64) -> LinkSpan; 4] = [
        &|at| LinkSpan { id: at, parent: at - 1, ..kindless },
        &|at| LinkSpan { id: at, parent: u64::from(at > 1), kind: Some(Kind::Server), ..kindless },
        &|at| LinkSpan { id: 7, shared: at % 2 == 0, local: Endpoint { port: at as u16, ..local(a) }, ..kindless },
        &|at| LinkSpan { id: at, parent: at % many + 1, ..kindless },
    ];
    for shape in shapes {
        linker.put_trace((1..=many).map(shape).collect());
    }
    let links = linker.into_links();
    assert_eq!((links[0].parent.as_str(), links[0].child.as_str()), ("a", "b"));
    assert!(links.iter().all(|link| link.calls <= 4 * many));
}

proptest! {
    // Scenario: random traces of few ids, so that parents, shared spans, cycles and collisions abound; the same spans once and twice.
    // Guarantee: no panic, and sending every span twice changes nothing.
    #[test]
    fn twice_is_once(spans in proptest::collection::vec((1u64..9, 0u64..9, 0usize..5, any::<bool>(), any::<bool>(), 0u64..5, 0usize..4, 0usize..4), 0..24)) {
        let run = |times: usize| {
            let mut linker = Linker::default();
            let names: Vec<Name> = ["", "a", "b", "c"].iter().map(|text| linker.name(text)).collect();
            let kinds = [None, Some(Kind::Client), Some(Kind::Server), Some(Kind::Producer), Some(Kind::Consumer)];
            let trace = spans.iter().map(|&(id, parent, kind, shared, error, timestamp_us, local, remote)| LinkSpan {
                id, parent: if parent == id { 0 } else { parent }, kind: kinds[kind], shared, error, timestamp_us,
                local: Endpoint { service: names[local], ..Endpoint::default() }, remote: names[remote],
            });
            let all: Vec<LinkSpan> = trace.flat_map(|span| std::iter::repeat_n(span, times)).collect();
            linker.put_trace(all);
            linker.into_links()
        };
        prop_assert_eq!(run(1), run(2));
    }
}
