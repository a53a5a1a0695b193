//! From a frame to columns: the one function that both the first decoding and every replay go
//! through. It is pure: the frame's header carries all that it depends on besides the bytes, limits
//! included, so a changed configuration changes nothing that was acknowledged before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use access::{Budget, Permit};
use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use journal::FrameHeader;
use model::{Account, Batch, Decoded, Envelope, Limits, Protocol, Reason, Signal};
use wire::encoding::Encoding;

/// What decoding follows beside the bytes. Comes from the configuration for a new request, and from the
/// frame's header ever after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Decode limits.
    pub limits: Limits,
    /// Largest decompressed body, bytes.
    pub body_bytes_max: usize,
}

/// The limits of decode rule 1: a frame's header names only what differs. They are part of the stored
/// format and stay as they are when defaults change.
const RULE_1: Rules = Rules {
    limits: Limits {
        attributes_max: 1024,
        attribute_value_bytes_max: 256 << 10,
        name_bytes_max: 16 << 10,
        body_bytes_max: 1 << 20,
        events_max: 4096,
        links_max: 4096,
        depth_max: 64,
        time_min_ns: 946_684_800_000_000_000,
        time_ahead_max_ns: 86_400_000_000_000,
        memory_bytes_max: usize::MAX,
    },
    body_bytes_max: 64 << 20,
};

impl Rules {
    /// As the frame header keeps them: number and value (LEB128) of each that is not the rule's own.
    pub(crate) fn to_bytes(self) -> Bytes {
        let mut out = BytesMut::new();
        for (number, (value, own)) in self.numbers().into_iter().zip(RULE_1.numbers()).enumerate() {
            if value != own {
                out.put_u8(number as u8);
                put_number(&mut out, value);
            }
        }
        out.freeze()
    }

    fn of(header: &FrameHeader) -> Result<Rules, FrameError> {
        if header.rule != wire::RULE {
            return Err(FrameError::Unknown("decode rule", header.rule));
        }
        let mut numbers = RULE_1.numbers();
        let mut rest = &header.limits[..];
        while rest.has_remaining() {
            let number = rest.get_u8();
            let known = numbers.get_mut(usize::from(number));
            let (Some(place), Some(value)) = (known, take_number(&mut rest)) else {
                return Err(FrameError::Unknown("limit", number.into()));
            };
            *place = value;
        }
        Ok(Rules::from_numbers(numbers))
    }

    // The places are the stored numbers: only ever add at the end.
    fn numbers(self) -> [u64; 10] {
        let Limits {
            attributes_max,
            attribute_value_bytes_max,
            name_bytes_max,
            body_bytes_max,
            events_max,
            links_max,
            depth_max,
            time_min_ns,
            time_ahead_max_ns,
            memory_bytes_max: _, // what comes out does not depend on it
        } = self.limits;
        [
            attributes_max.into(),
            attribute_value_bytes_max.into(),
            name_bytes_max.into(),
            body_bytes_max.into(),
            events_max.into(),
            links_max.into(),
            depth_max.into(),
            time_min_ns.cast_unsigned(),
            time_ahead_max_ns.cast_unsigned(),
            self.body_bytes_max as u64,
        ]
    }

    fn from_numbers(numbers: [u64; 10]) -> Rules {
        let short = |at: usize| u32::try_from(numbers[at]).unwrap_or(u32::MAX);
        Rules {
            limits: Limits {
                attributes_max: short(0),
                attribute_value_bytes_max: short(1),
                name_bytes_max: short(2),
                body_bytes_max: short(3),
                events_max: short(4),
                links_max: short(5),
                depth_max: short(6),
                time_min_ns: numbers[7].cast_signed(),
                time_ahead_max_ns: numbers[8].cast_signed(),
                memory_bytes_max: usize::MAX,
            },
            body_bytes_max: usize::try_from(numbers[9]).unwrap_or(usize::MAX),
        }
    }
}

fn put_number(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = rest.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Memory that decoding is given at first: its tables, and twice the body. Telemetry takes less; where
/// it does not suffice, the work begins again with three times as much. So honest requests are decoded once
/// and others pay for what they are, before they have it.
const ROOM_BYTES: usize = 64 << 10;
const ROOM_PER_BYTE: usize = 2;
const ROOM_STEP: usize = 3;
/// A journalled frame that takes more than this waits at most so long for others to give memory back.
const PATIENT_BYTES: usize = 4 << 20;
const PATIENCE: Duration = Duration::from_millis(500);

/// Why a request is not decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// It cannot be read.
    #[error(transparent)]
    Malformed(wire::DecodeError),
    /// Others hold the memory that it takes.
    #[error("the memory budget for requests in flight is spent")]
    NoRoom,
    /// It takes more than the whole budget.
    #[error("the request takes more memory than all requests together may have")]
    TooLarge,
}

/// Why a journalled frame cannot be decoded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The header has a number that this version does not know.
    #[error("the frame's {0} {1} is not known to this version")]
    Unknown(&'static str, u16),
    /// The body cannot be decompressed.
    #[error("the frame's body cannot be decompressed")]
    Encoding(#[source] wire::encoding::DecompressError),
    /// The body cannot be decoded.
    #[error("the frame's body cannot be decoded")]
    Body(#[from] wire::DecodeError),
}

/// Decodes a journalled frame, whatever memory it takes.
pub(crate) fn frame(header: &FrameHeader, body: &[u8]) -> Result<Decoded, FrameError> {
    Ok(frame_within(header, body, &Budget::new(usize::MAX))?.0)
}

/// Decodes a journalled frame. It was accepted, so it gets the memory that it takes; the permit holds it.
pub(crate) fn frame_within(
    header: &FrameHeader,
    body: &[u8],
    memory: &Budget,
) -> Result<(Decoded, Permit), FrameError> {
    let rules = Rules::of(header)?;
    let protocol =
        Protocol::from_number(header.protocol).ok_or(FrameError::Unknown("protocol", header.protocol.into()))?;
    let encoding =
        Encoding::from_number(header.encoding).ok_or(FrameError::Unknown("encoding", header.encoding.into()))?;
    let envelope = Envelope {
        tenant: Arc::from(&*header.tenant),
        received_ns: header.received_ns,
        sender: Arc::from(&*header.sender),
    };
    let mut permit = memory.open();
    permit.grow_beyond(body.len());
    let plain;
    let body = match encoding {
        Encoding::Identity => body,
        _ => {
            let grow = &mut |bytes| {
                permit.grow_beyond(bytes);
                true
            };
            plain =
                wire::encoding::decompress(encoding, body, rules.body_bytes_max, grow).map_err(FrameError::Encoding)?;
            &plain
        }
    };
    let around = permit.bytes();
    let mut room = ROOM_BYTES + ROOM_PER_BYTE * body.len();
    let decoded = loop {
        permit.grow_beyond(room);
        wait_for_others(memory, room);
        let decide = |_: &Batch| days_from_bytes(&header.decisions);
        match request(protocol, body, envelope.clone(), &rules.within(room), decide) {
            Err(wire::DecodeError::Memory) => {
                permit.shrink(room);
                room = room.saturating_mul(ROOM_STEP);
            }
            decoded => break decoded?,
        }
    };
    permit.shrink(around + room);
    permit.grow_beyond(decoded.batch.heap_bytes());
    Ok((decoded, permit))
}

// The journal must be read, so its frames are not refused; others are, for as long as that takes too much.
// Large frames wait a little for them to give back what they have.
fn wait_for_others(memory: &Budget, bytes: usize) {
    let began = Instant::now();
    while bytes > PATIENT_BYTES && memory.used() > memory.max() && began.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Decodes one of our own books; no limit applies to them.
pub(crate) fn own(protocol: Protocol, body: &[u8], envelope: Envelope) -> Result<Batch, wire::DecodeError> {
    Ok(request(protocol, body, envelope, &RULE_1, |_| Vec::new())?.batch)
}

/// Decodes a request that has arrived. `permit` holds its body, and its columns in the end.
pub(crate) fn arrival(
    protocol: Protocol,
    body: &[u8],
    envelope: &Envelope,
    rules: &Rules,
    memory: &Budget,
    permit: &mut Permit,
    mut decide: impl FnMut(&Batch) -> Vec<i32>,
) -> Result<Decoded, Refused> {
    let mut room = ROOM_BYTES + ROOM_PER_BYTE * body.len();
    loop {
        let most = memory.max().saturating_sub(permit.bytes());
        room = room.min(most);
        if !permit.grow(room) {
            return Err(Refused::NoRoom);
        }
        let decoded = request(protocol, body, envelope.clone(), &rules.within(room), &mut decide);
        let held = decoded.as_ref().map_or(0, |decoded| decoded.batch.heap_bytes());
        permit.shrink(room.saturating_sub(held));
        let has_room = permit.grow(held.saturating_sub(room));
        match decoded {
            Ok(decoded) if has_room => return Ok(decoded),
            Ok(_) => return Err(Refused::NoRoom),
            Err(wire::DecodeError::Memory) if room == most => return Err(Refused::TooLarge),
            Err(wire::DecodeError::Memory) => room = room.saturating_mul(ROOM_STEP),
            Err(error) => return Err(Refused::Malformed(error)),
        }
    }
}

impl Rules {
    // The same rules with so much memory.
    fn within(&self, memory_bytes_max: usize) -> Rules {
        Rules { limits: Limits { memory_bytes_max, ..self.limits }, ..*self }
    }
}

/// Decodes a request. `decide` names the days whose rows are set aside (the partition quota).
pub(crate) fn request(
    protocol: Protocol,
    body: &[u8],
    envelope: Envelope,
    rules: &Rules,
    decide: impl FnOnce(&Batch) -> Vec<i32>,
) -> Result<Decoded, wire::DecodeError> {
    let Decoded { mut batch, mut account } = wire::decode(protocol, body, envelope, &rules.limits)?;
    let days = decide(&batch);
    if !days.is_empty() {
        set_aside(&mut batch, &mut account, protocol, &days);
    }
    correlate::absorb(&mut batch);
    batch.spans.assert_whole();
    batch.logs.assert_whole();
    Ok(Decoded { batch, account })
}

/// The decision of the partition quota, as the frame header keeps it.
pub(crate) fn days_to_bytes(days: &[i32]) -> Vec<u8> {
    days.iter().flat_map(|day| day.to_le_bytes()).collect()
}

fn days_from_bytes(bytes: &[u8]) -> Vec<i32> {
    bytes.chunks_exact(4).map(|day| i32::from_le_bytes([day[0], day[1], day[2], day[3]])).collect()
}

fn set_aside(batch: &mut Batch, account: &mut Account, protocol: Protocol, days: &[i32]) {
    let moved = batch.quarantine_days(days);
    let signal: Signal = protocol.signal();
    account.count_many(signal, Reason::PartitionsQuarantined, moved, || {
        format!(
            "rows of {} and other days were more partitions than may be opened per hour",
            model::time::day_text(days[0])
        )
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tight() -> Rules {
        let limits = Limits {
            attributes_max: 1,
            attribute_value_bytes_max: 5,
            name_bytes_max: 4,
            body_bytes_max: 3,
            events_max: 0,
            links_max: 7,
            depth_max: 2,
            time_min_ns: -1,
            time_ahead_max_ns: i64::MAX,
            memory_bytes_max: usize::MAX,
        };
        Rules { limits, body_bytes_max: 300 }
    }

    fn header(rules: Rules) -> FrameHeader {
        FrameHeader {
            protocol: Protocol::OtlpLogsJson as u8,
            encoding: Encoding::Identity.number(),
            flags: 0,
            durability: journal::Durability::Fsync,
            rule: wire::RULE,
            tenant: "".into(),
            sender: "s".into(),
            received_ns: 1_700_000_000_000_000_000,
            body_hash: 0,
            items: [0, 1, 0],
            decisions: Bytes::new(),
            limits: rules.to_bytes(),
            settles: None,
        }
    }

    // Scenario: limits that are the rule's own, that differ in one place, and in every place; limits of a later version.
    // Guarantee: they come back; the usual ones cost no byte; unknown ones are told, not guessed.
    #[test]
    fn limits_travel_in_the_header() {
        let mut one = RULE_1;
        one.limits.attribute_value_bytes_max = 1 << 20;
        for (rules, bytes) in [(RULE_1, 0), (one, 4), (tight(), 40)] {
            let header = header(rules);
            assert!(header.limits.len() <= bytes, "{}", header.limits.len());
            assert_eq!(Rules::of(&header).unwrap(), rules);
        }
        for unknown in [&[10, 1][..], &[0, 0x80], &[0]] {
            let header = FrameHeader { limits: Bytes::copy_from_slice(unknown), ..header(RULE_1) };
            assert!(matches!(Rules::of(&header), Err(FrameError::Unknown("limit", _))), "{unknown:?}");
        }
    }

    // Scenario: the limits that configuration gives when nothing is set.
    // Guarantee: they are the stored baseline, so that an ordinary frame carries none; a default that is changed
    // one day must not change this baseline.
    #[test]
    fn the_baseline_is_the_default_of_rule_1() {
        assert_eq!(wire::RULE, 1, "a new rule brings a baseline of its own");
        assert_eq!(RULE_1.limits, Limits::default());
    }

    // Scenario: a frame written under tight limits, and the same bytes under the usual ones.
    // Guarantee: decoding a frame gives what the first decoding gave, whatever is configured by then.
    #[test]
    fn a_frame_decodes_as_it_was_accepted() {
        let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1700000000000000000",
            "body":{"stringValue":"a long body"},"attributes":[{"key":"long key","value":{"stringValue":"a long value"}},
            {"key":"b","value":{"intValue":"1"}}]}]}]}]}"#;
        let envelope = |header: &FrameHeader| Envelope {
            tenant: "".into(),
            received_ns: header.received_ns,
            sender: Arc::from(&*header.sender),
        };
        let mut seen = Vec::new();
        for rules in [RULE_1, Rules { body_bytes_max: 64 << 20, limits: Limits { time_min_ns: 0, ..tight().limits } }] {
            let header = header(rules);
            let first = request(Protocol::OtlpLogsJson, body, envelope(&header), &rules, |_| Vec::new()).unwrap();
            let again = frame(&header, body).unwrap();
            let rows = |decoded: &Decoded| format!("{:?} {:?}", decoded.batch.logs, decoded.account);
            assert_eq!(rows(&again), rows(&first));
            seen.push(rows(&again));
        }
        assert_ne!(seen[0], seen[1], "the limits made a difference");
    }
}
