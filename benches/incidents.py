#!/usr/bin/env python3
"""Breaks the demo's shop in real time while a real program watches, and counts the messages at a receiver.

Each case is a program of its own with a store of its own: a quarter of an hour of the past, a restart (what is
usual is learnt at start), a minute without a fault, the fault, and the time until it is told to be over. Prints
one line for each case and writes it to target/bench/incidents.jsonl. Only the standard library is used.

    benches/incidents.py [--binary target/release/hypocenter] [--rates 5,20] [--seed 1] [--at-once 4] [FAULT ...]
    benches/incidents.py --calm 30 --rates 5,20,50      # minutes without a fault: every message is a false one
    benches/incidents.py --train-ticket DIR [--background]   # the minutes of those files, replayed as if they were now

A FAULT is the demo's (`exception`, `latency:frontend->search=1s`); `a+b` is two of them, the second 45 s later.
"""
import argparse, concurrent.futures, gzip, hashlib, http.server, json, pathlib, re, shutil, subprocess, sys, tempfile, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "target" / "bench" / "incidents.jsonl"
MENU = ["latency", "exception", "swallowed", "slow-query", "retry-storm", "gone", "bad-version", "full-queue",
        "clock-skew", "broken-propagation"]
PAST_S, CALM_S, FAULT_S, APART_S, OVER_S = 900, 60, 100, 45, 300


class Receiver:
    """Keeps the messages of a program with the time of their arrival."""

    def __init__(self):
        taken = self.taken = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                taken.append((time.time(), body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


class Program:
    """The program over a data directory, on free ports."""

    def __init__(self, binary, data, receiver):
        command = [binary, "--data-dir", data, "--set", f"notify.webhooks={receiver.url}"]
        for port in ("http", "otlp_grpc", "otlp_http", "zipkin"):
            command += ["--set", f"ports.{port}=0"]
        self.log = open(f"{data}.log", "ab")
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.at = {}
        while len(self.at) < 4:
            line = self.child.stdout.readline()
            if not line:
                sys.exit(f"the program ended: see {data}.log")
            name, _, address = line.strip().rpartition(" ")
            if address.startswith("http"):
                self.at[name.strip()] = address
        threading.Thread(target=self.child.stdout.read, daemon=True).start()
        self.api = self.at["UI, API"] + "/api/v1"

    def ask(self, path, body=None):
        with urllib.request.urlopen(urllib.request.Request(self.api + path, data=body), timeout=120) as answer:
            return json.loads(answer.read())

    def demo(self, binary, *arguments):
        ends = ["--endpoint", self.at["OTLP/HTTP"], "--zipkin-endpoint", self.at["Zipkin"]]
        return [binary, "demo", *ends, *map(str, arguments)]

    def stop(self):
        self.child.terminate()
        self.child.wait(60)


def run(options, rate, faults):
    data = tempfile.mkdtemp(prefix="hypocenter-incidents-")
    receiver = Receiver()
    program = Program(options.binary, data, receiver)
    past = program.demo(options.binary, "--rate", rate, "--seed", options.seed, "--backfill", f"{PAST_S}s", "--duration", f"{PAST_S}s")
    subprocess.run(past, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    program.ask("/flush", b"")
    program.stop()
    program = Program(options.binary, data, receiver)
    broken = sum(([("--fault"), f"{fault}@{CALM_S + APART_S * place}s+{FAULT_S}s"] for place, fault in enumerate(faults)), [])
    until_s = options.calm * 60 if options.calm else CALM_S + APART_S * (len(faults) - 1) + FAULT_S + OVER_S
    truth = f"{data}.truth"
    live = program.demo(options.binary, "--rate", rate, "--seed", options.seed + 1_000, "--duration", f"{until_s + 30}s", "--truth", truth, *broken)
    live = subprocess.Popen(live, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + until_s
    closed = lambda: sum(message["kind"] == "closed" for _, message in receiver.taken)
    while time.monotonic() < end and (options.calm or closed() < len(faults) or open_of(program)):
        time.sleep(1)
    truths = [json.loads(line) for line in open(truth)] if faults else []
    states = ("open", "closed", "suspected", "dropped", "merged") if options.verbose else ()
    incidents = [it for state in states for it in program.ask(f"/incidents?state={state}")["incidents"]]
    live.kill(), live.wait()
    program.stop()
    shutil.rmtree(data, ignore_errors=True)
    return judge(rate, faults, truths, receiver.taken, incidents)


class Minute:
    """One minute of recorded telemetry that can be sent as often as wanted, each time as other traces."""

    def __init__(self, files):
        self.items = []
        for signal, path in files.items():
            for line in gzip.open(path) if path.exists() else ():
                for resource in json.loads(line)["resourceSpans" if signal == "traces" else "resourceLogs"]:
                    for scope in resource["scopeSpans" if signal == "traces" else "scopeLogs"]:
                        for item in scope["spans" if signal == "traces" else "logRecords"]:
                            at = int(item.get("endTimeUnixNano") or item["timeUnixNano"])
                            self.items.append((at, signal, json.dumps(resource["resource"]), item))
        self.items.sort(key=lambda item: item[0])
        self.begin = min(int(item["startTimeUnixNano"]) for _, signal, _, item in self.items if signal == "traces")

    def send(self, program, begin_ns, again, live):
        """Sends it as what began at `begin_ns`: at once, or each second what has happened by then."""
        shift, salt = begin_ns - self.begin, str(again).encode()
        other = lambda found: hashlib.md5(salt + found[0].encode()).hexdigest()
        moved = lambda found: f'{found[1]}"{int(found[2]) + shift}"'
        waiting = []
        for place, (at, signal, resource, item) in enumerate(self.items):
            text = re.sub(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])", other, json.dumps(item))
            waiting.append((signal, resource, re.sub(r'(imeUnixNano": )"([0-9]+)"', moved, text)))
            is_last = place + 1 == len(self.items)
            until = at + shift + 1_000_000_000
            if is_last or (live and self.items[place + 1][0] + shift > until):
                time.sleep(max(0.0, until / 1e9 - time.time()) if live else 0)
                self.post(program, waiting)
                waiting = []

    def post(self, program, items):
        for signal, outer, scope, inner in (("traces", "resourceSpans", "scopeSpans", "spans"), ("logs", "resourceLogs", "scopeLogs", "logRecords")):
            resources = {}
            for of, resource, text in items:
                if of == signal:
                    resources.setdefault(resource, []).append(text)
            parts = (f'{{"resource": {resource}, "{scope}": [{{"{inner}": [{", ".join(texts)}]}}]}}' for resource, texts in resources.items())
            body = f'{{"{outer}": [{", ".join(parts)}]}}'.encode()
            address = f"{program.at['OTLP/HTTP']}/v1/{signal}"
            request = urllib.request.Request(address, data=body, headers={"content-type": "application/json"})
            urllib.request.urlopen(request, timeout=60).read()


def replay(options, baseline, minutes, case):
    """A quarter of an hour of the baseline minute, a restart, then the minutes, live, the baseline around each fault."""
    data = tempfile.mkdtemp(prefix="hypocenter-incidents-")
    receiver = Receiver()
    program = Program(options.binary, data, receiver)
    usual = Minute(baseline)
    now_ns = time.time_ns()
    for ago in range(PAST_S // 60, 0, -1):
        usual.send(program, now_ns - ago * 60_000_000_000, -ago, False)
    program.ask("/flush", b"")
    program.stop()
    program = Program(options.binary, data, receiver)
    usual.send(program, time.time_ns(), "before", True)
    begin_s = time.time()
    for place, minute in enumerate(minutes):
        Minute(minute).send(program, time.time_ns(), place, True)
    over_s = time.time()
    for again in range(OVER_S // 60 if case else 1):
        usual.send(program, time.time_ns(), f"after {again}", True)
        if receiver.taken and receiver.taken[-1][1]["kind"] == "closed":
            break
    program.stop()
    shutil.rmtree(data, ignore_errors=True)
    if not case:
        opened = [message for _, message in receiver.taken if message["kind"] == "opened"]
        return {"rate": 0, "faults": [], "found": [], "opened": len(opened), "updated": 0, "right": not opened,
                "named": [message["title"] for message in opened]}
    truth = {"kind": case["fault_type"], "target": case["id"], "service": case["root_service"], "host": None,
             "from_ns": begin_s * 1e9, "to_ns": over_s * 1e9}
    return judge(0, [f"{case['fault_type']}:{case['id']}"], [truth], receiver.taken, [])


def recorded(options, pool):
    """The runs over recorded files."""
    root = pathlib.Path(options.train_ticket)
    files = lambda name: {signal: root / f"{name}.{signal}.jsonl.gz" for signal in ("traces", "logs")}
    cases = json.loads((root / "cases.json").read_text())
    if options.background:
        names = sorted({path.name.split(".")[0] for path in (root / "background").iterdir()})
        return [pool.submit(replay, options, files(cases[-1]["baseline"]), [files(f"background/{name}") for name in names], None)]
    return [pool.submit(replay, options, files(case["baseline"]), [files(case["fault"])], case) for case in cases]


def open_of(program):
    return program.ask("/incidents?state=open")["incidents"]


def judge(rate, faults, truths, taken, incidents):
    ended = {(truth["kind"], truth["target"]): truth for truth in truths}
    found = []
    opened = [(at, message) for at, message in taken if message["kind"] == "opened"]
    for truth in ended.values():
        guilty = truth["service"] or truth["host"]
        begin_s, over_s = int(truth["from_ns"]) / 1e9, int(truth["to_ns"]) / 1e9
        mine = [(at, it) for at, it in opened if it["suspect"] == guilty or (not truth["service"] and guilty in it["text"])]
        mine = [(at, it) for at, it in mine if at >= begin_s][:1]
        shut = [at for at, it in taken if it["kind"] == "closed" and mine and it["incident"] == mine[0][1]["incident"]]
        found.append({"guilty": guilty, "told_after_s": round(mine[0][0] - begin_s) if mine else None,
                      "closed_after_s": round(shut[0] - over_s) if shut else None})
    row = {"rate": rate, "faults": faults, "found": found, "opened": len(opened),
           "updated": sum(it["kind"] == "updated" for _, it in taken),
           "named": [it["suspect"] or it["title"] for _, it in opened], "incidents": incidents}
    row["right"] = len(opened) == len(faults) and row["updated"] == 0 and all(
        it["told_after_s"] is not None and it["told_after_s"] <= 60 and it["closed_after_s"] is not None
        and it["closed_after_s"] <= 300 for it in found)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/hypocenter"))
    parser.add_argument("--rates", default="5,20,50")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--calm", type=int, default=0, help="minutes without a fault")
    parser.add_argument("--train-ticket", metavar="DIR", help="recorded minutes instead of the demo")
    parser.add_argument("--background", action="store_true", help="those without a fault")
    parser.add_argument("--verbose", action="store_true", help="keep all incidents, those not told included")
    parser.add_argument("faults", nargs="*", default=None)
    options = parser.parse_args()
    rates = [float(rate) for rate in options.rates.split(",")]
    cases = [[]] if options.calm else [case.split("+") for case in options.faults or MENU]
    OUT.parent.mkdir(parents=True, exist_ok=True)
    right = total = 0
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool, OUT.open("a") as kept:
        if options.train_ticket:
            runs = recorded(options, pool)
        else:
            runs = [pool.submit(run, options, rate, case) for case in cases for rate in rates]
        for done in concurrent.futures.as_completed(runs):
            row = done.result()
            total, right = total + 1, right + row["right"]
            kept.write(json.dumps(row) + "\n")
            kept.flush()
            told = "; ".join(f"{it['guilty']}: told after {it['told_after_s']} s, closed {it['closed_after_s']} s after its end" for it in row["found"])
            print(f"{'right' if row['right'] else 'WRONG'} {row['rate']:g}/s {'+'.join(row['faults']) or 'calm'}: {row['opened']} opened"
                  f" ({', '.join(row['named'])}), {row['updated']} updates; {told}", flush=True)
    print(f"{right} of {total} as they should be")


if __name__ == "__main__":
    main()
