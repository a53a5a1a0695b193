//! Promoted columns for every legal way to write an attribute, not only for the usual one.

use model::{Limits, Protocol};

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    crate::proto::push_varint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out
}

fn request(resource_attributes: &[u8], item: &[u8]) -> Vec<u8> {
    field(1, &[field(1, resource_attributes), field(2, &field(2, item))].concat())
}

// `KeyValue` messages of `key` that all mean "shop".
fn shapes(key: &str) -> Vec<Vec<u8>> {
    let name = field(1, key.as_bytes());
    let shop = field(1, b"shop");
    let value = field(2, &shop);
    let of = |parts: &[&[u8]]| [name.clone(), field(2, &parts.concat())].concat();
    let unknown: &[u8] = &[0xa0, 0x06, 1];
    vec![
        [name.clone(), value.clone()].concat(),
        [value.clone(), name.clone()].concat(),
        [field(1, b"k"), name.clone(), value.clone()].concat(),
        [name.clone(), field(2, &field(1, b"old")), value.clone()].concat(),
        [field(2, &field(1, b"old")), value.clone(), name.clone()].concat(),
        [name.clone(), value.clone(), field(2, b"")].concat(),
        of(&[&field(1, b"old"), &shop]),
        of(&[&[0x18, 7], &shop]),
        of(&[&field(5, b""), &shop]),
        of(&[unknown, &shop]),
        of(&[&shop, unknown]),
        [name.clone(), value.clone(), unknown.to_vec()].concat(),
    ]
}

// Scenario: a resource attribute in protobuf's legal shapes (fields swapped, repeated, overwritten,
// among unknown ones), for all signals.
// Guarantee: the service is promoted each time.
#[test]
fn protobuf_shapes() {
    let point = field(1, b"");
    let span = [field(1, &[1; 16]), field(2, &[1; 8])].concat();
    let mut cases = vec![(Protocol::OtlpTracesProto, span), (Protocol::OtlpLogsProto, field(3, b"INFO"))];
    for kind in [5, 7, 9, 10, 11] {
        cases.push((Protocol::OtlpMetricsProto, [field(1, b"m"), field(kind, &point)].concat()));
    }
    for (protocol, item) in cases {
        for (number, shape) in shapes("service.name").into_iter().enumerate() {
            let body = request(&field(1, &shape), &item);
            let decoded = crate::decode(protocol, &body, super::envelope(), &Limits::default()).unwrap();
            assert_eq!(decoded.batch.resources.service_name.get(0), b"shop", "{protocol:?}, shape {number}");
        }
    }
}

// Scenario: the same shapes in an attribute of a span.
// Guarantee: the route is promoted each time.
#[test]
fn span_shapes() {
    for (number, shape) in shapes("http.route").into_iter().enumerate() {
        let span = [field(1, &[1; 16]), field(2, &[1; 8]), field(9, &shape)].concat();
        let body = request(b"", &span);
        let decoded = crate::decode(Protocol::OtlpTracesProto, &body, super::envelope(), &Limits::default()).unwrap();
        assert_eq!(decoded.batch.spans.http_route.get(0), b"shop", "shape {number}");
    }
}

// Scenario: JSON with the value before the key.
// Guarantee: objects have no order: the service is promoted.
#[test]
fn json_order() {
    let body = br#"{"resourceLogs":[{"resource":{"attributes":[{"value":{"stringValue":"shop"},"key":"service.name"}]},
        "scopeLogs":[{"logRecords":[{"severityText":"INFO"}]}]}]}"#;
    let decoded = crate::decode(Protocol::OtlpLogsJson, body, super::envelope(), &Limits::default()).unwrap();
    assert_eq!(decoded.batch.resources.service_name.get(0), b"shop");
}
