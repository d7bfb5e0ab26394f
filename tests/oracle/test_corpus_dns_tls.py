"""DNS and TLS of the clean reference captures against tshark: every message, every hello over TCP, every
ClientHello over QUIC."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from test_corpus_http import answers, compare, differences, rows

# Files with a difference that stays, and why.
PPI = "link type PPI (per-packet information) is not decoded"
PKTAP = "link type PKTAP is not decoded"
NFLOG = "link type NFLOG is not decoded"
RETRY = "HelloRetryRequest: the row has the first ClientHello and the last ServerHello, tshark each"
QUERIES = {
    "libpcap--http_PPI.pcap": PPI,
    "tcpdump--LINKTYPE_PKTAP.pcap": PKTAP,
    "tcpdump--LINKTYPE_USER2_PKTAP.pcap": PKTAP,
}
RESPONSES = {"libpcap--http_PPI.pcap": PPI, "tcpdump--nflog.pcap": NFLOG}
CLIENTS = {
    "ndpi--haproxy.pcap": "a PROXY protocol line stands before the ClientHello; it is not read",
    "ndpi--capwap_data.pcapng": "CAPWAP tunnels are not opened",
    "ndpi--steam.pcapng": RETRY,
    "pcap-parser--err-buffertoosmall.pcapng": RETRY,
}
SERVERS = {"ndpi--steam.pcapng": RETRY, "pcap-parser--err-buffertoosmall.pcapng": RETRY}

SERVICES = {"dns", "mdns", "llmnr"}  # tshark's `dns.id` is also in NetBIOS names


def test_queries(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "dns"):
        ours = [
            (True, (row["query_frame"], row["trans_id"], row["proto"], row["query"], row["qtype"]))
            for row in rows(corpus, name, "dns")
            if row["query_frame"]
        ]
        theirs = [
            (one["frame"], int(one["id"], 0), one["over"], *first(one["q"]))
            for one in reference["dns"]
            if one["proto"] in SERVICES and one["over"] in ("udp", "tcp") and not one["resp"]
        ]
        found[name] = differences(ours, theirs)
    compare(found, QUERIES)


def first(questions: list[list[str]]) -> tuple[str | None, int | None]:
    """Name and type of the first question; tshark writes the root as `<Root>`."""
    if not questions:
        return None, None
    name, number = questions[0]
    return "." if name == "<Root>" else name, int(number)


def test_responses(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "dns"):
        ours = [
            (True, (row["response_frame"], row["trans_id"], row["rcode"], len(row["answers"]), *addresses(row)))
            for row in rows(corpus, name, "dns")
            if row["response_frame"]
        ]
        theirs = [
            # tshark's addresses are those of every section; ours are of the answers.
            (one["frame"], int(one["id"], 0), int(one["rcode"]), int(one["answers"]), *answered(one))
            for one in reference["dns"]
            if one["proto"] in SERVICES and one["over"] in ("udp", "tcp") and one["resp"]
        ]
        found[name] = differences(ours, theirs)
    compare(found, RESPONSES)


def addresses(row: dict[str, list[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The addresses and aliases among the answers."""
    pairs = list(zip(row["answer_types"], row["answers"], strict=True))
    return (
        tuple(sorted(data for kind, data in pairs if kind in ("A", "AAAA"))),
        tuple(sorted(data for kind, data in pairs if kind == "CNAME")),
    )


def answered(one: dict[str, list[str]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    kinds = Counter(one["rtypes"][: int(str(one["answers"]))])
    return (
        tuple(sorted(one["a"][: kinds["1"]] + one["aaaa"][: kinds["28"]])),
        tuple(sorted(one["cname"][: kinds["5"]])),
    )


def test_clients(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "tls"):
        ours = [
            (True, (row["client_frame"], row["server_name"], row["ja3"], row["alpn"]))
            for row in rows(corpus, name, "tls")
            if row["client_frame"]
        ]
        theirs = [
            (one["frame"], next(iter(one["sni"]), None), one["ja3"][0], ",".join(one["alpn"]) or None)
            for one in reference["tls"]
            if one["over"] in ("tcp", "quic") and "1" in one["hs"]
        ]
        found[name] = differences(ours, theirs)
    compare(found, CLIENTS)


def test_servers(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "tls"):
        ours = [(True, row["server_frame"]) for row in rows(corpus, name, "tls") if row["server_frame"]]
        theirs = [one["frame"] for one in reference["tls"] if one["over"] == "tcp" and "2" in one["hs"]]
        found[name] = differences(ours, theirs)
    compare(found, SERVERS)
