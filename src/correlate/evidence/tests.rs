//! What is counted, as tables: spans and logs on one side, rows on the other. Durations are the middles of their
//! buckets, up to 3 % off.

use super::tests_kit::check;

// Scenario: a call with kinds, one without, and one from a server span directly.
// Guarantee: the client's own time is the edge's gap; where there is no client span there is no gap.
#[test]
fn gaps_and_own_times() {
    check(
        "oe",
        "SERVER 1< shop buy ms=100
         CLIENT 2<1 shop POST at=10 ms=60
         SERVER 3<2 pay charge at=20 ms=40",
        "operation pay charge ~41ms
         operation shop POST caller ~20ms
         operation shop buy ~41ms
         edge shop -> pay Rpc 1 parents 1 gap ~20ms",
    );
    check(
        "oe",
        "- 1< shop buy ms=100
         - 2<1 shop POST at=10 ms=60
         - 3<2 pay charge at=20 ms=40
         - 4<1 shop check at=80 ms=10",
        "operation pay charge ~41ms
         operation shop POST caller ~20ms
         operation shop buy ~30ms
         operation shop check ~10ms
         edge shop -> pay Rpc 1 parents 1 gap ~20ms",
    );
    check(
        "oe",
        "SERVER 1< shop buy ms=100
         SERVER 2<1 pay charge at=20 ms=40
         SERVER 3<1 pay charge at=30 ms=40",
        "operation pay charge ~41ms
         operation shop buy ~49ms
         edge shop -> pay Rpc 2 parents 1 gap",
    );
    // An event loop hangs the call beside the step that waits for it.
    check(
        "o",
        "- 1< shop buy ms=100
         - 2<1 shop handle ms=96
         - 3<1 shop POST at=10 ms=64
         - 4<3 pay charge at=20 ms=40",
        "operation pay charge ~41ms
         operation shop POST caller ~24ms
         operation shop buy ~4ms
         operation shop handle ~32ms",
    );
}

// Scenario: a Zipkin server that shares its client's id; databases; peers that nobody answers for.
// Guarantee: the shared span is the client's child; what has no spans is an edge without a gap.
#[test]
fn shared_spans_and_peers() {
    check(
        "e",
        "CLIENT 2<1 shop POST ms=60
         SERVER 2<1 tax get at=10 ms=40 shared
         SERVER 1< shop buy ms=100",
        "edge shop -> tax Rpc 1 parents 1 gap ~20ms",
    );
    check(
        "e",
        "SERVER 1< shop buy ms=100
         CLIENT 2<1 shop SELECT db=mysql/orders ms=5
         CLIENT 3<1 shop GET peer=ship.svc error ms=1",
        "edge shop -> mysql/orders Database 1 parents 1 gap
         edge shop -> ship.svc External 1 errors 1 silent 1 parents 1 gap",
    );
}

// Scenario: a message in the same trace, one in another trace with a link.
// Guarantee: the gap is the time it waited; it is nobody's own time.
#[test]
fn messages_wait() {
    check(
        "oe",
        "SERVER 1< shop buy ms=10
         PRODUCER 2<1 shop publish at=1 ms=2
         CONSUMER 3<2 mail process at=203 ms=40
         CONSUMER 9< bill process trace=2 at=1003 ms=30 link=1/2",
        "operation bill process ~30ms
         operation mail process ~41ms
         operation shop buy ~8ms
         operation shop publish ~2ms
         edge shop -> bill Messaging 1 parents 1 gap ~990ms
         edge shop -> mail Messaging 1 parents 1 gap ~197ms",
    );
}

// Scenario: an error deep down, passed up; another that is caught; one that only HTTP tells.
// Guarantee: it starts at the deepest error span and passes through the others.
#[test]
fn errors_start_and_pass() {
    check(
        "rs",
        "SERVER 1< shop buy error
         CLIENT 2<1 shop POST error
         SERVER 3<2 pay charge error throws=NoMoney
         SERVER 1< shop list trace=2
         CLIENT 2<1 shop POST trace=2 http=503
         SERVER 3<2 cart get trace=2 http=503",
        "request shop buy 1 failed 1
         request shop list 1
         error cart get HTTP 503 starts 1
         error pay charge NoMoney starts 1
         error shop POST - passes 1
         error shop POST HTTP 503 passes 1
         error shop buy - passes 1",
    );
}

// Scenario: calls repeated after failing, and a second call that is no repetition.
// Guarantee: retries are calls behind a failed one of the same parent to the same callee; parents count once.
#[test]
fn retries() {
    check(
        "e",
        "SERVER 1< shop buy ms=100
         CLIENT 2<1 shop POST at=1 error
         SERVER 12<2 pay charge at=1 error
         CLIENT 3<1 shop POST at=5 error
         SERVER 13<3 pay charge at=5 error
         CLIENT 4<1 shop POST at=9
         SERVER 14<4 pay charge at=9
         CLIENT 5<1 shop POST at=15
         SERVER 15<5 pay charge at=15",
        "edge shop -> pay Rpc 4 errors 2 parents 1 retries 2 gap ~0ms",
    );
}

// Scenario: lines, a call and a step in a span; a loop; a line without a span id; an exception.
// Guarantee: events in order of time, repetitions in a row once, the callee's name rather than the client's.
#[test]
fn steps() {
    check(
        "t",
        "SERVER 1< shop buy ms=100
         LOG 1 shop begin at=1
         CLIENT 2<1 shop POST at=10 ms=10
         SERVER 3<2 pay charge at=12 ms=5 throws=NoMoney
         INTERNAL 4<1 shop item at=30
         INTERNAL 5<1 shop item at=32
         LOG 0 shop done at=50",
        "step pay charge: NoMoney > end 1
         step pay charge: start > NoMoney 1
         step shop POST: pay charge > end 1
         step shop POST: start > pay charge 1
         step shop buy: begin > pay charge 1
         step shop buy: done > end 1
         step shop buy: item > done 1
         step shop buy: pay charge > item 1
         step shop buy: start > begin 1",
    );
}

// Scenario: two versions of a service, one fails; a machine ahead of its caller, one behind.
// Guarantee: values count what entered the service, with the errors that start in it; clocks by their sign.
#[test]
fn values_and_clocks() {
    check(
        "a",
        "SERVER 1< shop buy ms=100 version=1
         INTERNAL 2<1 shop step error
         SERVER 1< shop buy trace=2 ms=100 version=2 weight=3
         CLIENT 1< web GET trace=3 ms=100
         SERVER 2<1 ahead get trace=3 at=5000 ms=50 host=a
         CLIENT 1< web GET trace=4 at=9000 ms=100
         SERVER 2<1 behind get trace=4 at=4000 ms=50 host=b",
        "value ahead host.name=a 1 late 1
         value behind host.name=b 1 early 1
         value shop service.version=1 1 origins 1
         value shop service.version=2 3",
    );
}

// Scenario: a trace without any kind or status, with an ERROR line; one with kinds.
// Guarantee: the line says that the request failed where nothing else could, and only there.
#[test]
fn failed_without_status() {
    check("r", "- 1< shop buy\nLOG 1 shop oops severity=17", "request shop buy 1 failed 1");
    check("r", "SERVER 1< shop buy\nLOG 1 shop oops severity=17", "request shop buy 1");
}

// Scenario: circles, a span that is its own parent, a lost parent, the same span twice.
// Guarantee: each is counted once, as a span without a parent; only one that names none is a request.
#[test]
fn odd_parents() {
    check(
        "ro",
        "SERVER 1<2 shop a
         SERVER 2<1 shop b
         SERVER 3<3 shop c
         SERVER 4<99 shop d
         SERVER 5< shop e
         SERVER 5< shop e",
        "request shop e 1
         operation shop a ~1ms
         operation shop b ~1ms
         operation shop c ~1ms
         operation shop d ~1ms
         operation shop e ~1ms",
    );
}
