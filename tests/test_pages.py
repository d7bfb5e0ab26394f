"""Tables of several pages a column are the same to every reader of Parquet."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import sniffkit as sk
from captures.wire import MS, SYN, T0, Frame, eth, ip4, pcap, tcp, udp

PAGE = 8192  # values: rust/core/src/table/parquet/chunk.rs
FLOWS = 2 * PAGE + 100


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flow a frame: UDP on the first page, so that columns of TCP and tags begin with a page without values."""

    def frame(number: int) -> bytes:
        src, dst = f"10.{number >> 8}.{number & 255}.1", "10.0.0.1"
        if number <= PAGE:
            return eth(0x0800, ip4(src, dst, 17, udp(src, 1024 + number, dst, 53, b"x" * (number % 9))))
        segment = tcp(src, number, dst, 80, SYN, number * 77_777)
        return eth(0x0800, ip4(src, dst, 6, segment), vlans=(1 + number % 40, 7)[: number % 3])

    path = tmp_path_factory.mktemp("pages") / "flows.pcap"
    path.write_bytes(pcap([Frame(T0 + number * MS, frame(number)) for number in range(FLOWS)]))
    return path


def plain(table: pa.Table, like: pa.Table) -> pa.Table:
    """Columns in the order and types of `like`, dictionaries as their texts."""

    def column(name: str) -> pa.ChunkedArray:
        kind = like[name].type
        return table[name].cast(kind.value_type if pa.types.is_dictionary(kind) else kind)

    return pa.table({name: column(name).combine_chunks() for name in like.column_names})


@pytest.mark.parametrize("name", ["flows", "packets"])
def test_every_reader_reads_the_same(capture: Path, tmp_path: Path, name: str) -> None:
    path = str(tmp_path / "table.parquet")
    table = getattr(sk.open(capture), name)()
    table.to_parquet(path)
    made = table.to_arrow()
    assert made.num_rows == FLOWS
    expected = plain(made, made)
    assert plain(pq.read_table(path), made) == expected
    assert plain(duckdb.sql(f"SELECT * FROM '{path}'").to_arrow_table(), made) == expected
    assert plain(pl.read_parquet(path).to_arrow(), made) == expected
