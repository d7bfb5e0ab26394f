"""A flow table made in pieces is the flow table: whatever the cuts, the shares, and the order of files."""

from __future__ import annotations

import io
import random
import warnings
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sniffkit as sk
from captures.wire import Frame, pcap
from sniffkit import _core
from tests.test_flow_properties import captures

OWN = sorted(
    path for where in ("captures", "docs/labs") for path in Path(where).rglob("*.pcap*") if path.suffix != ".md"
)


def rows(table: pa.Table) -> list[dict[str, Any]]:
    """Rows by first frame; times as numbers, since Python's have no nanoseconds."""
    for at, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(at, field.name, table[field.name].cast("int64"))
    return sorted(table.to_pylist(), key=lambda row: (row["first_frame"], str(row)))


def whole(capture: Any) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return rows(sk.open(capture).flows().to_arrow())


def in_pieces(files: list[Any], shares: int, chunk: int, step: Any) -> list[dict[str, Any]]:
    """Each piece by a reader of its own, which knows of the others only what they wrote down."""

    def listed() -> list[tuple[Any, int]]:
        first = [(one() if callable(one) else one, one() if callable(one) else one) for one in files]
        return [(source, _core.first_frame_time(probe) or 0) for source, probe in first]

    parts = []
    for share in range(shares):
        place, state, frames, more = None, None, 0, True
        while more:
            reader = _core.DatasetReader(
                "flows", listed(), share=(share, shares), place=place, state=state, chunk=chunk
            )
            until = frames + step()
            while more and reader.frames < until:
                more = reader.advance(until, 1 << 40)
            parts += [pq.read_table(io.BytesIO(part)) for _, _, part in reader.take()]
            if more:
                place, state, frames = reader.place(), reader.state(), reader.frames
    return rows(pa.concat_tables(parts, promote_options="permissive")) if parts else []


@settings(max_examples=60, deadline=None)
@given(captures(), st.data())
def test_any_cut_gives_the_same_rows(frames: list[Frame], data: st.DataObject) -> None:
    """merge(flows(chunks)) == flows(whole): files that are cut anywhere, readers that stop anywhere."""
    ordered = sorted(frames, key=lambda frame: frame.ts)  # one file after another is a matter of time
    cuts = sorted(data.draw(st.sets(st.integers(1, len(frames)), max_size=4)))
    pieces = [ordered[a:b] for a, b in zip([0, *cuts], [*cuts, len(ordered)], strict=True)]
    files = [(lambda piece=piece: io.BytesIO(pcap(piece, 262_144))) for piece in pieces if piece]
    shares, chunk = data.draw(st.integers(1, 3)), data.draw(st.sampled_from([1, 200, 1 << 18]))
    steps = random.Random(data.draw(st.integers(0, 99)))
    got = in_pieces(files, shares, chunk, lambda: steps.randint(1, 12))
    assert got == whole(io.BytesIO(pcap(ordered, 262_144)))


@settings(max_examples=40, deadline=None)
@given(captures(), st.data())
def test_files_that_overlap_are_merged_by_time(frames: list[Frame], data: st.DataObject) -> None:
    ordered = sorted(frames, key=lambda frame: frame.ts)
    where = data.draw(st.lists(st.integers(0, 2), min_size=len(ordered), max_size=len(ordered)))
    split = [[frame for frame, file in zip(ordered, where, strict=True) if file == one] for one in range(3)]
    split.sort(key=lambda piece: piece[0].ts if piece else 0)
    # mergecap's order: of frames at the same time those of the earlier file come first.
    merged = sorted((frame.ts, at, n) for at, piece in enumerate(split) for n, frame in enumerate(piece))
    files = [(lambda piece=piece: io.BytesIO(pcap(piece, 262_144))) for piece in split if piece]
    steps = random.Random(data.draw(st.integers(0, 99)))
    got = in_pieces(files, 1, data.draw(st.sampled_from([1, 200])), lambda: steps.randint(1, 12))
    assert got == whole(io.BytesIO(pcap([split[at][n] for _, at, n in merged], 262_144)))


@pytest.mark.parametrize("capture", OWN, ids=str)
def test_captures_of_our_own(capture: Path) -> None:
    steps = random.Random(str(capture))
    expected = whole(str(capture))
    for shares in (1, 3):
        got = in_pieces([str(capture)], shares, 300, lambda: steps.randint(1, 200))
        assert got == expected


@pytest.mark.oracle
def test_captures_of_others(corpus: Path) -> None:
    files = sorted((corpus / "captures").iterdir())
    differ = []
    for capture in files:
        steps = random.Random(str(capture))
        try:
            expected = whole(str(capture))
        except sk.SniffkitError:
            continue
        if len(expected) < 5_000:
            got = in_pieces([str(capture)], steps.choice([1, 2, 3]), 3000, lambda s=steps: s.randint(100, 2_000))
            differ += [capture.name] * (got != expected)
    assert differ == []


def test_a_state_of_something_else_is_refused() -> None:
    demo = str(next(path for path in OWN if "demo" in str(path)))
    files = [(demo, _core.first_frame_time(demo) or 0)]
    for state in (b"", b"nonsense", b"\x14sniffkit flows 0.0.0 1" + bytes(40)):
        with pytest.raises(ValueError, match="state"):
            _core.DatasetReader("flows", files, state=state)
