"""The HTTP table of generated traffic against the generator's own: VLAN, VXLAN, IPv6, reordering, retransmission."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from collections import Counter
from pathlib import Path

import sniffkit as sk


def table(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_row_for_row(corpus: Path, tmp_path: Path) -> None:
    maker = corpus.parent / "perf" / "make_big.py"
    path = tmp_path / "big.pcap"
    command = [sys.executable, str(maker), str(path), "--packets", "15000", "--flows", "1500", "--seed", "5", "--truth"]
    subprocess.run([*command, "--ooo", "0.02", "--retrans", "0.02"], check=True, capture_output=True)
    flows = {one["flow"]: one for one in table(Path(f"{path}.flows.tsv.gz"))}
    truth = Counter()
    for one in table(Path(f"{path}.http.tsv.gz")):
        flow = flows[one["flow"]]
        ends = (flow["client"], int(flow["cport"]), flow["server"], int(flow["sport"]))
        answer = (int(one["status"]), int(one["content_length"]))
        truth[(*ends, int(one["transaction"]) + 1, one["method"], one["uri"], one["host"], *answer)] += 1
    ours = Counter(
        (
            *(row["orig_h"], row["orig_p"], row["resp_h"], row["resp_p"], row["trans_depth"]),
            *(row["method"], row["uri"], row["host"], row["status_code"], row["response_body_len"]),
        )
        for row in sk.open(str(path)).http().to_arrow().to_pylist()
    )
    assert truth
    assert {"only ours": ours - truth, "only the truth's": truth - ours} == {
        "only ours": Counter(),
        "only the truth's": Counter(),
    }
