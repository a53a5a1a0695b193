//! Inserts: binary-safe, whole or not at all.

use std::io::Write;
use std::net::Shutdown;

use crate::support::{Client, Engine, encode, read_answer};

fn random_bytes(count: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        // Many line ends, semicolons and quotes, which is where text splitters fail.
        b"\n\n;'\\\"\0 "[(state >> 8) as usize % 9 % 8] ^ if state & 3 == 0 { (state >> 32) as u8 } else { 0 }
    };
    (0..count).map(|_| next()).collect()
}

/// One Native block: `n UInt64`, `s String`.
fn native(rows: &[(u64, Vec<u8>)]) -> Vec<u8> {
    fn length(mut value: usize, out: &mut Vec<u8>) {
        while value >= 128 {
            out.push(value as u8 | 128);
            value >>= 7;
        }
        out.push(value as u8);
    }
    let mut out = Vec::new();
    length(2, &mut out);
    length(rows.len(), &mut out);
    for (name, kind) in [("n", "UInt64"), ("s", "String")] {
        for text in [name, kind] {
            length(text.len(), &mut out);
            out.extend_from_slice(text.as_bytes());
        }
        for (number, text) in rows {
            if name == "n" {
                out.extend_from_slice(&number.to_le_bytes());
            } else {
                length(text.len(), &mut out);
                out.extend_from_slice(text);
            }
        }
    }
    out
}

fn rows(count: usize, bytes: usize, seed: u64) -> Vec<(u64, Vec<u8>)> {
    (0..count).map(|at| (at as u64, random_bytes(bytes, seed + at as u64))).collect()
}

fn start() -> (Engine, Client) {
    let engine = Engine::start();
    let client = engine.own();
    client.sql("CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n").ok();
    (engine, client)
}

const INSERT: &str = "INSERT INTO t FORMAT Native";

fn blocks(data: &[u8]) -> Vec<u8> {
    // ClickHouse's own frames, uncompressed method, made here to check ours against.
    data.chunks(60_000)
        .flat_map(|part| {
            let mut frame = vec![0x02];
            frame.extend_from_slice(&(part.len() as u32 + 9).to_le_bytes());
            frame.extend_from_slice(&(part.len() as u32).to_le_bytes());
            frame.extend_from_slice(part);
            let mut out = cityhash_rs::cityhash_102_128(&frame).rotate_right(64).to_le_bytes().to_vec();
            out.extend_from_slice(&frame);
            out
        })
        .collect()
}

// Scenario: random bytes full of line ends and semicolons, in every format and encoding, and one
// body larger than what is kept in memory.
// Guarantee: every byte comes back.
#[test]
fn every_byte_arrives() {
    let (mut engine, client) = start();
    let rows = rows(300, 700, 1);
    let expected: Vec<u8> = rows.iter().flat_map(|(_, text)| text.clone()).collect();
    let body = native(&rows);
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&body).unwrap();
        encoder.finish().unwrap()
    };
    let lz4 = {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&body).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::stream::encode_all(&body[..], 1).unwrap();
    let in_body = [INSERT.as_bytes(), b"\n", &body].concat();
    let target = format!("/?query={}", encode(INSERT));
    let framed = format!("/?decompress=1&query={}", encode(INSERT));
    let all_in_body = blocks(&in_body);
    for (name, target, headers, body) in [
        ("plain", target.as_str(), &[][..], &body),
        ("statement in body", "/", &[], &in_body),
        ("gzip", &target, &[("Content-Encoding", "gzip")], &gzip),
        ("lz4", &target, &[("Content-Encoding", "lz4")], &lz4),
        ("zstd", &target, &[("Content-Encoding", "zstd")], &zstd),
        ("blocks", &framed, &[], &blocks(&body)),
        ("statement in blocks", "/?decompress=1", &[], &all_in_body),
    ] {
        let answer = client.request("POST", target, headers, body);
        assert!(answer.ok().is_empty(), "{name}");
        assert!(answer.header("X-ClickHouse-Summary").unwrap().contains("\"written_rows\":\"300\""), "{name}");
        let stored = client.sql("SELECT s FROM t ORDER BY n FORMAT RawBLOB");
        assert!(stored.body == expected, "{name}");
        client.sql("TRUNCATE TABLE t").ok();
    }
    // 40 MB: beyond the memory bound, so through a file.
    let large = self::rows(40, 1_000_000, 5);
    client.insert(INSERT, &native(&large)).ok();
    let stored = client.sql("SELECT s FROM t ORDER BY n FORMAT RawBLOB");
    assert!(stored.body == large.iter().flat_map(|(_, text)| text.clone()).collect::<Vec<_>>());
    engine.stop();
}

// Scenario: bodies cut, damaged or not there, and clients that leave in the middle.
// Guarantee: an error or silence, and no row.
#[test]
fn a_broken_insert_commits_nothing() {
    let (mut engine, client) = start();
    let body = native(&rows(2000, 100, 3));
    let several = body.repeat(5);
    for cut in [1, body.len() / 2, body.len() - 1] {
        assert!(matches!(client.insert(INSERT, &body[..cut]).code(), 32 | 33), "cut at {cut}");
        let cut_later = &several[..several.len() - cut];
        assert!(matches!(client.insert(INSERT, cut_later).code(), 32 | 33), "cut {cut} before the end");
    }
    let mut flipped = blocks(&several);
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let framed = format!("/?decompress=1&query={}", encode(INSERT));
    assert_eq!(client.request("POST", &framed, &[], &flipped).code(), 33);
    let target = format!("/?query={}", encode(INSERT));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&several).unwrap();
    let gzip = gzip.finish().unwrap();
    let cut = &gzip[..gzip.len() - 9];
    assert_eq!(client.request("POST", &target, &[("Content-Encoding", "gzip")], cut).code(), 33);
    assert_eq!(client.insert("INSERT INTO t FORMAT JSONEachRow", b"{\"n\":1}\n{\"n\":").code(), 32);

    // Clients that leave: with a promised length, and in the middle of a chunk.
    for chunked in [false, true] {
        let header = if chunked { ("Transfer-Encoding", "chunked") } else { ("Content-Length", "9999999") };
        let mut stream = client.begin("POST", &target, &[header]);
        if chunked {
            write!(stream, "{:x}\r\n", body.len()).unwrap();
            stream.write_all(&body).unwrap();
            stream.write_all(b"\r\nfffff\r\nxyz").unwrap();
        } else {
            stream.write_all(&body).unwrap();
        }
        stream.shutdown(Shutdown::Both).unwrap();
    }
    // Chunked and ended properly: the same bytes do arrive.
    assert_eq!(client.sql("SELECT count() FROM t").ok(), "0");
    let mut stream = client.begin("POST", &target, &[("Transfer-Encoding", "chunked")]);
    for part in body.chunks(1000) {
        write!(stream, "{:x}\r\n", part.len()).unwrap();
        stream.write_all(part).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    read_answer(stream).ok();
    assert_eq!(client.sql("SELECT count() FROM t").ok(), "2000");
    engine.stop();
}

// Scenario: inserts while the process is killed with SIGKILL, round after round.
// Guarantee: every acknowledged block is there whole, and no block in part.
#[test]
fn kill_9_keeps_blocks_whole() {
    let (mut engine, _) = start();
    let mut acknowledged = Vec::new();
    for round in 0..4u64 {
        let client = engine.own();
        let pid = rustix::process::Pid::from_raw(engine.address.pid.cast_signed()).unwrap();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(150 + 60 * round));
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        });
        for at in 0.. {
            let block = round * 1_000_000 + at;
            let rows: Vec<_> = (0..500).map(|_| (block, b"x".to_vec())).collect();
            let sent = std::panic::catch_unwind(|| client.insert(INSERT, &native(&rows)).ok());
            if sent.is_err() {
                break;
            }
            acknowledged.push(block);
        }
        killer.join().unwrap();
        engine.wait_for_restart();
    }
    let client = engine.own();
    assert_eq!(client.sql("SELECT count() FROM (SELECT n, count() AS c FROM t GROUP BY n HAVING c != 500)").ok(), "0");
    let stored = client.sql("SELECT DISTINCT n FROM t").ok();
    let stored: std::collections::HashSet<u64> = stored.lines().map(|line| line.parse().unwrap()).collect();
    assert!(acknowledged.iter().all(|block| stored.contains(block)));
    assert!(!acknowledged.is_empty());
    engine.stop();
}
