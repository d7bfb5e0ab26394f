"""`sk.open(...).sql(...)` and `sniffkit sql`: answers, what is decoded for them, and what is refused."""

from __future__ import annotations

import datetime
import decimal
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import sniffkit as sk
from captures import web_mix
from captures.wire import T0, Frame, arp, eth, pcap
from sniffkit._core import table_columns
from sniffkit.api import TABLES
from sniffkit.errors import SniffkitError
from sniffkit.query import select
from sniffkit.sql import Database, Needs


def udp_frame(src: int, sport: int, payload: bytes) -> bytes:
    """Ethernet, IPv4 10.0.0.src → 10.0.0.9, UDP to port 53."""
    udp = struct.pack("!HHHH", sport, 53, 8 + len(payload), 0) + payload
    ip = struct.pack(
        "!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, bytes((10, 0, 0, src)), bytes((10, 0, 0, 9))
    )
    return b"\x02\0\0\0\0\x09" + b"\x02\0\0\0\0" + bytes([src]) + b"\x08\0" + ip + udp


@pytest.fixture
def capture_file(tmp_path: Path) -> Path:
    """Three flows to one server: 1, 2 and 3 frames, 1 ms and 1 ns apart."""
    out = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1)
    number = 0
    for src in (1, 2, 3):
        for _ in range(src):
            frame = udp_frame(src, 1000 + src, b"x" * 10 * src)
            out += struct.pack("<IIII", 1_700_000_000, number * 1_000_001, len(frame), len(frame)) + frame
            number += 1
    path = tmp_path / "three.pcap"
    path.write_bytes(out)
    return path


def test_rows_are_those_of_the_table(capture_file: Path) -> None:
    answer = sk.open(capture_file).sql("select orig_h, orig_pkts, orig_bytes from flows order by orig_h").to_arrow()
    assert answer.to_pydict() == {
        "orig_h": ["10.0.0.1", "10.0.0.2", "10.0.0.3"],
        "orig_pkts": [1, 2, 3],
        "orig_bytes": [52, 124, 216],
    }


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_the_one_of_that_name(name: str, tmp_path: Path) -> None:
    """Whatever is added to what the core makes, as vendors to hosts, stands in SQL too."""
    card, other = "00:60:08:af:81:03", "02:00:00:00:00:02"
    asked = Frame(
        T0, eth(0x0806, arp(1, card, "192.0.2.1", "00:00:00:00:00:00", "192.0.2.2"), card, "ff:ff:ff:ff:ff:ff")
    )
    answered = Frame(T0 + 1000, eth(0x0806, arp(2, other, "192.0.2.2", card, "192.0.2.1"), other, card))
    (tmp_path / "cards.pcap").write_bytes(pcap([asked, answered]))
    capture = sk.open([tmp_path / "cards.pcap", web_mix.FILE])
    table = getattr(capture, name)()
    kinds = dict(table.columns())
    columns = [column for column in kinds if "imestamp" not in kinds[column]]
    listed = ", ".join(f'"{column}"' for column in columns)
    rows = capture.sql(f"SELECT {listed} FROM {name}").to_arrow().to_pylist()
    assert rows == table.to_arrow().select(columns).to_pylist()
    if name == "hosts":
        assert {row["ip"]: row["vendor"] for row in rows}["192.0.2.1"] == "3Com"


def test_nanoseconds_survive(capture_file: Path) -> None:
    answer = sk.open(capture_file).sql("select max(ts) t, epoch_ns(max(ts)) n from packets").to_arrow()
    assert answer["n"].to_pylist() == [1_700_000_000_005_000_005]
    assert answer["t"].cast("int64").to_pylist() == [1_700_000_000_005_000_005]


def test_an_answer_has_the_types_of_tables(capture_file: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    utc = pa.timestamp("ns", "UTC")
    capture = sk.open(capture_file)
    query = """select max(ts) t, list(ts order by ts) l, {'a b': min(ts)} s, map {'k': min(ts)} m, sum(frame_len) n,
        sum(frame_len * 9223372036854775807::hugeint) over_int64, date_trunc('hour', max(ts)) h, max(ts) - min(ts) d,
        null::timestamp_ns nothing from packets"""
    answer = capture.sql(query).to_arrow()
    assert answer.schema.field("t").type == answer.schema.field("nothing").type == utc
    assert answer.schema.field("l").type.value_type == answer.schema.field("s").type.field("a b").type == utc
    assert answer.schema.field("m").type.item_type == utc
    assert answer.schema.field("h").type == pa.timestamp("us", "UTC"), "as DuckDB's functions make them"
    assert answer.schema.field("n").type == pa.int64()
    assert answer["over_int64"].to_pylist() == [answer["n"][0].as_py() * (2**63 - 1)]
    times = capture.packets(["ts"]).to_arrow()["ts"]
    assert answer["l"].combine_chunks().values.equals(times.combine_chunks())
    frame = capture.sql("select ts, sum(frame_len) n from packets group by ts order by ts").to_pandas()
    assert frame.dtypes.astype(str).to_dict() == {"ts": "datetime64[ns, UTC]", "n": "Int64"}
    out = tmp_path / "answer.parquet"
    command = [sys.executable, "-m", "sniffkit", "sql", "select ts from packets", str(capture_file), "-o", str(out)]
    subprocess.run(command, check=True)
    assert pq.read_table(out)["ts"].equals(times)
    again = Database(None, [str(out)]).query("select max(ts) + interval 1 hour t, max(ts) u from answer").to_arrow()
    assert (again["u"][0].value, again["u"].type) == (times[-1].value, utc)


LARGE = "100000000000000000000000000000000000000"  # of 39 digits


@pytest.mark.parametrize(
    ("value", "kind", "comes"),
    [
        ("md5_number('b')", "string", "190532336368564675417118094528692087698"),
        ("340282366920938463463374607431768211455::uhugeint", "string", "340282366920938463463374607431768211455"),
        (f"-{LARGE}::hugeint", "string", f"-{LARGE}"),
        (f"[1::hugeint, {LARGE}]", "list<l: string>", ["1", LARGE]),
        (f"{{'a b': {LARGE}::uhugeint}}", "struct<a b: string>", {"a b": LARGE}),
        (f"map {{{LARGE}: '1'::bit}}", "map<string, string>", [(LARGE, "1")]),
        (f"({LARGE}::uhugeint - 1)", "decimal128(38, 0)", decimal.Decimal("9" * 38)),
        ("7::uhugeint", "int64", 7),
        (
            f"row({LARGE}::uhugeint, '1'::bit)",
            "struct<element1: string, element2: string>",
            {"element1": LARGE, "element2": "1"},
        ),
        (f"[union_value(k := {LARGE}::uhugeint)]", "list<l: sparse_union<k: string=0>>", [LARGE]),
        ("map {7::hugeint: null::hugeint}", "map<int64, int64>", [(7, None)]),
        ("'101'::bit", "string", "101"),
        (f"{LARGE}::bignum", "string", LARGE),
        ("'01:02:03+02'::timetz", "string", "01:02:03+02"),
        ("'infinity'::timestamp", "timestamp[us, tz=UTC]", None),
        ("'-infinity'::timestamptz", "timestamp[us, tz=UTC]", None),
        ("'infinity'::date", "date32[day]", None),
        ("'2020-01-01'::date", "date32[day]", datetime.date(2020, 1, 1)),
    ],
)
def test_no_value_of_an_answer_is_another(
    value: str, kind: str, comes: object, capture_file: Path, called: Callable[..., tuple[int, str, str]]
) -> None:
    query = f"select {value} x from flows limit 1"
    answer = sk.open(capture_file).sql(query).to_arrow()
    assert (str(answer.schema.field("x").type), answer["x"].to_pylist()) == (kind, [comes])
    if comes is None or isinstance(comes, str):
        code, out, _ = called("sql", query, str(capture_file), "--json")
        assert (code, json.loads(out)) == (0, {"x": comes})


def test_times_without_a_zone_stay_so(capture_file: Path, tmp_path: Path) -> None:
    """Those of other Parquet files may be of any zone, and what is made of them with ours cannot be told."""
    import pyarrow as pa

    columns = {
        "t": pa.array([0], pa.timestamp("ns")),
        "u": pa.array([0], pa.timestamp("us", "Europe/Berlin")),
        "v": [1],
    }
    database = Database(sk.open(capture_file), [parquet(tmp_path / "other.parquet", columns)])
    for query, zone in (
        ("select t from other", None),
        ("select u from other", "UTC"),
        ("select greatest(t, ts) from other, packets", None),
        ("select ts, v from other, packets", "UTC"),
    ):
        assert database.query(query).to_arrow().schema.types[0].tz == zone, query


def test_a_zone_in_a_time_is_not_passed_over(capture_file: Path, called: Callable[..., tuple[int, str, str]]) -> None:
    zoned, hint = (
        "2023-11-14 23:13:20+01:00",
        "times are UTC without a zone: '2023-11-14 23:13:20+01:00'::timestamptz::timestamp",
    )
    file = str(capture_file)
    for condition in (
        f"ts > '{zoned}'",
        f"ts > timestamp '{zoned}'",
        f"ts in ('{zoned}'::timestamp_ns)",
        f"ts > $${zoned}$$",
        f"'{zoned}' <= ts::timestamp",
        f"packets.ts not between '2023-11-14' and '{zoned}'",
        f"date_trunc('minute', ts) + interval 1 hour > '{zoned}'",
    ):
        for arguments in (["sql", f"select ts from packets where {condition}"], ["packets", "--where", condition]):
            assert called(*arguments, file) == (2, "", f"sniffkit: '{zoned}': {hint}\n"), arguments
    with pytest.raises(SniffkitError, match="Europe/Berlin': times are UTC"):
        sk.open(file).sql("select 1 from packets where ts > '2023-11-14 23:13:20 Europe/Berlin'")
    for condition in (
        "ts > '2023-11-14 22:13:20Z'",
        "ts > '2023-11-14T22:13:20.000+00:00'",
        f"ts > '{zoned}'::timestamptz::timestamp",
        f"ts > strptime('{zoned}', '%Y-%m-%d %H:%M:%S%z')::timestamp",
        f"ts > '2023-11-14 22:13:20' and protocols <> '{zoned}'::text -- {zoned}",
    ):
        asked = sk.open(file).sql(f"select count(*) n from packets where {condition}").to_arrow()
        assert asked["n"].to_pylist() == [5], condition
        assert called("packets", "--where", condition, file)[1].count("\n") == 6


def test_texts_that_are_no_times_of_another_zone_are_let_pass(
    capture_file: Path, tmp_path: Path, called: Callable[..., tuple[int, str, str]]
) -> None:
    """Nor is one refused where DuckDB minds its zone, or where that cannot be told."""
    import pyarrow as pa

    at = pa.array([1_577_865_600], pa.timestamp("s", "UTC"))  # 2020-01-01 08:00
    capture, other = sk.open(capture_file), parquet(tmp_path / "other.parquet", {"filename": ["2020-01-01 10:00+02"]})
    field = parquet(tmp_path / "field.parquet", {"s": pa.StructArray.from_arrays([at], names=["ts"])})
    for query in (
        "select count(*) n from other where filename = '2020-01-01 10:00+02'",
        "select count(*) n from other where filename <> '2023-11-14 22:13:20.zip'",
        "select count(*) n from field where s.ts = '2020-01-01 10:00+02'",
        "select count(*) n from other where '2020-01-01 10:00 PM' <> '2020-01-01 10:00+02'",
        "select count(*) n from other where not regexp_matches('2020-01-01 10:00 a', 'x')",
        "select count(*) n from (select s.ts from field) where ts = '2020-01-01 10:00+02'",
        "select count(*) n from other, packets where frame_number = 1 and ts::timestamptz > '2020-01-01 10:00+02'",
        "select count(*) n from packets where frame_number = 1 and ts > '2020-01-01 10:00 Etc/UTC'",
    ):
        database = Database(capture, [field if "field" in query else other])
        assert database.query(query).to_arrow()["n"].to_pylist() == [1], query
    condition = "strftime(ts, '%Y-%m-%d %I:%M %p') = '2023-11-14 10:13 PM'"
    code, out, error = called("packets", "--where", condition, str(capture_file))
    assert (code, out.count("\n"), error) == (0, 7, "")


def test_times_of_a_wall_clock_are_not_said_to_be_utc(capture_file: Path) -> None:
    for query in (
        "select ts::timestamptz at time zone 'Europe/Berlin' t from packets limit 1",
        "select TIMEZONE('Europe/Berlin', ts::timestamptz) t from packets limit 1",
    ):
        (time,) = (column := sk.open(capture_file).sql(query).to_arrow()["t"]).to_pylist()
        assert (time.hour, column.type.tz) == (23, None), query


def test_one_query_over_two_tables_and_twice_over_one(capture_file: Path) -> None:
    capture = sk.open(capture_file)
    joined = "select count(*) n from packets p join flows f on p.uid = f.uid where f.orig_pkts = 3"
    assert capture.sql(joined).to_arrow()["n"].to_pylist() == [3]
    twice = "select count(*) n from packets a join packets b on a.src_port = b.src_port"
    assert capture.sql(twice).to_arrow()["n"].to_pylist() == [1 + 4 + 9]


@pytest.mark.parametrize(
    ("query", "needs"),
    [
        ("select orig_h, sum(orig_bytes) from flows group by 1", {"flows": Needs(["orig_h", "orig_bytes"], 1)}),
        (
            "select count(*) from packets where ip_src = '10.0.0.1'",
            {"packets": Needs(["ip_src"], 1, [("ip_src", "texts", [], ["10.0.0.1"])])},
        ),
        ("with a as (from packets) select max(ts) from a", {"packets": Needs(["ts"], 1)}),
        ("from packets order by ts limit 1", {"packets": Needs([name for name, _, _ in table_columns("packets")], 1)}),
        ("select 1", {}),
    ],
)
def test_only_what_the_query_names_is_decoded(capture_file: Path, query: str, needs: dict[str, Needs]) -> None:
    assert Database(sk.open(capture_file)).needs(query) == needs


def test_parquet_files_beside_captures(capture_file: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"ip": ["10.0.0.2"], "owner": ["eve"]}), tmp_path / "owners.parquet")
    flows = tmp_path / "saved.parquet"
    sk.open(capture_file).flows().to_parquet(flows)
    database = Database(sk.open(capture_file), [str(tmp_path / "owners.parquet")])
    answer = database.query("select owner, orig_pkts from flows join owners on orig_h = ip").to_arrow()
    assert answer.to_pylist() == [{"owner": "eve", "orig_pkts": 2}]
    saved = Database(None, [str(flows)]).query("select sum(orig_pkts)::int n from flows").to_arrow()
    assert saved["n"].to_pylist() == [6]


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("select nosuch from packets", r"no column 'nosuch' \(line 1, column 8\); packets has: frame_number ts"),
        ("select 1\nfrom packts", r"no table 'packts' \(line 2, column 6\); there are: packets flows"),
        ("selec 1", r"syntax error at or near \"selec\" \(line 1, column 1\)"),
        ("select * from read_csv('/etc/passwd')", "file system operations are disabled"),
        ("select * from '/etc/passwd'", "passwd"),
        ("copy (select 1) to '/tmp/sniffkit-sql-out'", "only a query"),
        ("drop table flows", "only a query"),
        ("set enable_external_access=true", "only a query"),
        ("select 1; select 2", "one query, not 2"),
        ("select ip_src::inet from packets", r'^Type with name "inet" does not exist$'),
        (
            "select 1 from packets where ts < now()",
            "an explicit cast is required; times are UTC without a zone: …::timestamp",
        ),
    ],
)
def test_a_wrong_or_forbidden_query_is_one_line(capture_file: Path, query: str, says: str) -> None:
    with pytest.raises(SniffkitError, match=says) as caught:
        sk.open(capture_file).sql(query)
    assert "\n" not in str(caught.value)


def test_brackets_of_any_number_but_not_of_any_depth(capture_file: Path) -> None:
    cap, deep = sk.open(capture_file), "(" * 201 + "true" + ")" * 201
    texts = f"'{deep}' /* {deep[:300]} */ -- {deep}\n"
    (row,) = (
        cap.sql(f'SELECT {texts} AS "{deep}", $${deep}$$, {"(1), " * 300} 1 FROM flows LIMIT 1').to_arrow().to_pylist()
    )
    assert row[deep] == deep
    rows = cap.packets().to_arrow()
    assert select(rows, None, f"{texts} <> '' AND {deep[1:-1]}").num_rows == 6
    for query in (f"SELECT 'é', {deep}", "SELECT 'é', " + "[{'a': (" * 3000):
        with pytest.raises(SniffkitError, match=r"^the query: nested deeper than 200 brackets at character "):
            cap.sql(query)
    with pytest.raises(SniffkitError, match=r"at character 213$"):
        cap.sql(f"SELECT 'é', {deep}")
    with pytest.raises(SniffkitError, match=r"^--where: nested deeper than 200 brackets at character 201$"):
        select(rows, None, where="(" * 60000)
    with pytest.raises(SniffkitError, match=r"^--sort: nested deeper than 200 brackets at character 201$"):
        select(rows, None, sort="[" * 60000)


def test_no_file_is_read_where_duckdb_puts_its_own(
    capture_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (".tmp", "tmp"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.txt").write_text("secret")
        with pytest.raises(SniffkitError, match="operations are disabled"):
            sk.open(capture_file).sql(f"from read_text('{name}/x.txt')")


def test_the_command_answers_and_prompts(capture_file: Path) -> None:
    command = [sys.executable, "-m", "sniffkit", "sql"]
    asked = [*command, "select count(*) n from flows", str(capture_file)]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "n\n3\n", "")
    typed = "select count(*) n\nfrom packets;\nselect x from flows;\nselect 7 as seven"
    done = subprocess.run(
        [*command, str(capture_file)], input=typed, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "n\n6\nseven\n7\n")
    assert done.stderr.count("\n") == 1
    assert "no column 'x'" in done.stderr


def test_what_is_a_query_and_what_a_file(called: Callable[..., tuple[int, str, str]], capture_file: Path) -> None:
    file = str(capture_file)
    for query in ("select\ncount(*)\nfrom\nflows", 'from"flows"select(count(*))', "select(3)", "/* * */ select 3"):
        code, out, err = called("sql", query, file)
        assert (code, out.splitlines()[1:], err) == (0, ["3"], ""), query
    for arguments, says in (
        (["nosuch.pcap"], "nosuch.pcap: No such file or directory"),
        (["no*.pcap"], "no*.pcap: no file matches"),
        (["select 1", "no*.parquet"], "no*.parquet: No such file or directory"),
        (["", file], "the query is empty"),
        ([" ", file], "the query is empty"),
        (["from flows", "/dev/null"], "/dev/null: empty file"),
    ):
        assert called("sql", *arguments) == (2, "", f"sniffkit: {says}\n")
    spaced = capture_file.with_name("a file (1).pcap")
    capture_file.rename(spaced)
    done = subprocess.run(
        [sys.executable, "-m", "sniffkit", "sql", str(spaced)], input=b"select 1 x", capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x\n1\n", b"")


def test_stand_ins_are_not_listed(capture_file: Path) -> None:
    capture = sk.open(capture_file)
    for query in ("describe", "show tables", "show all tables", "select table_name from information_schema.tables"):
        found = capture.sql(query).to_arrow()
        assert sorted(found["table_name" if "select" in query else "name"].to_pylist()) == sorted(TABLES), query
    assert "orig_h" in capture.sql("describe flows").to_arrow()["column_name"].to_pylist()
    assert capture.sql("summarize flows").to_arrow().num_rows > 70


def test_damage_is_told_once_and_where_it_was_asked(capture_file: Path) -> None:
    capture_file.write_bytes(capture_file.read_bytes()[:-1])
    with pytest.warns(sk.CaptureWarning, match=r"three.pcap: at byte \d+: ") as told:
        answer = sk.open(capture_file).sql("select count(*) n from packets").to_arrow()
    assert answer["n"].to_pylist() == [5]
    assert [one.filename for one in told] == [__file__]


def test_times_beyond_the_range_of_nanoseconds(called: Callable[..., tuple[int, str, str]], capture_file: Path) -> None:
    query = "select timestamp '9999-12-31 01:02:03.5' a, timestamp '0001-01-01' b, {'c': 1} s"
    code, out, _ = called("sql", query, str(capture_file), "--json")
    assert (code, json.loads(out)) == (
        0,
        {"a": "9999-12-31T01:02:03.500000000Z", "b": "0001-01-01T00:00:00.000000000Z", "s": {"c": 1}},
    )


def parquet(path: Path, columns: dict[str, list[object]]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
    return str(path)


def test_columns_with_any_name_are_read(tmp_path: Path) -> None:
    database = Database(None, [parquet(tmp_path / "odd.parquet", {'a"b': [1, 2], "c d": ["x", "y"], "n": [3, 4]})])
    rows = [{'a"b': 1, "c d": "x", "n": 3}, {'a"b': 2, "c d": "y", "n": 4}]
    assert database.query("select * from odd").to_arrow().to_pylist() == rows
    assert database.query("""select n from odd where "c d" = 'y'""").to_arrow().to_pylist() == [{"n": 4}]


def test_parquet_files_that_do_not_fit_are_told(tmp_path: Path, capture_file: Path) -> None:
    (tmp_path / "b").mkdir()
    files = [parquet(tmp_path / "t.parquet", {"v": [1]}), parquet(tmp_path / "b" / "t.parquet", {"v": ["z"]})]
    with pytest.raises(SniffkitError, match=r"t.parquet: not one table: .*incompatible types"):
        Database(None, files).query("select v from t")
    named = parquet(tmp_path / "flows.parquet", {"v": [1]})
    with pytest.raises(SniffkitError, match=r"flows.parquet: named like the table flows of captures"):
        Database(sk.open(capture_file), [named])
    assert Database(None, [named]).query("select v from flows").to_arrow().to_pylist() == [{"v": 1}]


@pytest.mark.parametrize("interval", [0.0, -1.0, float("nan"), float("inf"), 1e30, 1e-12])
def test_an_interval_that_cannot_be(capture_file: Path, interval: float) -> None:
    with pytest.raises(SniffkitError, match=r"^interval .*") as caught:
        sk.open(capture_file).stats.io(interval)
    assert "\n" not in str(caught.value)


def test_an_answer_goes_into_a_parquet_file_without_pyarrow(capture_file: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    out = tmp_path / "answer.parquet"
    query = "select ip_src, sum(frame_len) n, min(ts) t, list(distinct src_port) p, {'a': 1} s from packets group by 1"
    code = "import sys; from sniffkit.cli import main\n"
    code += "try: main(sys.argv[1:])\nfinally: assert 'pyarrow' not in sys.modules"
    command = [sys.executable, "-c", code, "sql", query, str(capture_file), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    expected = Database(sk.open(capture_file)).query(query).to_arrow()
    key = [("ip_src", "ascending")]
    assert pq.read_table(out).sort_by(key).to_pylist() == expected.sort_by(key).to_pylist()
    for command[4] in ("select max(ts) - min(ts) from packets", "select [union_value(k := 1)] u"):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert refused.returncode == 2
        assert "no Parquet file can hold this: " in refused.stderr, refused.stderr
        assert refused.stderr.count("\n") == 1
