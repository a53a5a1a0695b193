#!/usr/bin/env python3
"""Runs the benches over real processes and keeps every figure as a JSON line in target/bench/.

CPU time is read from /proc/PID/stat, so other work on the machine disturbs it less than wall time;
systems that are compared run interleaved. Only the standard library is used. BENCH_BINARIES names a
folder with builds to measure instead of building.

    benches/run.py instructions peers engines latency memory queries rolling watching graph
"""
import argparse, json, os, pathlib, random, signal, statistics, subprocess, sys, threading, time, urllib.error, urllib.parse, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "bench"
VENV = ROOT / "target" / "bench" / "rotel-venv"
ROTEL = "rotel==0.0.1a15"
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PORTS = dict(http=27700, otlp_grpc=24317, otlp_http=24318, zipkin=29411)
SINK, ENGINE, ROTEL_GRPC, ROTEL_HTTP, READER = 28123, 28124, 25317, 25318, 28125
EXPORTER_TABLES = """
CREATE TABLE otel.otel_traces (
    Timestamp DateTime64(9) CODEC(Delta, ZSTD(1)), TraceId String CODEC(ZSTD(1)), SpanId String CODEC(ZSTD(1)),
    ParentSpanId String CODEC(ZSTD(1)), TraceState String CODEC(ZSTD(1)), SpanName LowCardinality(String) CODEC(ZSTD(1)),
    SpanKind LowCardinality(String) CODEC(ZSTD(1)), ServiceName LowCardinality(String) CODEC(ZSTD(1)),
    ResourceAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)), ScopeName String CODEC(ZSTD(1)),
    ScopeVersion String CODEC(ZSTD(1)), SpanAttributes Map(LowCardinality(String), String) CODEC(ZSTD(1)),
    Duration UInt64 CODEC(ZSTD(1)), StatusCode LowCardinality(String) CODEC(ZSTD(1)), StatusMessage String CODEC(ZSTD(1)),
    Events Nested (Timestamp DateTime64(9), Name LowCardinality(String), Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    Links Nested (TraceId String, SpanId String, TraceState String, Attributes Map(LowCardinality(String), String)) CODEC(ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX idx_res_attr_key mapKeys(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_res_attr_value mapValues(ResourceAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_key mapKeys(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_span_attr_value mapValues(SpanAttributes) TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX idx_duration Duration TYPE minmax GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Timestamp) ORDER BY (ServiceName, SpanName, toDateTime(Timestamp))
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;
CREATE TABLE otel.otel_traces_trace_id_ts (
    TraceId String CODEC(ZSTD(1)), Start DateTime CODEC(Delta, ZSTD(1)), End DateTime CODEC(Delta, ZSTD(1)),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = MergeTree PARTITION BY toDate(Start) ORDER BY (TraceId, Start)
SETTINGS index_granularity = 8192, ttl_only_drop_parts = 1;
CREATE MATERIALIZED VIEW otel.otel_traces_trace_id_ts_mv TO otel.otel_traces_trace_id_ts AS
SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End FROM otel.otel_traces WHERE TraceId != '' GROUP BY TraceId
"""


# --- processes ---------------------------------------------------------------------------------

class Process:
    """A child process with its own accounting."""

    def __init__(self, name, command, log, **options):
        self.name = name
        self.log = open(log, "ab")
        self.child = subprocess.Popen(command, stderr=self.log, **{"stdout": self.log, **options})
        self.peak_rss = 0

    @property
    def pid(self):
        return self.child.pid

    def stop(self, patience=20):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(patience)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()


def cpu_s(pid):
    """CPU seconds of the process so far (its threads, not its children)."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def rss_mib(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE / 2**20


def child_of(pid):
    """The engine below a Hypocenter."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        children = (task / "children").read_text().split()
        if children:
            return int(children[0])
    return None


def http(url, data=None, headers=None, timeout=120):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read()


def wait_for(what, ready, patience=90):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (OSError, urllib.error.URLError, ValueError):
            pass
        time.sleep(0.02)
    sys.exit(f"waited {patience} s for {what}")


def quiet(pids, below_s=0.03, patience=120):
    """Waits until the processes have (almost) no more work."""
    before = sum(map(cpu_s, pids))
    end = time.monotonic() + patience
    still = 0
    while still < 3 and time.monotonic() < end:
        time.sleep(0.5)
        now = sum(map(cpu_s, pids))
        still = still + 1 if now - before <= below_s else 0
        before = now


_built = None


def binaries():
    """Release builds of the program and the benches: name -> path."""
    global _built
    given = os.environ.get("BENCH_BINARIES")
    if given:
        return {name: f"{given}/{name}" for name in ("hypocenter", "load", "sink", "work")}
    if _built is None:
        command = ["cargo", "build", "--release", "--locked", "--message-format=json-render-diagnostics", "--bin", "hypocenter"]
        for name in ("load", "sink", "work"):
            command += ["--bench", name]
        lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout.splitlines()
        found = (json.loads(line) for line in lines if line.startswith(b"{"))
        _built = {it["target"]["name"]: it["executable"] for it in found if it.get("executable")}
    return _built


def hypocenter(data_dir, **settings):
    command = [binaries()["hypocenter"], "--data-dir", str(data_dir)]
    settings = {**{f"ports.{name}": port for name, port in PORTS.items()}, **settings}
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    process = Process("hypocenter", command, OUT / "hypocenter.log")
    wait_for("hypocenter", lambda: http(f"http://127.0.0.1:{PORTS['http']}/ready"))
    return process


def rotel(endpoint, database="otel", user=None, password=None, extra=()):
    agent = next(VENV.glob("lib/python3.*/site-packages/rotel/rotel-agent"), None)
    if agent is None:
        VENV.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["python3.11", "-m", "venv", str(VENV)], check=True)
        subprocess.run([str(VENV / "bin" / "pip"), "install", "--quiet", ROTEL], check=True)
        agent = next(VENV.glob("lib/python3.*/site-packages/rotel/rotel-agent"))
    command = [str(agent), "start", "--exporter", "clickhouse", "--clickhouse-exporter-endpoint", endpoint,
               "--clickhouse-exporter-database", database, "--otlp-grpc-endpoint", f"127.0.0.1:{ROTEL_GRPC}",
               "--otlp-http-endpoint", f"127.0.0.1:{ROTEL_HTTP}", "--otlp-grpc-max-recv-msg-size-mib", "64"]
    if user:
        command += ["--clickhouse-exporter-user", user, "--clickhouse-exporter-password", password]
    process = Process("rotel", [*command, *extra], OUT / "rotel.log")
    time.sleep(1.5)
    return process


def sink():
    process = Process("sink", [binaries()["sink"], "--port", str(SINK)], OUT / "sink.log")
    wait_for("the sink", lambda: http(f"http://127.0.0.1:{SINK}/counts"))
    return process


class Engine(Process):
    """`hypocenter engine serve` alone: ClickHouse's HTTP interface for whoever knows the password."""

    def __init__(self, data_dir):
        super().__init__("engine", [binaries()["hypocenter"], "engine", "serve"], OUT / "engine.log", stdin=subprocess.PIPE)
        config = dict(library=library(), data_dir=str(data_dir), port=ENGINE, password="bench", watch_parent=True)
        self.child.stdin.write(json.dumps(config).encode() + b"\n")
        self.child.stdin.flush()
        wait_for("the engine", lambda: self.sql("SELECT 1") == "1")

    def sql(self, statement):
        url = f"http://127.0.0.1:{ENGINE}/?" + urllib.parse.urlencode(dict(user="hypocenter", password="bench", wait_end_of_query=1))
        try:
            return http(url, statement.encode()).decode().strip()
        except urllib.error.HTTPError as error:
            raise ValueError(f"{statement[:80]}: {error.read().decode()[:400]}") from error


def library():
    if "HYPOCENTER_ENGINE_LIB" in os.environ:
        return os.environ["HYPOCENTER_ENGINE_LIB"]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "hypocenter"
    found = sorted(cache.rglob("libchdb.so"))
    return str(found[-1]) if found else sys.exit("run `make setup` first: the engine's library is missing")


_stamp = random.SystemRandom().randrange(1, 1 << 30)


def load_command(port, workload="M", spans=500_000, **options):
    global _stamp
    _stamp += spans // 64 + 100
    command = [binaries()["load"], "--endpoint", f"127.0.0.1:{port}", "--workload", workload, "--spans", str(spans), "--stamp", str(_stamp)]
    for key, value in options.items():
        command += [f"--{key.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return command


def load(port, workload="M", spans=500_000, **options):
    out = subprocess.run(load_command(port, workload, spans, **options), stdout=subprocess.PIPE, check=True).stdout
    return json.loads(out)


def keep(kind, **figures):
    OUT.mkdir(parents=True, exist_ok=True)
    line = json.dumps({"bench": kind, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **figures})
    with open(OUT / f"{kind}.jsonl", "a") as file:
        file.write(line + "\n")
    print(line, flush=True)


def fresh(name):
    path = OUT / name
    subprocess.run(["rm", "-rf", str(path)], check=True)
    path.mkdir(parents=True)
    return path


# --- benches -----------------------------------------------------------------------------------

def instructions(args):
    """Instructions and wire bytes per span of decode + columns + block + LZ4."""
    for workload, few, many in (("S", 40, 440), ("M", 40, 440), ("L", 40, 240), ("LOG", 40, 240)):
        counts = {}
        for requests in (few, many):
            # valgrind counts a `rep movsb` byte by byte; without it glibc copies with wide registers.
            plain_copies = {**os.environ, "GLIBC_TUNABLES": "glibc.cpu.x86_rep_movsb_threshold=1000000000:glibc.cpu.x86_rep_stosb_threshold=1000000000"}
            command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", binaries()["work"], "--workload", workload, "--requests", str(requests)]
            ran = subprocess.run(command, capture_output=True, text=True, check=True, env=plain_copies)
            line = next(line for line in ran.stderr.splitlines() if "Collected" in line)
            counts[requests] = (int(line.split(":")[1]), json.loads(ran.stdout))
        (base, first), (total, last) = counts[few], counts[many]
        plain = json.loads(subprocess.run([binaries()["work"], "--workload", workload, "--requests", "2000"], capture_output=True, check=True).stdout)
        keep("instructions", workload=workload, instructions_per_span=round((total - base) / (last["items"] - first["items"])),
             wire_bytes_per_span=round(plain["packed_bytes_per_item"], 1), plain_bytes_per_span=round(plain["plain_bytes_per_item"], 1),
             received_bytes_per_span=round(plain["received_bytes_per_item"], 1), ns_per_span=round(plain["ns_per_item"]))


def peers(args):
    """Rotel's wheel against Hypocenter: same generator, same sink."""
    swallow = sink()
    ours = hypocenter(fresh("peers-data"), **{"storage.url": f"http://127.0.0.1:{SINK}", "storage.compression": "lz4"})
    theirs = rotel(f"http://127.0.0.1:{SINK}")
    try:
        sides = ((ours, PORTS["otlp_grpc"]), (theirs, ROTEL_GRPC))
        for _, port in sides:
            load(port, "M", 150_000)
        plan = [("M", False, args.spans, args.rounds), ("S", False, args.spans, 3), ("M", True, args.spans // 2, 3), ("L", False, args.spans // 4, 3)]
        for workload, gzip, spans, rounds in plan:
            ratios, costs = [], {"hypocenter": [], "rotel": []}
            for _ in range(rounds):
                for process, port in sides:
                    quiet([process.pid])
                    before, bytes_before = cpu_s(process.pid), json.loads(http(f"http://127.0.0.1:{SINK}/counts"))["bytes"]
                    result = load(port, workload, spans, batch=500 if workload == "S" else 512, **({"gzip": True} if gzip else {}), retry=True)
                    quiet([process.pid])
                    cost = (cpu_s(process.pid) - before) / result["acknowledged"] * 1e6
                    sent = (json.loads(http(f"http://127.0.0.1:{SINK}/counts"))["bytes"] - bytes_before) / result["acknowledged"]
                    costs[process.name].append(cost)
                    keep("peers_round", system=process.name, workload=workload, gzip=gzip, cpu_s_per_million=round(cost, 3), wire_bytes_per_span=round(sent, 1),
                         spans_per_s=round(result["items_per_s"]), ack_ms=result["ack_ms"], failed=result["failed"], refused=result["refused"], rss_mib=round(rss_mib(process.pid)))
                ratios.append(costs["rotel"][-1] / costs["hypocenter"][-1])
            keep("peers", workload=workload, gzip=gzip, rounds=rounds, spans=spans, hypocenter=round(statistics.median(costs["hypocenter"]), 3),
                 rotel=round(statistics.median(costs["rotel"]), 3), ratio_median=round(statistics.median(ratios), 2),
                 ratio_min=round(min(ratios), 2), ratio_max=round(max(ratios), 2))
    finally:
        for process in (ours, theirs, swallow):
            process.stop()


def engines(args):
    """Both into one engine each, with their own schema: CPU of collector and engine, rows counted."""
    spans = args.spans
    for side in args.sides:
        engine = Engine(fresh(f"engine-{side}"))
        if side == "hypocenter":
            collector = hypocenter(fresh("engines-data"), **{"storage.url": f"http://127.0.0.1:{ENGINE}", "storage.user": "hypocenter", "storage.password": "bench"})
            port, table, database = PORTS["otlp_grpc"], "hypocenter.otel_traces", "hypocenter"
        else:
            engine.sql("CREATE DATABASE otel")
            for statement in EXPORTER_TABLES.split(";"):
                engine.sql(statement)
            collector = rotel(f"http://127.0.0.1:{ENGINE}", user="hypocenter", password="bench", extra=args.rotel_extra)
            port, table, database = ROTEL_GRPC, "otel.otel_traces", "otel"
        try:
            load(port, "M", 60_000, different=120)
            quiet([engine.pid, collector.pid])
            rows = int(engine.sql(f"SELECT count() FROM {table}"))
            engine.sql("SYSTEM STOP MERGES")
            before = cpu_s(collector.pid), cpu_s(engine.pid)
            # No span twice: copies would lie side by side in one schema's order and not in the other's.
            result = load(port, "M", spans, retry=True, different=-(-spans // 512))
            quiet([engine.pid, collector.pid], below_s=0.06)
            stored = int(engine.sql(f"SELECT count() FROM {table}")) - rows
            after = cpu_s(collector.pid), cpu_s(engine.pid)
            engine.sql("SYSTEM START MERGES")
            wait_for("merges", lambda: time.sleep(1) or engine.sql("SELECT count() FROM system.merges") == "0")
            quiet([engine.pid], below_s=0.06)
            merged = cpu_s(engine.pid)
            per_million = lambda cpu: round(cpu / result["acknowledged"] * 1e6, 2)
            keep("engines", system=side, spans=result["acknowledged"], rows=stored, equal=stored == result["acknowledged"], collector=per_million(after[0] - before[0]),
                 engine=per_million(after[1] - before[1]), total=per_million(sum(after) - sum(before)), merges=per_million(merged - after[1]),
                 total_with_merges=per_million(sum(after) - sum(before) + merged - after[1]), spans_per_s=round(result["items_per_s"]), ack_ms=result["ack_ms"],
                 parts=engine.sql(f"SELECT sum(rows), count(), formatReadableSize(sum(bytes_on_disk)) FROM system.parts WHERE active AND database = '{database}' FORMAT TSV"))
            if side == "hypocenter":
                disk_of(engine)
        finally:
            collector.stop()
            engine.stop()


def disk_of(engine):
    """The same rows under the exporter's own schema, both merged to the end."""
    engine.sql("CREATE DATABASE otel")
    for statement in EXPORTER_TABLES.split(";"):
        engine.sql(statement)
    columns = engine.sql("SELECT arrayStringConcat(groupArray(concat('`', name, '`')), ', ') FROM system.columns WHERE database = 'otel' AND table = 'otel_traces'")
    engine.sql(f"INSERT INTO otel.otel_traces ({columns}) SELECT {columns} FROM hypocenter.otel_traces")
    sizes = {}
    for database, tables in (("hypocenter", ("otel_traces", "otel_traces_trace_id_ts")), ("otel", ("otel_traces", "otel_traces_trace_id_ts"))):
        for table in tables:
            engine.sql(f"OPTIMIZE TABLE {database}.{table} FINAL")
            size, rows = engine.sql(f"SELECT sum(bytes_on_disk), sum(rows) FROM system.parts WHERE active AND database = '{database}' AND table = '{table}' FORMAT TSV").split()
            sizes[f"{database}.{table}"] = int(size)
    spans = int(engine.sql("SELECT count() FROM hypocenter.otel_traces"))
    per_span = {name: round(size / spans, 1) for name, size in sizes.items()}
    ratio = sum(size for name, size in sizes.items() if name.startswith("hypo")) / sum(size for name, size in sizes.items() if name.startswith("otel"))
    largest = engine.sql("SELECT column, sum(column_bytes_on_disk) AS bytes FROM system.parts_columns WHERE active AND database = 'hypocenter' AND table = 'otel_traces' GROUP BY column ORDER BY bytes DESC LIMIT 16 FORMAT TSV")
    keep("disk", spans=spans, bytes_per_span=per_span, ratio=round(ratio, 3), ratio_spans_only=round(sizes["hypocenter.otel_traces"] / sizes["otel.otel_traces"], 3),
         columns={line.split("\t")[0]: round(int(line.split("\t")[1]) / spans, 2) for line in largest.splitlines()})


def latency(args):
    """Acknowledge latency and freshness, durable, at a fixed rate, engine on the same disk; then a stop under load."""
    ours = hypocenter(fresh("latency-data"), **{"storage.embedded.library": library()})
    try:
        load(PORTS["otlp_grpc"], "M", 50_000)
        engine = child_of(ours.pid)
        before = cpu_s(ours.pid), cpu_s(engine)
        result = load(PORTS["otlp_grpc"], "M", 50_000 * args.seconds, rate=50_000)
        quiet([ours.pid])
        cost = [(now - then) / result["acknowledged"] * 1e6 for now, then in zip((cpu_s(ours.pid), cpu_s(engine)), before)]
        keep("latency", rate=50_000, spans=result["acknowledged"], failed=result["failed"], refused=result["refused"], ack_ms=result["ack_ms"],
             cpu_s_per_million=[round(value, 2) for value in cost], rss_mib=round(rss_mib(ours.pid)), engine_rss_mib=round(rss_mib(engine)))
        # Asking every 20 ms costs the engine more than storing: freshness is a run of its own.
        fresh_ms, running = [], subprocess.Popen(load_command(PORTS["otlp_grpc"], "M", 50_000 * args.seconds, rate=50_000), stdout=subprocess.DEVNULL)
        while running.poll() is None:
            fresh_ms.append(freshness())
            time.sleep(0.05)
        keep("freshness", rate=50_000, ms=percentiles(fresh_ms), samples=len(fresh_ms))
        background = subprocess.Popen(load_command(PORTS["otlp_grpc"], "M", 3_000_000, rate=50_000), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(5)
        began = time.monotonic()
        ours.child.send_signal(signal.SIGTERM)
        code = ours.child.wait(60)
        keep("stop", seconds=round(time.monotonic() - began, 2), exit_code=code)
        background.kill()
        background.wait()
    finally:
        ours.stop()


def freshness():
    """Milliseconds from a span's acknowledgement until the trace can be asked for."""
    trace, now = f"{random.getrandbits(128):032x}", time.time_ns()
    span = dict(traceId=trace, spanId=trace[:16], name="probe", kind=1, startTimeUnixNano=str(now), endTimeUnixNano=str(now + 1000))
    body = dict(resourceSpans=[dict(resource=dict(attributes=[]), scopeSpans=[dict(spans=[span])])])
    began = time.monotonic()
    http(f"http://127.0.0.1:{PORTS['otlp_http']}/v1/traces", json.dumps(body).encode(), {"content-type": "application/json"})
    while time.monotonic() - began < 30:
        try:
            http(f"http://127.0.0.1:{PORTS['http']}/api/v1/traces/{trace}")
            break
        except urllib.error.HTTPError:
            time.sleep(0.02)
    return (time.monotonic() - began) * 1e3


def percentiles(values):
    values = sorted(values)
    at = lambda share: round(values[min(len(values) - 1, int(len(values) * share))], 2) if values else None
    return {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)}


def watch_rss(pid, stop, found):
    while not stop.is_set():
        try:
            found.append(rss_mib(pid))
        except OSError:
            return
        time.sleep(0.1)


def memory(args):
    """RSS at 50,000 spans a second without the engine, then when ten times that is offered."""
    swallow = sink()
    caps = (256 + 96) # ingest.memory_max and ingest.block_memory_max, MiB
    for name, options in (("rate", dict(spans=50_000 * args.seconds, rate=50_000)), ("overload", dict(spans=500_000 * args.seconds // 3, rate=500_000, connections=16, in_flight=16))):
        ours = hypocenter(fresh("memory-data"), **{"storage.url": f"http://127.0.0.1:{SINK}", "storage.compression": "lz4"})
        try:
            idle, found, stop = rss_mib(ours.pid), [], threading.Event()
            watcher = threading.Thread(target=watch_rss, args=(ours.pid, stop, found))
            watcher.start()
            result = load(PORTS["otlp_grpc"], "M", **options)
            stop.set()
            watcher.join()
            keep("memory", case=name, idle_mib=round(idle), rss_mib=percentiles(found), configured_mib=caps, sent=result["sent"], acknowledged=result["acknowledged"],
                 refused=result["refused"], failed=result["failed"], spans_per_s=round(result["items_per_s"]), ack_ms=result["ack_ms"])
        finally:
            ours.stop()
    swallow.stop()


def queries(args):
    """A store of 1 M, then 10 M spans: trace by id, attribute search, start-up."""
    data = OUT / "queries-data" if args.reuse else fresh("queries-data")
    settings = {"storage.embedded.library": library(), "storage.embedded.http_port": READER, "storage.embedded.reader_password": "bench"}
    reader = lambda sql: http(f"http://127.0.0.1:{READER}/?" + urllib.parse.urlencode(dict(user="reader", password="bench")), sql.encode()).decode().split()
    api = f"http://127.0.0.1:{PORTS['http']}/api/v1"
    ours, stored = hypocenter(data, **settings), 0
    try:
        for total in (args.store,) if args.reuse else (1_000_000, args.store):
            if not args.reuse:
                load(PORTS["otlp_grpc"], "M", total - stored, retry=True, different=1000, over=args.over)
            stored = total
            wait_for("everything to be stored", lambda: http(f"{api}/flush", b"") is not None, patience=900)
            quiet([child_of(ours.pid)], below_s=0.1, patience=45)
            rows = int(reader("SELECT count() FROM hypocenter.otel_traces")[0])
            parts = int(reader("SELECT count() FROM system.parts WHERE active AND table = 'otel_traces'")[0]) if args.parts else None
            ids = reader("SELECT TraceId FROM (SELECT TraceId FROM hypocenter.otel_traces WHERE cityHash64(TraceId, 7) % 997 = 1 GROUP BY TraceId) ORDER BY rand() LIMIT 250")
            took = [timed(f"{api}/traces/{trace}") for trace in ids]
            keep("trace_by_id", spans=rows, parts=parts, first=round(took[0], 1), ms=percentiles(took[20:]), samples=len(took) - 20)
        now = time.time_ns()
        user = reader("SELECT SpanAttributes['app.user.id'] FROM hypocenter.otel_traces WHERE SpanAttributes['app.user.id'] != '' LIMIT 1 OFFSET 70000")[0]
        hour = {"from": now - 3_600_000_000_000, "to": now}
        for name, query in (("promoted key, anywhere", {"attr": "http.route=/api/checkout"}), ("promoted key, rare, anywhere", {"attr": "http.response.status_code=504"}),
                            ("promoted key, no such value", {"attr": "http.route=/nowhere"}), ("any key, one span, anywhere", {"attr": f"app.user.id={user}"}),
                            ("any key, one span, one hour", {"attr": f"app.user.id={user}", **hour}), ("any key, many spans, one hour", {"attr": "server.port=5432", **hour}),
                            ("any key, no such value, one hour", {"attr": "app.user.id=nobody", **hour}), ("service and errors", {"service": "checkout", "status": "error"}), ("no conditions", {})):
            took, failed, end, engine = [], None, time.monotonic() + 60, child_of(ours.pid)
            before = cpu_s(engine)
            while len(took) < 15 and time.monotonic() < end and not failed:
                try:
                    took.append(timed(f"{api}/traces?" + urllib.parse.urlencode(query)))
                except urllib.error.HTTPError as error:
                    failed = f"status {error.code}"
            keep("search", query=name, spans=stored, over_s=args.over, ms=percentiles(took), engine_cpu_ms=round((cpu_s(engine) - before) / max(len(took), 1) * 1e3, 1), samples=len(took), failed=failed)
        ours.stop()
        began = time.monotonic()
        ours = hypocenter(data, **settings)
        keep("start", spans=stored, seconds=round(time.monotonic() - began, 2))
    finally:
        ours.stop()


def rolling(args):
    """What the graph and the evidence cost beside ingest at a fixed rate: CPU with another one rolling, then with us."""
    metric = lambda name: sum(float(line.split()[-1]) for line in http(f"http://127.0.0.1:{PORTS['http']}/metrics").decode().splitlines() if line.startswith(name))
    for rate in args.rates:
        ingest = {}
        for side in ("stands by", "rolls"):
            engine = Engine(fresh("rolling-engine"))
            collector = hypocenter(fresh("rolling-data"), **{"storage.url": f"http://127.0.0.1:{ENGINE}", "storage.user": "hypocenter", "storage.password": "bench"})
            cpu = lambda: (cpu_s(collector.pid), cpu_s(engine.pid))
            try:
                if side == "stands by":
                    engine.sql("INSERT INTO hypocenter.graph_lease (Epoch, Owner, Expires) VALUES (999999, 1, now64(3) + INTERVAL 1 DAY)")
                    wait_for("the other one to roll", lambda: metric("hypocenter_graph_leading") == 0)
                load(PORTS["otlp_grpc"], "M", 60_000, different=120)
                quiet([engine.pid, collector.pid], below_s=0.06)
                before = cpu()
                running = subprocess.Popen(load_command(PORTS["otlp_grpc"], "M", rate * args.seconds * 2, rate=rate, different=400), stdout=subprocess.PIPE)
                lags = []
                while running.poll() is None:
                    lags.append(metric("hypocenter_graph_lag_seconds"))
                    time.sleep(1)
                spans = json.loads(running.stdout.read())["acknowledged"]
                time.sleep(15)
                ingest[side] = [(now - then) / spans * 1e6 for now, then in zip(cpu(), before)]
                keep("rolling_ingest", rate=rate, side=side, spans=spans, collector=round(ingest[side][0], 2), engine=round(ingest[side][1], 2), lag_s=percentiles(lags))
                if side == "stands by":
                    continue
                # Evidence comes minutes later, when nothing else is to be done.
                minutes = int(engine.sql("SELECT uniqExact(toStartOfMinute(Timestamp)) FROM hypocenter.otel_traces"))
                before, began = cpu(), time.monotonic()
                wait_for("evidence", lambda: time.sleep(1) or int(engine.sql("SELECT count() FROM hypocenter.evidence_minutes FINAL")) >= minutes, patience=600)
                time.sleep(5)
                evidence, took = [now - then for now, then in zip(cpu(), before)], time.monotonic() - began
                before = cpu()
                time.sleep(60)
                idle = [(now - then) * took / 60 for now, then in zip(cpu(), before)]
                evidence = [(cost - rest) / spans * 1e6 for cost, rest in zip(evidence, idle)]
                without = sum(ingest["stands by"])
                keep("rolling", rate=rate, ingest=round(without, 2), graph=round(sum(ingest["rolls"]) - without, 2), evidence=round(sum(evidence), 2),
                     graph_share=round((sum(ingest["rolls"]) - without) / without, 3), evidence_share=round(sum(evidence) / without, 3), evidence_sides=[round(cost, 2) for cost in evidence])
            finally:
                collector.stop()
                engine.stop()


def watching(args):
    """What the watch costs: CPU a second of the program with it and without it, under the demo (13 services) and under
    2,000 services with 10,000 operations; both live, so that slots fill as they do in use."""
    def wide(port, seconds):
        """2,000 services, each with four operations that are entered and a call, once in five seconds."""
        span = lambda service, op, kind, extra="": (f'{{"traceId": "@T{service:06x}{op:02x}", "spanId": "{service:012x}{op:04x}", "kind": {kind}, "name": "op {op}", '
                                                   f'"startTimeUnixNano": "@S", "endTimeUnixNano": "@E"{extra}}}')
        resource = lambda service: (f'{{"resource": {{"attributes": [{{"key": "service.name", "value": {{"stringValue": "service-{service}"}}}}]}}, "scopeSpans": [{{"spans": ['
                                    + ", ".join([*(span(service, op, 2) for op in range(4)), span(service, 4, 3, ', "attributes": [{"key": "server.address", "value": {"stringValue": "callee"}}]')]) + "]}]}")
        bodies = ['{"resourceSpans": [' + ", ".join(map(resource, range(at, at + 100))) + "]}" for at in range(0, 2_000, 100)]
        sent, begin = 0, time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            if sent >= passed * 4:
                time.sleep(0.02)
                continue
            now = time.time_ns()
            body = bodies[sent % 20].replace("@T", f"{now:024x}").replace("@S", str(now - 40_000_000)).replace("@E", str(now))
            http(f"http://127.0.0.1:{port}/v1/traces", body.encode(), {"content-type": "application/json"})
            sent += 1

    metric = lambda name: sum(float(line.split()[-1]) for line in http(f"http://127.0.0.1:{PORTS['http']}/metrics").decode().splitlines() if line.startswith(name))
    for shape in ("demo 30/s", "demo 170/s", "2,000 services"):
        used = {}
        for side in ("false", "true"):
            collector = hypocenter(fresh("watching-data"), **{"watch.enabled": side})
            engine = child_of(collector.pid)
            rate = shape.split()[1].split("/")[0]
            seconds = args.seconds * 4
            demo = [binaries()["hypocenter"], "demo", "--rate", rate, "--seed", "1", "--duration", f"{seconds + 60}s", "--endpoint", f"http://127.0.0.1:{PORTS['otlp_http']}",
                    "--zipkin-endpoint", f"http://127.0.0.1:{PORTS['zipkin']}"]
            sender = None
            try:
                if shape.startswith("demo"):
                    sender = Process("demo", demo, OUT / "demo.log")
                else:
                    threading.Thread(target=wide, args=(PORTS["otlp_http"], seconds + 60), daemon=True).start()
                time.sleep(45)
                before = cpu_s(collector.pid) + cpu_s(engine)
                time.sleep(seconds)
                used[side] = (cpu_s(collector.pid) + cpu_s(engine) - before) / seconds
                keep("watching", shape=shape, watch=side, cpu_share=round(used[side], 4), subjects=metric("hypocenter_watch_subjects"),
                     looks=metric("hypocenter_watch_ticks_total"), looking_s=round(metric("hypocenter_watch_looking_seconds_total"), 2),
                     rss_mib=round(rss_mib(collector.pid)))
            finally:
                if sender:
                    sender.stop()
                collector.stop()
        keep("watching_share", shape=shape, cpu_share=round(used["true"] - used["false"], 4), of_ingest=round((used["true"] - used["false"]) / used["false"], 3))


def graph(args):
    """A store of 10 M spans over a week: the service graph and Zipkin's API; one over half an hour: suspects."""
    settings = {"storage.embedded.library": library(), "storage.embedded.http_port": READER, "storage.embedded.reader_password": "bench"}
    week, api = 7 * 86_400, f"http://127.0.0.1:{PORTS['http']}/api/v1"
    for kind, over in (("graph", week), ("suspects", 1_800)):
        if kind not in args.parts_of:
            continue
        data = OUT / f"{kind}-data" if args.reuse else fresh(f"{kind}-data")
        ours = hypocenter(data, **settings)
        try:
            if not args.reuse:
                # Requests lie seconds apart; each is sent several times with other trace ids.
                load(PORTS["otlp_grpc"], "M", args.store, retry=True, different=5_000, over=over)
            wait_for("everything to be rolled up", lambda: json.loads(http(f"{api}/flush", b"")).get("rolled_up"), patience=3_000)
            quiet([child_of(ours.pid)], below_s=0.1, patience=45)
            globals()[f"{kind}_questions"](args, api, over)
            if kind == "graph":
                ours.stop()
                ours = hypocenter(data, **settings)
                graph_questions(args, api, over)
        finally:
            ours.stop()


def graph_questions(args, api, over):
    now = time.time_ns() // 1_000_000_000
    for name, length in (("15 minutes", 900), ("1 hour", 3_600), ("6 hours", 21_600), ("1 day", 86_400), ("7 days", over)):
        took = []
        for _ in range(40):
            end = now - random.randrange(max(over - length, 60))
            took.append(timed(f"{api}/graph?from={(end - length) * 10**9}&to={end * 10**9}"))
        keep("graph", window=name, spans=args.store, first=round(took[0], 1), ms=percentiles(took))
    zipkin = f"http://127.0.0.1:{PORTS['zipkin']}/api/v2"
    end = lambda: (now - random.randrange(over)) * 1000
    for name, question in (("service", "traces?serviceName=checkout&limit=10"), ("service, tag", "traces?serviceName=checkout&annotationQuery=http.route%3D/api/checkout&limit=10"),
                           ("service, rare tag", "traces?serviceName=checkout&annotationQuery=http.response.status_code%3D504&limit=10"),
                           ("service, duration", "traces?serviceName=checkout&minDuration=200000&limit=10"), ("no condition", "traces?limit=10"),
                           ("services", "services?"), ("dependencies of a day", "dependencies?lookback=86400000"), ("dependencies of all", f"dependencies?lookback={over * 1000}")):
        took, failed = [], None
        for _ in range(2 if "dependencies" in name else 20):
            ends = f"&endTs={now * 1000 if 'all' in name or name == 'services' else end()}"
            try:
                took.append(timed(f"{zipkin}/{question}{ends}" + ("" if "lookback" in question else "&lookback=86400000")))
            except urllib.error.HTTPError as error:
                failed = f"status {error.code}"
        keep("zipkin", question=name, spans=args.store, ms=percentiles(took), failed=failed)


def suspects_questions(args, api, over):
    rows = lambda: http(f"http://127.0.0.1:{READER}/?" + urllib.parse.urlencode(dict(user="reader", password="bench")), b"SELECT count() FROM hypocenter.evidence_minutes FINAL").decode()
    wait_for("evidence", lambda: time.sleep(2) or int(rows()) >= over // 60 - 3, patience=600)
    now = time.time_ns()
    minute = 60_000_000_000
    took = []
    for _ in range(8):
        body = dict(fault={"from": now - 15 * minute, "to": now}, baseline={"from": now - 30 * minute, "to": now - 15 * minute})
        took.append(timed(f"{api}/suspects", json.dumps(body).encode()))
    keep("suspects", spans=args.store, ms=percentiles(took), first=round(took[0], 1))


def timed(url, body=None):
    began = time.perf_counter()
    http(url, body, {"content-type": "application/json"} if body else None)
    return (time.perf_counter() - began) * 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", nargs="+", choices=["instructions", "peers", "engines", "latency", "memory", "queries", "rolling", "watching", "graph"])
    parser.add_argument("--rounds", type=int, default=5, help="rounds of W-M against the peer")
    parser.add_argument("--spans", type=int, default=1_000_000, help="spans of a round")
    parser.add_argument("--seconds", type=int, default=30, help="length of runs at a fixed rate")
    parser.add_argument("--store", type=int, default=10_000_000, help="spans of the large store")
    parser.add_argument("--rates", type=int, nargs="+", default=[5_000, 30_000], help="spans a second of the rolling bench")
    parser.add_argument("--parts-of", nargs="+", default=["graph", "suspects"], choices=["graph", "suspects"], help="parts of the graph bench")
    parser.add_argument("--over", type=int, default=300, help="seconds over which the spans of the large store lie")
    parser.add_argument("--reuse", action="store_true", help="ask the large store of the last run again")
    parser.add_argument("--parts", action="store_true", help="also count parts (needs a reader who may)")
    parser.add_argument("--sides", nargs="+", default=["hypocenter", "rotel"], choices=["hypocenter", "rotel"], help="which collectors meet an engine")
    parser.add_argument("--rotel-extra", nargs="*", default=[], help="further arguments of the peer")
    args = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for bench in args.bench:
        globals()[bench](args)


if __name__ == "__main__":
    main()
