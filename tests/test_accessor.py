"""`DataFrame.sk` against figures worked out by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import sniffkit as sk
import sniffkit.accessor
import sniffkit.polarsaccessor
from captures.wire import T0
from sniffkit.errors import SniffkitError


@pytest.fixture
def flows() -> pd.DataFrame:
    return pd.DataFrame({
        "ts": pd.to_datetime(["2026-01-01T00:00:00.5", "2026-01-01T00:00:00.9", "2026-01-01T00:00:02.1"], utc=True),
        "orig_h": pd.Categorical(["a", "a", "b"]),
        "resp_h": pd.Categorical(["b", "c", "a"]),
        "service": pd.Categorical(["dns", None, "dns"]),
        "orig_pkts": [1, 2, 3], "resp_pkts": [1, 0, 2],
        "orig_bytes": [100, 200, 300], "resp_bytes": [10, 0, 30],
    })  # fmt: skip


def to_polars(frame: pd.DataFrame) -> Any:
    import polars as pl

    return pl.from_pandas(frame)


def test_top_has_sums_and_shares(flows: pd.DataFrame) -> None:
    top = flows.sk.top("orig_h")
    assert top["bytes"].to_dict() == {"b": 330, "a": 310}
    assert top["rows"].to_dict() == {"b": 1, "a": 2}
    assert top["share"].sum() == pytest.approx(1)
    assert flows.sk.top(["orig_h", "resp_h"], n=1).index.tolist() == [("b", "a")]
    assert flows.sk.top("service", measure="packets")["packets"].tolist() == [7, 2]


def test_timeline_has_a_row_a_step_also_without_rows(flows: pd.DataFrame) -> None:
    assert flows.sk.timeline("1s").tolist() == [310, 0, 330]
    by = flows.sk.timeline("1s", by="orig_h")
    assert by["a"].tolist() == [310, 0, 0]
    assert by["b"].tolist() == [0, 0, 330]


def test_matrix_counts_each_direction_for_its_sender(flows: pd.DataFrame) -> None:
    matrix = flows.sk.matrix()
    assert (matrix.loc["a", "b"], matrix.loc["b", "a"], matrix.loc["a", "c"]) == (130, 310, 200)
    assert matrix.to_numpy().sum() == 640


def test_packets_have_them_too() -> None:
    packets = pd.DataFrame({
        "frame_number": [1, 2], "ts": pd.to_datetime([0, 1], unit="s", utc=True),
        "ip_src": ["x", "y"], "ip_dst": ["y", "x"], "frame_len": [60, 70],
    })  # fmt: skip
    assert packets.sk.matrix().loc["y", "x"] == 70
    assert packets.sk.timeline("1s", measure="packets").tolist() == [1, 1]


def test_what_is_missing_is_named(flows: pd.DataFrame) -> None:
    with pytest.raises(SniffkitError, match="no column 'nosuch'"):
        flows.sk.top("nosuch")
    with pytest.raises(SniffkitError, match="no measure 'apples'"):
        flows.sk.top("orig_h", measure="apples")
    with pytest.raises(SniffkitError, match="step 'nonsense' is no time"):
        flows.sk.timeline("nonsense")
    with pytest.raises(SniffkitError, match="step 1us gives more than 1000000 rows"):
        flows.sk.timeline("1us")
    assert flows.sk.timeline("ME").tolist() == [640], "months"
    for step in (None, 5, ""):
        with pytest.raises(SniffkitError, match=f"step {step!r} is no time"):
            flows.sk.timeline(step)
    for step in ("0s", "-1s", "-1ME"):
        with pytest.raises(SniffkitError, match=f"step {step}: it must be above 0"):
            flows.sk.timeline(step)
    for by in ([], None, 5, ["orig_h", ["resp_h"]]):
        with pytest.raises(SniffkitError, match="by is the name of a column"):
            flows.sk.top(by)
    with pytest.raises(SniffkitError, match="by is the name of a column, not"):
        flows.sk.timeline("1s", by=["orig_h", "service"])
    with pytest.raises(SniffkitError, match="no measure 'apples'"):
        flows.sk.matrix("apples")
    with pytest.raises(AttributeError, match="flows or packets"):
        _ = pd.DataFrame({"x": [1]}).sk


def test_rows_without_a_value_are_a_column_of_their_own(flows: pd.DataFrame) -> None:
    by = flows.sk.timeline("1s", by="service")
    assert by["dns"].tolist() == [110, 0, 330]
    assert by[by.columns[by.columns.isna()]].iloc[:, 0].tolist() == [200, 0, 0]
    ends = flows.assign(orig_p=pd.array([None, 5, None], dtype="UInt16"))
    by = ends.sk.timeline("1s", by="orig_p")
    assert (by.columns.dtype, by.columns[0], by.columns.isna().tolist()) == ("UInt16", 5, [False, True])
    assert by.to_numpy().tolist() == [[200, 110], [0, 0], [0, 330]], "the time is that of all rows"
    assert flows.assign(netns=None).sk.timeline("1s", by="netns").to_numpy().tolist() == [[310], [0], [330]]
    assert flows.sk.timeline("ME", by="orig_h").to_numpy().tolist() == [[310, 330]]
    assert to_polars(ends).sk.timeline("1s", by="orig_p").columns == ["ts", "5", "null"]
    for by, labels in (("service", ["dns", "null"]), ("orig_p", ["5", "null"])):
        assert [one.get_text() for one in ends.sk.plot_timeline("1s", by).get_legend().get_texts()] == labels
        assert {one.get_text() for one in ends.sk.plot_top(by).get_yticklabels()} == set(labels)


def test_integers_stay_integers(flows: pd.DataFrame) -> None:
    frame = flows.assign(
        orig_p=pd.array([None, 5, 7], dtype="UInt16"), up=pd.array([True, None, True], dtype="boolean")
    )
    assert frame.sk.top("orig_p").index.dtype == "UInt16"
    assert frame.sk.top(["orig_h", "orig_p"]).reset_index()["orig_p"].dtype == "UInt16"
    assert frame.sk.top("up").index.dtype == "boolean"
    polars = to_polars(frame)
    assert polars.sk.top("orig_p")["orig_p"].to_list() == [7, 5, None]
    assert polars.sk.top(["orig_p", "up"]).schema["orig_p"] == polars.schema["orig_p"]
    assert polars.sk.top("orig_p").join(polars, on="orig_p").height == 2


def test_what_is_too_wide_is_refused_before_it_is_made() -> None:
    hosts = [f"h{number}" for number in range(100_000)]
    frame = pd.DataFrame({
        "ts": pd.date_range("2026-01-01", periods=len(hosts), freq="1s", tz="UTC"), "ip_src": "a", "ip_dst": hosts,
        "frame_number": 1, "frame_len": 60,
    })  # fmt: skip
    assert frame.sk.matrix().shape == (1, 100_000)
    swapped = frame.rename(columns={"ip_src": "ip_dst", "ip_dst": "ip_src"})
    with pytest.raises(SniffkitError, match="100001 rows of 100001 columns are too many: filter the frame"):
        pd.concat([frame, swapped]).sk.matrix()
    with pytest.raises(SniffkitError, match="100000 rows of 100000 columns are too many"):
        frame.sk.timeline("1s", by="ip_dst")
    assert frame.head(100).sk.timeline("1s", by="ip_dst").shape == (100, 100)


def test_lists_and_nothing_to_draw_are_told(flows: pd.DataFrame) -> None:
    lists = pd.DataFrame({
        "frame_number": [1, 2], "ts": pd.to_datetime([0, 1], unit="s", utc=True), "frame_len": [60, 70],
        "ip_src": "a", "ip_dst": "b", "vlan_id": [None, [5, 6]],
    })  # fmt: skip
    for frame in (lists, to_polars(lists)):
        for ask in (frame.sk.top, lambda by, frame=frame: frame.sk.timeline("1s", by)):
            with pytest.raises(SniffkitError, match=r"vlan_id has lists: take frame.explode\('vlan_id'\)"):
                ask("vlan_id")
        assert len(frame.explode("vlan_id").sk.top("vlan_id")) == 3
    for empty in (flows.head(0), to_polars(flows.head(0)), flows.assign(ts=pd.to_datetime(["", "", ""]), resp_h=None)):
        for draw, options in (("timeline", {}), ("timeline", {"by": "service"}), ("matrix", {})):
            with pytest.raises(SniffkitError, match="nothing to draw: no row has"):
                getattr(empty.sk, f"plot_{draw}")(**options)
    with pytest.raises(SniffkitError, match="nothing to draw: there are no rows"):
        flows.head(0).sk.plot_top("orig_h")


def test_plots_draw_what_the_tables_say(flows: pd.DataFrame) -> None:
    import matplotlib

    matplotlib.use("Agg")
    pictures = [flows.sk.plot_top("orig_h"), flows.sk.plot_timeline("1s"), flows.sk.plot_matrix()]
    assert len({picture.figure.number for picture in pictures}) == 3, "each call draws its own picture"
    mine = pictures[0].figure.add_subplot()
    assert flows.sk.plot_top("orig_h", ax=mine) is mine
    assert flows.sk.plot_timeline("1s").lines[0].get_ydata().tolist() == [310, 0, 330, 330], "the last step too"
    assert flows.sk.plot_timeline("1D").lines[0].get_ydata().tolist() == [640, 640], "a single one as well"
    assert [bar.get_width() for bar in flows.sk.plot_top("orig_h").patches][-2:] == [310, 330]
    assert [label.get_text() for label in flows.sk.plot_matrix().get_yticklabels()] == ["a", "b", "c"]


def test_a_picture_of_one_time_is_small(flows: pd.DataFrame) -> None:
    """pandas' own axis would make 170 million ticks of it."""
    frame = f"ts=pandas.to_datetime([{T0}], utc=True), frame_number=[1], frame_len=[60], ip_src=['a']"
    code = f"""if True:
        import resource; resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        import matplotlib; matplotlib.use("Agg")
        import pandas, sniffkit.accessor
        frame = pandas.DataFrame(dict({frame}))
        for axes in (frame.sk.plot_timeline("1s"), frame.sk.plot_timeline("1s", by="ip_src")):
            axes.figure.canvas.draw()
            print(len(axes.get_xticks()) < 20, axes.lines[0].get_ydata().tolist())
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True [60, 60]\n" * 2, "")


def test_pictures_have_names_as_they_are(flows: pd.DataFrame) -> None:
    """What is between dollars is no formula, whatever a host's name makes of that."""
    import matplotlib

    matplotlib.use("Agg")
    named = flows.assign(orig_h=r"$\nosuch{$", resp_h="b")
    pictures = [named.sk.plot_top("orig_h"), named.sk.plot_timeline("1s", by="orig_h"), named.sk.plot_matrix()]
    pictures.append(named.sk.plot_top(["orig_h", "resp_h"]))
    for picture in pictures:
        picture.figure.canvas.draw()
    assert pictures[-1].get_yticklabels()[0].get_text() == r"(\$\nosuch{\$, b)"
    assert (pictures[0].get_ylabel(), pictures[-1].get_ylabel()) == ("orig_h", "orig_h,resp_h")


def test_labels_are_cut_and_show_what_they_are(flows: pd.DataFrame) -> None:
    from matplotlib import pyplot

    named = flows.assign(orig_h="\u202e" + 5000 * "x")
    picture = named.sk.plot_top("orig_h")
    (label,) = picture.get_yticklabels()
    pyplot.close(picture.figure)
    assert label.get_text() == "\\u202e" + 58 * "x" + "…"


def test_times_that_are_far_apart_or_none(flows: pd.DataFrame) -> None:
    far = pd.to_datetime(["1677-09-22", "2020-01-01", "2262-04-11"], utc=True)
    with pytest.raises(SniffkitError, match=r"step 1s gives .* spans 1\.84465728e\+10 s"):
        flows.assign(ts=far).sk.timeline("1s")
    years = flows.assign(ts=far).sk.timeline("YS")
    assert (years.iloc[0], years.iloc[-1], len(years)) == (110, 330, 586)
    last = pd.to_datetime([2**63 - 1] * 3, utc=True)
    for frame in (flows.assign(ts=last), to_polars(flows.assign(ts=last))):
        with pytest.raises(SniffkitError, match=r"step 365D: of 2262-.* beyond the times that pandas has"):
            frame.sk.timeline("365D")
    with pytest.raises(SniffkitError, match="ts has no times: "):
        flows.assign(ts="soon").sk.timeline()


@pytest.mark.parametrize("name", ["rows", "bytes", "share", "size", "sum"])
def test_what_it_is_by_may_be_named_as_what_it_says(flows: pd.DataFrame, name: str) -> None:
    named = flows.assign(**{name: ["x", "y", "y"]})
    assert named.sk.top(name)["bytes"].to_dict() == {"y": 530, "x": 110}
    top = to_polars(named).sk.top(name)
    assert top[name].to_list() == ["y", "x"]
    assert top.rows()[0][1:3] == (2, 530)


def test_polars_columns_of_one_name_are_told_apart(flows: pd.DataFrame) -> None:
    hosts = to_polars(flows.assign(orig_h=["null", None, "ts"], resp_h="sender"))
    assert hosts.sk.top("orig_h")["orig_h"].to_list() == ["ts", None, "null"]
    line = hosts.sk.timeline("1s", by="orig_h")
    assert line.columns == ["ts", "null", "ts_2", "null_2"]
    assert [line[name].sum() for name in line.columns[1:]] == [110, 330, 200]
    assert hosts.sk.matrix().columns == ["sender", "null", "sender_2", "ts"]


def test_columns_of_one_name_are_refused(flows: pd.DataFrame) -> None:
    for name, asks in (
        ("orig_h", (lambda sk: sk.top("orig_h"), lambda sk: sk.timeline(by="orig_h"), lambda sk: sk.plot_matrix())),
        ("orig_bytes", (lambda sk: sk.top("service"), lambda sk: sk.matrix())),
        ("ts", (lambda sk: sk.timeline(),)),
    ):
        twice = pd.concat([flows, flows[[name]]], axis=1)
        for ask in asks:
            with pytest.raises(SniffkitError, match=f"2 columns are named '{name}': rename all but one"):
                ask(twice.sk)


def test_weights_that_are_no_counts_are_refused(flows: pd.DataFrame) -> None:
    large = flows.assign(orig_bytes=pd.array([2**62] * 3, dtype="UInt64"))
    with pytest.raises(SniffkitError, match=r"measure 'bytes': 1\.38351e"):
        large.sk.top("orig_h")
    assert large.head(1).sk.timeline().tolist() == [2**62 + 10]
    no_numbers = "orig_bytes and resp_bytes must be numbers"
    for wrong, said in (("much", no_numbers), ("1.5", no_numbers), (1j, no_numbers), (float("inf"), "inf in all is")):
        with pytest.raises(SniffkitError, match=said):
            flows.assign(orig_bytes=wrong).sk.matrix()
    assert flows.assign(orig_bytes=None).sk.top("orig_h")["bytes"].to_dict() == {"b": 30, "a": 10}


def test_dtypes_do_not_depend_on_what_was_captured() -> None:
    """Every column of every table, in pandas and polars, whole and empty."""
    import polars as pl

    import sniffkit as sk
    from sniffkit.api import TABLES

    kinds = {
        "Utf8": ({"str", "object"}, pl.String),
        "Boolean": ({"boolean"}, pl.Boolean),
        "Float64": ({"float64"}, pl.Float64),
    }
    kinds |= {f"{sign}Int{bits}": ({f"{sign}Int{bits}"}, getattr(pl, f"{sign}Int{bits}"))
              for sign in ("", "U") for bits in (8, 16, 32, 64)}  # fmt: skip
    for name in TABLES:
        for filter in (None, "ip proto 253"):
            table = getattr(sk.open("captures/demo/demo.pcapng"), name)(filter=filter)
            pandas, polars = table.to_pandas(), table.to_polars()
            assert len(pandas) == len(polars)
            for column, kind in table.columns():
                dtype, other = str(pandas[column].dtype), polars.schema[column]
                if kind.startswith(("Dictionary", "dictionary")):
                    assert dtype == "category", (name, column)
                    text = column == "uid"  # which frames join on
                    assert other == pl.String if text else isinstance(other, (pl.Categorical, pl.Enum)), (name, column)
                elif kind.lower().startswith("timestamp"):
                    assert dtype == "datetime64[ns, UTC]", (name, column)
                    assert other == pl.Datetime("ns", "UTC"), (name, column)
                elif kind.lower().startswith("list"):
                    assert dtype == "object", (name, column)
                    assert isinstance(other, pl.List), (name, column)
                elif kind in kinds:
                    assert dtype in kinds[kind][0], (name, column, dtype)
                    assert other == kinds[kind][1], (name, column)
                else:
                    assert kind in ("string", "bool") or kind.endswith(("8", "16", "32", "64")), (name, column, kind)


def test_polars_frames_give_the_same_answers() -> None:
    capture = sk.open(Path(__file__).parent.parent / "captures" / "demo" / "demo.pcapng")
    for table, by in ((capture.flows(), "proto"), (capture.packets(), "protocols")):
        pandas, polars = table.to_pandas().sk, table.to_polars().sk
        keys = [by, "resp_p"] if table.name == "flows" else by
        top, same = pandas.top(keys, 3), polars.top(keys, 3)
        assert [row[-3:] for row in same.rows()] == [tuple(row) for row in top.itertuples(index=False)]
        assert same[by].to_list() == list(top.index.get_level_values(by))
        assert polars.timeline("100ms")["bytes"].to_list() == pandas.timeline("100ms").tolist()
        wide, names = pandas.timeline("100ms", by=by), polars.timeline("100ms", by=by)
        assert names.columns == ["ts", *wide.columns]
        assert names[names.columns[-1]].to_list() == wide[wide.columns[-1]].tolist()
        matrix, other = pandas.matrix(), polars.matrix()
        assert other["sender"].to_list() == list(matrix.index)
        assert other.drop("sender").rows() == [tuple(row) for row in matrix.itertuples(index=False)]
        assert polars.plot_top(by).get_xlabel() == "bytes"
        assert polars.plot_timeline("100ms").get_xlabel() == "time (UTC)"
        assert polars.plot_matrix().get_xlabel() == "receiver"
    with pytest.raises(AttributeError):
        _ = capture.arp(columns=["opcode"]).to_polars().sk
    with pytest.raises(SniffkitError, match="measure"):
        capture.flows().to_polars().sk.top("proto", measure="metres")
