"""mDNS and LLMNR in the `dns` table: `captures/multicast_dns/make.py` says what is asked and answered."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

import sniffkit as sk
from captures.multicast_dns import make

COLUMNS = [
    "query_frame", "response_frame", "interface", "orig_h", "orig_p", "resp_h", "resp_p", "proto", "service",
    "trans_id", "query", "qtype_name", "questions", "rcode_name", "rtt", "answers", "ttls", "complete",
]  # fmt: skip


def rows(path: Path | list[str]) -> list[dict[str, Any]]:
    return list(sk.open(path).dns().to_arrow().to_pylist())


def test_the_script_gives_the_kept_capture() -> None:
    assert make.capture() == make.FILE.read_bytes()


def test_answers_are_in_the_rows_of_their_queries(golden: Callable[[str, str], None]) -> None:
    table = rows(make.FILE)
    lines = ["\t".join("-" if row[name] is None else str(row[name]) for name in COLUMNS) for row in table]
    golden("dns/exchanges.tsv", "\n".join(["\t".join(COLUMNS), *lines]) + "\n")


def test_a_row_is_of_the_query_s_flow_and_comes_in_order() -> None:
    table = rows(make.FILE)
    first = [row["query_frame"] or row["response_frame"] for row in table]
    assert first == sorted(first)
    of_frame = {
        row["frame_number"]: (row["uid"], row["ts"])
        for row in sk.open(make.FILE).packets(columns=["frame_number", "uid", "ts"]).to_arrow().to_pylist()
    }
    assert [(row["uid"], row["ts"]) for row in table] == [of_frame[frame] for frame in first]
    for row in table:
        both = row["query_frame"] and row["response_frame"]
        took = of_frame[row["response_frame"]][1] - of_frame[row["query_frame"]][1] if both else None
        assert row["rtt"] == (took.value if took is not None else None)


def test_files_one_after_the_other_give_the_rows_of_one(tmp_path: Path) -> None:
    """Cut in the middle of exchanges; a data set is made of them by one worker whatever was asked for."""
    frames, names = make.frames(), []
    for at in range(0, len(frames), 5):
        names.append(str(tmp_path / f"{at:03}.pcapng"))
        Path(names[-1]).write_bytes(make.pcapng(make.POINTS, list(frames[at : at + 5])))
    whole = rows(make.FILE)
    assert rows(names) == whole
    made = sk.open(names).to_dataset(str(tmp_path / "out"), table="dns", workers=3)
    assert made.rows == len(whole)
    parts = [row for part in sorted((tmp_path / "out").rglob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    assert sorted(parts, key=lambda row: row["query_frame"] or row["response_frame"]) == whole


def test_hosts_learn_names_from_answers_in_queries_rows() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = sk.open(make.FILE).hosts(columns=["ip", "hostname"]).to_arrow().to_pylist()
    told = {row["ip"]: row["hostname"] for row in table if row["hostname"]}
    assert told["10.0.0.31"] == "printer"
    assert told["10.0.0.32"] == "twin"
    assert told["10.0.0.13"] == "new.local"
