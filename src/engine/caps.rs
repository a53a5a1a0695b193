//! How much the engine may take: memory, caches, background threads, as its own config file.
//!
//! Always passed explicitly: without a `--config-file` the engine reads whatever `config.xml` it
//! finds in the working directory (design section 4). Its defaults are a server's: 5 GB each for
//! two caches, 90 % of the memory.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

/// Bounds on the engine process.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub struct Caps {
    /// All queries, inserts and merges together, bytes. Default: the smaller of a quarter of the
    /// memory and 2 GiB.
    pub memory_bytes_max: u64,
    /// Cache of marks, bytes.
    pub mark_cache_bytes: u64,
    /// Cache of primary indexes, bytes.
    pub primary_index_cache_bytes: u64,
    /// Cache of skip and text indexes' marks and postings together, bytes.
    pub index_cache_bytes: u64,
    /// Cache of uncompressed blocks, bytes; 0 = none.
    pub uncompressed_cache_bytes: u64,
    /// Threads for merges and mutations.
    pub merge_threads: u32,
}

const MEMORY_BYTES_MAX: u64 = 2 << 30;
const MEMORY_BYTES_MIN: u64 = 512 << 20;

impl Default for Caps {
    fn default() -> Self {
        let quarter = memory_bytes() / 4;
        Self {
            memory_bytes_max: quarter.clamp(MEMORY_BYTES_MIN, MEMORY_BYTES_MAX),
            mark_cache_bytes: 128 << 20,
            primary_index_cache_bytes: 128 << 20,
            index_cache_bytes: 64 << 20,
            uncompressed_cache_bytes: 0,
            merge_threads: 2,
        }
    }
}

/// The machine's memory, or the container's when that is less.
fn memory_bytes() -> u64 {
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("MemTotal:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(MEMORY_BYTES_MAX * 4, |kib| kib * 1024);
    let container =
        std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok().and_then(|text| text.trim().parse::<u64>().ok());
    container.map_or(machine, |limit| limit.min(machine))
}

/// No insert is taken and no merge started when less than this is free on the engine's disk, bytes.
const DISK_FREE_MIN: u64 = 64 << 20;

/// The engine's configuration file.
pub(crate) fn config_xml(caps: &Caps) -> String {
    let index = caps.index_cache_bytes;
    let mut xml = String::from("<!-- Written at every start; changes are lost. -->\n<clickhouse>\n");
    for (name, value) in [
        ("max_server_memory_usage", caps.memory_bytes_max),
        ("mark_cache_size", caps.mark_cache_bytes),
        ("primary_index_cache_size", caps.primary_index_cache_bytes),
        ("index_mark_cache_size", index / 4),
        ("text_index_tokens_cache_size", index / 4),
        ("text_index_header_cache_size", index / 4),
        ("text_index_postings_cache_size", index / 4),
        ("vector_similarity_index_cache_size", 1 << 20),
        ("uncompressed_cache_size", caps.uncompressed_cache_bytes),
        ("index_uncompressed_cache_size", 0),
        ("query_condition_cache_size", 16 << 20),
        ("compiled_expression_cache_size", 32 << 20),
        ("iceberg_metadata_files_cache_size", 1 << 20),
        ("parquet_metadata_cache_size", 1 << 20),
        ("mmap_cache_size", 128),
        ("background_pool_size", u64::from(caps.merge_threads)),
        ("background_merges_mutations_concurrency_ratio", 2),
        ("background_move_pool_size", 1),
        ("background_fetches_pool_size", 1),
        ("background_common_pool_size", 2),
        ("background_buffer_flush_schedule_pool_size", 1),
        ("background_schedule_pool_size", 4),
        ("background_message_broker_schedule_pool_size", 1),
        ("background_distributed_schedule_pool_size", 1),
        ("max_thread_pool_size", 1000),
        ("max_thread_pool_free_size", 32),
        ("max_io_thread_pool_size", 16),
    ] {
        let _ = writeln!(xml, "    <{name}>{value}</{name}>");
    }
    // On a full disk inserts and merges can leave parts with empty mark files, which no question can read from
    // then on. So both are refused before the disk is full.
    let _ = writeln!(
        xml,
        "    <merge_tree><min_free_disk_bytes_to_perform_insert>{DISK_FREE_MIN}</min_free_disk_bytes_to_perform_insert></merge_tree>\n    \
         <storage_configuration><disks><default><keep_free_space_bytes>{DISK_FREE_MIN}</keep_free_space_bytes></default></disks></storage_configuration>"
    );
    xml.push_str("</clickhouse>\n");
    xml
}
