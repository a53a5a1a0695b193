//! The rules of pairing as tables: spans on one side, edges and reasons on the other.

use super::tests_kit::check;

// Scenario: the usual call, a call to oneself, a caller without a client span, a nested server.
// Guarantee: one edge a call, drawn where the service changes or a server has its client.
#[test]
fn calls() {
    check(
        "SERVER 1< shop
         CLIENT 2<1 shop
         SERVER 3<2 pay ms=3",
        "service:shop -> service:pay rpc 1
         user:user -> service:shop rpc 1",
    );
    check(
        "CLIENT 1< shop
         SERVER 2<1 shop",
        "service:shop -> service:shop rpc 1",
    );
    check(
        "SERVER 1< shop
         INTERNAL 2<1 shop
         SERVER 3<2 pay error
         SERVER 4<3 pay",
        "service:shop -> service:pay rpc 1 errors 1
         user:user -> service:shop rpc 1",
    );
    // The caller's error is the call's; the callee's weight counts.
    check(
        "CLIENT 1< shop error weight=2
         SERVER 2<1 pay weight=4",
        "service:shop -> service:pay rpc 4 errors 4",
    );
}

// Scenario: steps between a client and the server that it reached, or around the client.
// Guarantee: the client is known to have a callee and draws nothing else.
#[test]
fn clients_with_steps() {
    check(
        "CLIENT 1< shop peer=10.0.0.1
         INTERNAL 2<1 shop
         INTERNAL 3<2 shop
         SERVER 4<3 pay",
        "service:shop -> service:pay rpc 1",
    );
    check(
        "CLIENT 1< shop peer=10.0.0.1
         CLIENT 2<1 shop peer=10.0.0.1
         SERVER 3<2 pay",
        "service:shop -> service:pay rpc 1",
    );
    // A driver within a client that has told whom it calls.
    check(
        "CLIENT 1< shop db=elasticsearch peer=es
         CLIENT 2<1 shop peer=es",
        "service:shop -> database:elasticsearch@es database 1",
    );
    // And within one that has not.
    check(
        "CLIENT 1< shop
         CLIENT 2<1 shop peer=api.example.com",
        "service:shop -> external:api.example.com external 1
         service:shop: peer_not_instrumented 1",
    );
}

// Scenario: Zipkin's shared spans, marked or not, with and without their client; a server that names its caller.
// Guarantee: the client of the same id is the caller; else the parent's service; else the named caller.
#[test]
fn shared_spans() {
    check(
        "CLIENT 2<1 shop
         SERVER 2<1 pay shared
         - 1< shop",
        "service:shop -> service:pay rpc 1",
    );
    check(
        "CLIENT 1< shop
         SERVER 1< pay",
        "service:shop -> service:pay rpc 1",
    );
    // The child of a shared span belongs to the side of its own service.
    check(
        "CLIENT 1< shop
         SERVER 1< pay shared
         CLIENT 2<1 pay
         SERVER 2<1 bank shared",
        "service:pay -> service:bank rpc 1
         service:shop -> service:pay rpc 1",
    );
    check(
        "SERVER 2<1 pay shared
         SERVER 1< shop",
        "service:shop -> service:pay rpc 1
         user:user -> service:shop rpc 1
         wants 1/2 client_not_stored",
    );
    check("SERVER 1< pay shared", "service:pay: client_not_stored 1\nwants 1/1 client_not_stored");
    check("SERVER 1< pay peer=shop", "external:shop -> service:pay external 1");
    check(
        "SERVER 2<1 pay peer=shop",
        "external:shop -> service:pay external 1
         service:pay: parent_not_stored 1
         wants 1/1 parent_not_stored",
    );
}

// Scenario: spans without kinds, as tracers of old wrote them.
// Guarantee: a change of service between parent and child is a call; a span without parent is work that begins.
#[test]
fn without_kinds() {
    check(
        "- 1< shop
         - 2<1 shop
         - 3<2 pay ms=5
         - 4<3 pay
         - 5<4 bank
         - 6<5 bank db=mysql ns=ts peer=db-1",
        "service:bank -> database:mysql/ts@db-1 database 1
         service:pay -> service:bank rpc 1
         service:shop -> service:pay rpc 1",
    );
    check("- 2<1 shop", "service:shop: parent_not_stored 1\nwants 1/1 parent_not_stored");
    check("- 1< _\n- 2<1 pay", "service:unknown_service -> service:pay rpc 1");
}

// Scenario: databases, caches, hosts without spans, peers that nobody named.
// Guarantee: one node per system, namespace and host; one per external host; a reason where no node can be named.
#[test]
fn peers() {
    check(
        "SERVER 1< shop
         CLIENT 2<1 shop db=postgresql ns=orders peer=db-1 error
         CLIENT 3<1 shop db=redis peer=cache
         CLIENT 4<1 shop db=redis
         CLIENT 5<1 shop peer=api.example.com
         CLIENT 6<1 shop
         CLIENT 7<1 shop flags=256",
        "service:shop -> database:postgresql/orders@db-1 database 1 errors 1
         service:shop -> database:redis database 1
         service:shop -> database:redis@cache database 1
         service:shop -> external:api.example.com external 1
         user:user -> service:shop rpc 1
         service:shop: peer_not_instrumented 1, peer_unknown 1, not_sampled 1",
    );
    // An instrumented database speaks for itself.
    check(
        "CLIENT 1< shop db=tidb peer=db
         SERVER 2<1 tidb",
        "service:shop -> service:tidb rpc 1",
    );
}

// Scenario: messages through the parent, through links, with topic, with broker, with neither.
// Guarantee: producer to topic, topic to consumer; the producer's name for the topic wins; directly where there is no topic.
#[test]
fn messages() {
    check(
        "PRODUCER 1< shop mq=kafka dest=orders
         CONSUMER 2<1 mail mq=kafka dest=orders error",
        "service:shop -> messaging:kafka/orders messaging 1
         messaging:kafka/orders -> service:mail messaging 1 errors 1",
    );
    check(
        "PRODUCER 1< shop mq=rabbitmq dest=exchange
         CONSUMER 1< mail trace=2 mq=rabbitmq dest=queue link=1/1
         CONSUMER 2< bill trace=2 mq=rabbitmq dest=queue link=1/1 link=1/9",
        "service:shop -> messaging:rabbitmq/exchange messaging 1
         messaging:rabbitmq/exchange -> service:bill messaging 1
         messaging:rabbitmq/exchange -> service:mail messaging 1
         wants 1/9 link_not_stored",
    );
    // Only the consumer knows the topic.
    check(
        "PRODUCER 1< shop
         CONSUMER 2<1 mail mq=sqs dest=q",
        "service:shop -> messaging:sqs/q messaging 1
         messaging:sqs/q -> service:mail messaging 1",
    );
    check("PRODUCER 1< shop error\nCONSUMER 2<1 mail", "service:shop -> service:mail messaging 1 errors 1");
    check("PRODUCER 1< shop\nCONSUMER 1< mail trace=2 link=1/1", "service:shop -> service:mail messaging 1");
    // Zipkin's broker.
    check(
        "PRODUCER 1< shop peer=kafka
         CONSUMER 2<1 mail peer=kafka",
        "service:shop -> messaging:kafka messaging 1
         messaging:kafka -> service:mail messaging 1",
    );
    // A batch: one span counts once on an edge.
    check(
        "PRODUCER 1< shop mq=kafka dest=a
         PRODUCER 2< shop mq=kafka dest=a
         PRODUCER 3< shop mq=kafka dest=b
         CLIENT 1< mail trace=2 mq=kafka link=1/1 link=1/2 link=1/3
         CONSUMER 2<1 mail trace=2 mq=kafka dest=a link=1/1",
        "service:shop -> messaging:kafka/a messaging 2
         service:shop -> messaging:kafka/b messaging 1
         messaging:kafka/a -> service:mail messaging 1
         messaging:kafka/b -> service:mail messaging 1",
    );
    check("CONSUMER 1< mail", "service:mail: no_producer 1");
    check("CONSUMER 1< mail link=1/7", "service:mail: link_not_stored 1\nwants 1/7 link_not_stored");
    check("PRODUCER 1< shop", "service:shop: peer_unknown 1");
    // A message that is pushed over HTTP.
    check(
        "PRODUCER 1< shop dest=t
         SERVER 2<1 mail",
        "service:shop -> messaging:t messaging 1
         messaging:t -> service:mail messaging 1",
    );
}

// Scenario: parents that are not stored, in traces of one and both widths of ids, sampled or not.
// Guarantee: the reason that stored spans can show.
#[test]
fn reasons() {
    check("SERVER 2<1 pay weight=4", "service:pay: sampled_out 1\nwants 1/1 sampled_out");
    check(
        "SERVER 2<1 pay high=0
         CLIENT 3<2 pay peer=x",
        "service:pay -> external:x external 1
         service:pay: peer_not_instrumented 1, id_truncated 1
         wants 1/1 id_truncated",
    );
    check(
        "CLIENT 1< shop at=5000
         SERVER 2<1 pay at=1000",
        "service:shop -> service:pay rpc 1
         service:pay: clock_skew 1",
    );
}

// Scenario: the server's client lies in the minute before, the client's server in the minute after.
// Guarantee: the edge stands in the callee's minute, which answers the client's, and wants to hear of its parent.
#[test]
fn across_minutes() {
    check(
        "CLIENT 2<1 shop at=-10 peer=pay
         SERVER 3<2 pay
         CLIENT 4<3 pay at=20000 peer=bank
         SERVER 5<4 bank at=61000",
        "service:pay -> external:bank external 1
         service:shop -> service:pay rpc 1
         service:pay: peer_not_instrumented 1
         wants 1/2 stored_elsewhere
         answers 1/2 -1",
    );
    check(
        "CLIENT 2< shop at=-10
         INTERNAL 3<2 shop
         SERVER 4<3 pay
         PRODUCER 5< shop at=-90000 trace=2
         CONSUMER 6< mail link=2/5",
        "service:shop -> service:mail messaging 1
         service:shop -> service:pay rpc 1
         wants 1/2 stored_elsewhere
         wants 2/5 stored_elsewhere
         answers 1/2 -1
         answers 2/5 -2",
    );
}

// Scenario: self-parents, circles, one id for all, spans sent twice with more the second time.
// Guarantee: marked; repetitions count once; nothing is drawn from a circle.
#[test]
fn nonsense() {
    check(
        "SERVER 1<1 shop
         SERVER 2<3 a
         SERVER 3<2 b
         CLIENT 4<2 a peer=x",
        "service:a -> external:x external 1
         service:a: peer_not_instrumented 1, cyclic_parents 1
         service:b: cyclic_parents 1
         service:shop: self_parent 1",
    );
    check(
        "SERVER 1< shop
         SERVER 1< shop error peer=lb
         SERVER 1< shop",
        "external:lb -> service:shop external 1 errors 1",
    );
    check(
        "INTERNAL 1< a
         INTERNAL 1< b
         SERVER 1< c
         SERVER 1< d",
        "user:user -> service:c rpc 1
         user:user -> service:d rpc 1
         service:a: duplicate_id 1
         service:b: duplicate_id 1
         service:d: duplicate_id 1",
    );
}
