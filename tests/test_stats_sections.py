"""The figures of `stats` on made captures: what tshark's taps cannot show, and captures with little in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from setting import ROOT

import sniffkit as sk
from captures.wire import MS, SECOND, SYN, T0, Frame, eth, icmp, ip4, ip6, ip6_fragment, pcap, pcapng, tcp, udp
from sniffkit.errors import SniffkitError
from sniffkit.stats import LAYERS, SECTIONS, Stats
from sniffkit.stats.hierarchy import levels

Run = Callable[..., tuple[int, str, str]]


def stats_of(folder: Path, *packets: bytes, link_type: int = 101) -> Stats:
    """Figures of raw IP packets (or other frames), 1 ms apart."""
    path = folder / "made.pcap"
    path.write_bytes(pcap([Frame(T0 + n * MS, one) for n, one in enumerate(packets)], link_type=link_type))
    return sk.open(path).stats


def test_an_option_of_other_sections_is_refused(called: Run, tmp_path: Path) -> None:
    path = tmp_path / "one.pcap"
    path.write_bytes(
        pcap([Frame(T0, ip4("10.0.0.1", "10.0.0.2", 17, udp("10.0.0.1", 1, "10.0.0.2", 2, b"x")))], link_type=101)
    )
    for arguments, says in (
        (["--only", "summary", "--layer", "tcp"], "--layer is of conversations and endpoints"),
        (["--only", "io", "--layer", "tcp"], "--layer is of conversations and endpoints"),
        (["--only", "endpoints", "--interval", "0.1"], "--interval is of io"),
        (["--plot", "x.png", "--layer", "tcp"], "--layer is of conversations and endpoints"),
    ):
        assert called("stats", str(path), *arguments) == (2, "", f"sniffkit: {says}\n")
    for arguments in (
        ["--only", "endpoints", "--layer", "udp"],
        ["--only", "io", "--interval", "1"],
        ["--layer", "udp"],
    ):
        assert called("stats", str(path), *arguments)[0] == 0


def ends(table: pa.Table) -> list[tuple[str, str, int, int]]:
    return [(row["a"], row["b"], row["a_to_b_frames"], row["b_to_a_frames"]) for row in table.to_pylist()]


@pytest.mark.parametrize(
    ("protocols", "path"),
    [
        ("eth:ipv6:ipv6.hopopts:icmpv6", "eth:ipv6:icmpv6"),
        ("raw:ipv6:ipv6.hopopts:ipv6.routing:ipv6.fraghdr:data", "raw:ipv6:data"),
        ("eth:ipv6:ah:ipv6:udp", "eth:ipv6:ipv6:udp"),
        ("eth:ip:ah:tcp", "eth:ip:ah:tcp"),
        ("eth:ip:icmp:data", "eth:ip:icmp:data"),
        ("eth:ip:icmp:ip:udp:dns", "eth:ip:icmp"),
        ("eth:ipv6:ipv6.dstopts:icmpv6:ipv6:tcp", "eth:ipv6:icmpv6"),
    ],
)
def test_levels_of_a_stack(protocols: str, path: str) -> None:
    assert ":".join(levels(protocols)) == path


def test_hierarchy_counts_a_protocol_in_one_place(tmp_path: Path) -> None:
    """A datagram behind extension headers is as much UDP in IPv6 as one without; a quoted one was not sent."""
    asked = udp("2001:db8::1", 1, "2001:db8::2", 9, b"abcd")
    plain, whole = ip6("2001:db8::1", "2001:db8::2", 17, asked), ip6_fragment(17, asked, 7, 0, False)
    atomic = ip6("2001:db8::1", "2001:db8::2", 44, whole)
    error = ip4("192.0.2.9", "192.0.2.1", 1, icmp(3, 3, 0, ip4("192.0.2.1", "192.0.2.2", 17, asked)))
    table = stats_of(tmp_path, plain, atomic, error).hierarchy().to_arrow().to_pylist()
    sizes = len(plain) + len(atomic)
    assert {row["path"]: (row["depth"], row["frames"], row["bytes"]) for row in table} == {
        "raw": (0, 3, sizes + len(error)),
        "raw:ipv6": (1, 2, sizes),
        "raw:ipv6:udp": (2, 2, sizes),
        "raw:ipv6:udp:data": (3, 2, sizes),
        "raw:ip": (1, 1, len(error)),
        "raw:ip:icmp": (2, 1, len(error)),
    }


def test_an_ipv6_address_with_dots_is_not_ipv4(tmp_path: Path) -> None:
    """RFC 4291, 2.2: ::ffff:192.0.2.1 is how an IPv6 address may be written."""
    mapped, plain = "::ffff:192.0.2.1", "2001:db8::2"
    stats = stats_of(tmp_path, ip6(mapped, plain, 17, udp(mapped, 1, plain, 9, b"x")))
    assert ends(stats.conversations("ip").to_arrow()) == []
    assert stats.endpoints("ip").to_arrow().num_rows == 0
    assert ends(stats.conversations("ipv6").to_arrow()) == [(mapped, plain, 1, 0)]


def test_a_keepalive_in_gre_has_its_outer_header_first(tmp_path: Path) -> None:
    """Outer and inner header are of the same two ends, turned round: `a` sent the outer one."""
    near, far = "192.0.2.1", "192.0.2.2"
    reply = ip4(far, near, 47, b"\0\0\0\0")
    stats = stats_of(tmp_path, *[ip4(near, far, 47, b"\0\0\x08\0" + reply)] * 20)
    assert ends(stats.conversations("ip").to_arrow()) == [(near, far, 20, 20)]
    assert [row["address"] for row in stats.endpoints("ip").to_arrow().to_pylist()] == [near, far]


def test_both_ports_of_one_address(tmp_path: Path) -> None:
    one = "127.0.0.1"
    stats = stats_of(
        tmp_path, ip4(one, one, 17, udp(one, 9, one, 7, b"x")), ip4(one, one, 17, udp(one, 7, one, 9, b"y"))
    )
    (row,) = stats.conversations("udp").to_arrow().to_pylist()
    assert (row["a_port"], row["b_port"], row["a_to_b_frames"], row["b_to_a_frames"]) == (9, 7, 1, 1)
    assert (row["start"], row["duration"]) == (0.0, MS)
    assert [row["port"] for row in stats.endpoints("udp").to_arrow().to_pylist()] == [7, 9]


def test_times_are_utc(tmp_path: Path) -> None:
    syn = ip4("192.0.2.1", "192.0.2.2", 6, tcp("192.0.2.1", 5000, "192.0.2.2", 80, SYN, 1))
    stats = stats_of(tmp_path, syn, syn)
    utc = pa.timestamp("ns", "UTC")
    summary, health = stats.summary().to_arrow(), stats.tcp().to_arrow()
    assert (summary.schema.field("first").type, summary.schema.field("last").type) == (utc, utc)
    assert summary["last"].cast(pa.int64()).to_pylist() == [T0 + MS]
    assert health.schema.field("ts").type == utc
    assert [(row["handshake_failed"], row["retrans_pkts"]) for row in health.to_pylist()] == [(True, 1)]


def test_tcp_health_over_all_flows() -> None:
    """The counters are those of the flows, the percentiles those of numpy."""
    np = pytest.importorskip("numpy")
    capture = sk.open(Path(__file__).parent.parent / "captures" / "web" / "mix.pcap")
    flows = [row for row in capture.flows().to_arrow().to_pylist() if row["proto"] == "tcp"]
    (health,) = capture.stats.health().to_arrow().to_pylist()
    times = [row["tcp_rtt"] for row in flows if row["tcp_rtt"] is not None]
    assert (health["flows"], health["rtts"]) == (len(flows), len(times))
    assert len(set(times)) > 1, "percentiles of one value would prove nothing"
    assert (health["rtt_min"], health["rtt_max"]) == (min(times), max(times))
    for percent in (50, 90, 95, 99):
        assert health[f"rtt_p{percent}"] == pytest.approx(np.percentile(times, percent), abs=1)
    for counter in ("retrans_pkts", "ooo_pkts", "dup_acks", "zero_window"):
        assert health[counter] == sum(row[f"orig_{counter}"] + row[f"resp_{counter}"] for row in flows)
    assert health["resets"] == sum(row["end_reason"] == "rst" for row in flows)


def test_an_empty_capture(tmp_path: Path, called: Run) -> None:
    """What can be counted is 0, what cannot be known is null."""
    stats = stats_of(tmp_path)
    (summary,) = stats.summary().to_arrow().to_pylist()
    zero = dict.fromkeys(("packets", "bytes", "captured_bytes", "interfaces", "malformed"), 0)
    assert summary == dict.fromkeys(summary) | zero
    for layer in LAYERS:
        assert stats.conversations(layer).to_arrow().num_rows == stats.endpoints(layer).to_arrow().num_rows == 0
    assert [(row["frames"], row["percent"]) for row in stats.lengths().to_arrow().to_pylist()] == [(0, None)] * 10
    (health,) = stats.health().to_arrow().to_pylist()
    assert {value for name, value in health.items() if not name.startswith("rtt_")} == {0}
    assert {value for name, value in health.items() if name.startswith("rtt_")} == {None}
    for name in ("hierarchy", "io", "tcp"):
        assert getattr(stats, name)().to_arrow().num_rows == 0
    code, out, error = called("stats", str(tmp_path / "made.pcap"))
    assert (code, error) == (1, "")
    assert all(f"{title}:\n" in out for _, title in SECTIONS.values())
    for name in SECTIONS:
        assert called("stats", "--only", name, str(tmp_path / "made.pcap"))[0] == 1, name


def test_damage_is_told_once(tmp_path: Path, called: Run) -> None:
    """Every section reads the capture anew."""
    stats_of(tmp_path, *[ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x"))] * 2)
    path = tmp_path / "made.pcap"
    path.write_bytes(path.read_bytes()[:-1])
    code, out, error = called("stats", str(path))
    assert (code, error.count("\n")) == (1, 1)
    assert "at byte 69: cut short" in error
    assert out.startswith("What capinfos says")


def test_frames_without_a_time(tmp_path: Path) -> None:
    """Simple packet blocks have none: they are counted, and are at no time."""
    pytest.importorskip("matplotlib")
    frame = Frame(T0, eth(0x0800, ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x"))))
    path = tmp_path / "timeless.pcapng"
    path.write_bytes(pcapng(["eth0"], [(None, frame), (None, frame)]))
    stats = sk.open(path).stats
    (row,) = stats.conversations("ip").to_arrow().to_pylist()
    assert (row["frames"], row["start"], row["duration"]) == (2, None, None)
    (summary,) = stats.summary().to_arrow().to_pylist()
    assert (summary["packets"], summary["duration"], summary["packets_per_s"]) == (2, None, None)
    assert stats.io().to_arrow().num_rows == 0
    from sniffkit.stats.plot import io_plot

    with pytest.raises(SniffkitError, match="no frames with a time"):
        io_plot(sk.open(path), str(tmp_path / "io.png"))


@pytest.mark.parametrize(("lasts", "step"), [(999_999, 1), (2_000_000, 10), (1_700_000_000, 10_000)])
def test_a_long_capture_has_longer_intervals(tmp_path: Path, called: Run, lasts: int, step: int) -> None:
    """Days, or a clock that jumped from 1970; one that was asked for is refused before anything is shown."""
    packet = ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x"))
    path = tmp_path / "long.pcap"
    path.write_bytes(pcap([Frame(at * SECOND, packet) for at in (5, 5 + lasts)], link_type=101))
    table = sk.open(path).stats.io().to_arrow()
    assert table["start"].to_pylist()[1] == step
    assert table.num_rows == lasts // step + 1
    assert (table["frames"][0].as_py(), table["frames"][-1].as_py()) == (1, 1)
    assert called("stats", str(path))[0] == 0
    code, out, error = called("stats", "--interval", "0.5", str(path))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert f"interval 0.5 s gives {2 * lasts + 1} rows" in error


def test_a_capture_that_lasts_longer_than_int64_holds(tmp_path: Path, called: Run) -> None:
    """One damaged time is enough; durations end at the largest int64, as those of flows do."""
    packet = eth(0x0800, ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x")))
    years = 500 * 365 * 86400
    path = tmp_path / "long.pcapng"
    # From 1720 on: an offset may be below 0.
    path.write_bytes(pcapng(["eth0"], [(0, Frame(at * SECOND, packet)) for at in (0, years)], -years // 2))
    stats = sk.open(path).stats
    (summary,) = stats.summary().to_arrow().to_pylist()
    assert summary["duration"] == 2**63 - 1
    assert summary["packets_per_s"] == pytest.approx(2 / years), "by how long it was"
    (talk,) = stats.conversations("ip").to_arrow().to_pylist()
    assert (talk["start"], talk["duration"]) == (0, 2**63 - 1)
    for interval in (None, 1e9):
        table = stats.io(interval).to_arrow()
        assert (table["frames"][0].as_py(), table["frames"][-1].as_py()) == (1, 1)
        step = table["start"][1].as_py()
        assert table["start"][-1].as_py() == years // step * step
    assert called("stats", str(path))[0] == 0


def test_a_picture_of_many_intervals_is_small(tmp_path: Path) -> None:
    """Several are one step, and their rates are still those of the capture."""
    pytest.importorskip("matplotlib")
    from sniffkit.stats.plot import io_plot

    stats_of(tmp_path, *[ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x"))] * 2000)
    io_plot(sk.open(tmp_path / "made.pcap"), str(tmp_path / "io.svg"), 0.00001)
    picture = (tmp_path / "io.svg").read_text()
    assert len(picture) < 1_000_000
    assert "Traffic, 0.0005 s steps" in picture


def test_a_picture_by_its_suffix(tmp_path: Path, called: Run) -> None:
    pytest.importorskip("matplotlib")
    stats_of(tmp_path, ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x")))
    made = str(tmp_path / "made.pcap")
    assert called("stats", "--plot", str(tmp_path / "io.PNG"), made) == (0, "", "")
    assert (tmp_path / "io.PNG").read_bytes().startswith(b"\x89PNG")
    code, _, error = called("stats", "--plot", str(tmp_path / "io.gif"), made)
    assert (code, error.count("\n")) == (2, 1)


def test_a_picture_needs_no_home(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    stats_of(tmp_path, ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x")))
    kept = {name: value for name, value in os.environ.items() if name not in ("MPLCONFIGDIR", "XDG_CONFIG_HOME")}
    done = subprocess.run(
        [sys.executable, "-m", "sniffkit", "stats", "made.pcap", "--plot", "io.svg"],
        cwd=tmp_path,
        env=kept | {"HOME": "/dev/null/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("wrong", [("--layer", "icmp"), ("--interval", "0"), ("--interval", "nan")])
def test_a_bad_request_shows_no_section(tmp_path: Path, called: Run, wrong: tuple[str, str]) -> None:
    stats_of(tmp_path)
    code, out, error = called("stats", *wrong, str(tmp_path / "made.pcap"))
    assert (code, out, error.count("\n")) == (2, "", 1)


def test_all_sections_as_json(tmp_path: Path, called: Run) -> None:
    demo = str(ROOT / "captures" / "demo" / "demo.pcapng")
    code, out, said = called("stats", demo, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (code, said, lines[0]["section"], lines[0]["packets"]) == (0, "", "summary", 46)
    for section in {line["section"] for line in lines}:
        alone = called("stats", demo, "--json", "--only", section)[1].splitlines()
        assert [{"section": section} | json.loads(line) for line in alone] == [
            line for line in lines if line["section"] == section
        ]
    path = tmp_path / "all.jsonl"
    assert called("stats", demo, "-o", str(path)) == (0, "", "")
    assert path.read_text() == out
    picture = str(tmp_path / "io.svg")
    code, drawn, said = called("stats", demo, "--json", "--layer", "tcp", "--plot", picture)
    assert (code, said, Path(picture).exists()) == (0, "", True)
    assert drawn == called("stats", demo, "--json", "--layer", "tcp")[1] != out
    for wrong in ("io.xyz", "none/io.svg"):
        code, shown, said = called("stats", demo, "--json", "--plot", str(tmp_path / wrong))
        assert (code, shown, said.count("\n")) == (2, "", 1)
    assert called("stats", demo, "-o", str(tmp_path / "all.csv"))[2].endswith(
        "all.csv holds one table: --only SECTION says which; .jsonl takes all\n"
    )


def test_the_last_time_that_there_is(tmp_path: Path) -> None:
    packet = eth(0x0800, ip4("192.0.2.1", "192.0.2.2", 17, udp("192.0.2.1", 1, "192.0.2.2", 9, b"x")))
    path = tmp_path / "late.pcapng"
    path.write_bytes(pcapng(["eth0"], [(0, Frame(2**63 - 1 - ago, packet)) for ago in (SECOND, 0)]))
    assert sk.open(path).stats.io().to_arrow().num_rows == 2


@pytest.mark.parametrize("section", ["conversations", "endpoints"])
def test_no_such_layer(tmp_path: Path, section: str) -> None:
    with pytest.raises(SniffkitError, match="no layer 'icmp'; there are: eth ip ipv6 tcp udp sctp"):
        getattr(stats_of(tmp_path), section)("icmp")
