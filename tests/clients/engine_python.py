"""clickhouse-connect against the embedded engine.

usage: engine_python.py URL USER PASSWORD [--read-only]
Prints one JSON line {"client", "passed": [...], "failed": {name: why}}; exit code 1 on any failure.
With --read-only only what the reader may do is tried, and that writing is refused.
"""

import json
import sys
import threading
import time
from urllib.parse import urlparse

import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError, Error

TABLE = "python_client_test"


def connect(url, user, password, **more):
    where = urlparse(url)
    return clickhouse_connect.get_client(
        host=where.hostname, port=where.port, username=user, password=password, **more
    )


def expect(found, wanted):
    if found != wanted:
        raise AssertionError(f"found {found!r}, wanted {wanted!r}")


def refused(call, *needles):
    try:
        call()
    except Error as error:
        if not any(needle in str(error) for needle in needles):
            raise AssertionError(f"refused otherwise: {error}") from error
        return
    raise AssertionError("was not refused")


class Reads:
    """What any user may do."""

    def __init__(self, make):
        self.make = make
        self.client = make()

    def test_ping_and_version(self):
        expect(self.client.ping(), True)
        expect(self.client.server_version.split(".")[0].isdigit(), True)

    def test_query(self):
        rows = self.client.query("SELECT number, toString(number), number / 2 FROM numbers(3)").result_rows
        expect(list(rows), [(0, "0", 0.0), (1, "1", 0.5), (2, "2", 1.0)])

    def test_parameters(self):
        found = self.client.query(
            "SELECT {text:String}, {list:Array(UInt8)}", parameters={"text": "a'b\n\t\\", "list": [1, 2]}
        )
        expect(found.result_rows[0], ("a'b\n\t\\", [1, 2]))

    def test_types(self):
        found = self.client.query(
            "SELECT toDateTime64('2026-01-02 03:04:05.123456789', 9, 'UTC'), map('k', 1), "
            "toLowCardinality('x'), CAST(NULL, 'Nullable(Int8)'), [(1, 'a')]::Array(Tuple(UInt8, String))"
        ).result_rows[0]
        expect((found[1], found[2], found[3], found[4]), ({"k": 1}, "x", None, [(1, "a")]))

    def test_command(self):
        expect(self.client.command("SELECT 7"), 7)

    def test_show(self):
        expect("hypocenter" in self.client.command("SHOW DATABASES").split("\n"), True)

    def test_raw(self):
        expect(self.client.raw_query("SELECT 1 FORMAT JSONEachRow"), b'{"1":1}\n')

    def test_stream(self):
        total = 0
        with self.client.query_row_block_stream("SELECT number FROM numbers(1000000)") as stream:
            for block in stream:
                total += len(block)
        expect(total, 1000000)

    def test_compression(self):
        for compress in ("lz4", "zstd", "gzip", False):
            client = self.make(compress=compress)
            expect(len(client.query("SELECT repeat('x', 1000) FROM numbers(2000)").result_rows), 2000)

    def test_errors(self):
        refused(lambda: self.client.query("SELECT * FROM no_such_table"), "UNKNOWN_TABLE", "Code: 60", "code: 60")
        refused(lambda: self.client.query("SELEC 1 FROM"), "Code: 62", "SYNTAX_ERROR")
        expect(self.client.command("SELECT 1"), 1)

    def test_late_error(self):
        refused(
            lambda: self.client.query("SELECT number, throwIf(number = 3000000) FROM numbers(4000000)"),
            "395",
            "THROW_IF",
            "throwIf",
        )
        expect(self.client.command("SELECT 1"), 1)

    def test_wrong_password(self):
        refused(lambda: self.make(password="wrong"), "516", "AUTHENTICATION_FAILED")

    def test_describe(self):
        found = self.client.query("DESCRIBE TABLE system.one").result_rows
        expect(found[0][:2], ("dummy", "UInt8"))

    def test_in_parallel(self):
        failures = []

        def work(number):
            try:
                client = self.make(autogenerate_session_id=False)
                for at in range(10):
                    expect(client.command(f"SELECT {number * 100 + at}"), number * 100 + at)
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(repr(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect(failures, [])


class ReadOnly(Reads):
    """And what the reader may not."""

    def test_writing_is_refused(self):
        for sql in (
            f"CREATE TABLE {TABLE} (a UInt8) ENGINE = Memory",
            "INSERT INTO nowhere SELECT 1",
            "DROP DATABASE hypocenter",
            "SYSTEM STOP MERGES",
        ):
            refused(lambda sql=sql: self.client.command(sql), "164", "READONLY")

    def test_files_are_refused(self):
        refused(lambda: self.client.query("SELECT file('/etc/passwd')"), "497", "ACCESS_DENIED")


class Writes(Reads):
    """And what our own user may."""

    def test_ddl_insert_native(self):
        self.client.command(f"DROP TABLE IF EXISTS {TABLE}")
        self.client.command(
            f"CREATE TABLE {TABLE} (n UInt64, s String, m Map(LowCardinality(String), String), "
            "d DateTime64(9), l LowCardinality(String)) ENGINE = MergeTree ORDER BY n"
        )
        rows = [[n, f"é\n\n;{n}", {"k": str(n)}, 1700000000 + n, f"s{n % 5}"] for n in range(20000)]
        for compress in ("lz4", "zstd", "gzip", False):
            client = self.make(compress=compress)
            summary = client.insert(TABLE, rows, column_names=["n", "s", "m", "d", "l"])
            expect(summary.written_rows, 20000)
            found = client.query(f"SELECT n, s, m FROM {TABLE} ORDER BY n").result_rows
            expect(found[-1], (19999, "é\n\n;19999", {"k": "19999"}))
            expect(len(found), 20000)
            client.command(f"TRUNCATE TABLE {TABLE}")
        self.client.command(f"DROP TABLE {TABLE}")

    def test_raw_insert(self):
        self.client.command(f"CREATE OR REPLACE TABLE {TABLE}_raw (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
        self.client.raw_insert(f"{TABLE}_raw", ["a", "b"], b'1,"x"\n2,"y\n\nz"\n', fmt="CSV")
        expect(self.client.query(f"SELECT b FROM {TABLE}_raw ORDER BY a").result_columns, [["x", "y\n\nz"]])
        self.client.command(f"DROP TABLE {TABLE}_raw")

    def test_session(self):
        self.client.command("CREATE TEMPORARY TABLE temporary_one (a UInt8)")
        self.client.insert("temporary_one", [[1], [2]], column_names=["a"], column_type_names=["UInt8"])
        refused(lambda: self.client.query("SELECT nothing"), "47", "UNKNOWN_IDENTIFIER")
        expect(self.client.command("SELECT sum(a) FROM temporary_one"), 3)

    def test_settings(self):
        found = self.client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).result_rows
        expect(found, [(3,)])
        refused(
            lambda: self.client.query("SELECT count() FROM numbers(100000000000) WHERE NOT ignore(sipHash64(number))",
                                      settings={"max_execution_time": 1}),
            "159",
            "TIMEOUT",
        )


def main():
    url, user, password = sys.argv[1:4]
    kind = ReadOnly if "--read-only" in sys.argv else Writes

    def make(**more):
        return connect(url, user, more.pop("password", password), **more)

    suite = kind(make)
    passed, failed = [], {}
    started = time.monotonic()
    for name in sorted(name for name in dir(suite) if name.startswith("test_")):
        try:
            getattr(suite, name)()
            passed.append(name[5:])
        except (AssertionError, DatabaseError, Error, Exception) as error:  # noqa: BLE001
            failed[name[5:]] = f"{type(error).__name__}: {error}"[:500]
    print(json.dumps({
        "client": f"clickhouse-connect {clickhouse_connect.__version__ if hasattr(clickhouse_connect, '__version__') else ''}".strip(),
        "passed": passed,
        "failed": failed,
        "seconds": round(time.monotonic() - started, 2),
    }))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
