"""HTTP of the clean reference captures against tshark: every request and response, and every body's SHA-256.

A message that is not whole is a row here, with `complete` false and the reason; tshark says nothing of most of these.
So what only we have may be incomplete, but nothing that tshark has may be missing.
"""

from __future__ import annotations

import gzip
import json
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import sniffkit as sk

# Files with a difference that stays, and why: see the checks below.
DECRYPTED = "tshark decrypts it with the keys in the file; TLS stays closed here"
IDLE = "311 s pass between two segments: the TCP idle timeout of 300 s has ended the flow"
IPCOMP = "IPComp payloads (RFC 3173) are not decompressed"
BENT = "the version is damaged (HTTP/1.\\x89): no status line by RFC 9112, 2.3"
REVERSED = "the first half of the body comes before its head, in a stream without SYN"
REQUESTS = {
    "gopacket--test301.pcapng": DECRYPTED,
    "wireshark-notes--tls-null.pcapng": DECRYPTED,
    "libpcap--AH-IPcomp-IPv4.pcap": IPCOMP,
}
RESPONSES = {
    "gopacket--test301.pcapng": DECRYPTED,
    "ics-security-tools--m-send-req.mms.pcap": IDLE,
    "libpcap--AH-IPcomp-IPv4.pcap": IPCOMP,
    "ndpi--ndpi_match_string_subprotocol__error.pcapng": BENT,
}
BODIES = {
    "gopacket--test301.pcapng": DECRYPTED,
    "ics-security-tools--m-send-req.mms.pcap": IDLE,
    "libpcap--AH-IPcomp-IPv4.pcap": IPCOMP,
    "ndpi--ndpi_match_string_subprotocol__error.pcapng": BENT,
    "tcpflow--test1-part2.pcap": "tshark exports the rest of a body whose head is in another file",
    "tcpflow--test5-lines-randomized2.pcap": REVERSED,
}


def answers(corpus: Path, *keys: str) -> list[tuple[str, dict[str, Any]]]:
    """(name, reference) of the clean captures that have any of these."""
    found = []
    for line in (corpus / "MANIFEST.tsv").read_text().splitlines()[1:]:
        _, _, _, clean, name, *_ = line.split("\t")
        if clean != "1":
            continue
        reference = json.loads(gzip.decompress((corpus / "reference" / f"{name}.json.gz").read_bytes()))
        if any(reference[key] for key in keys):
            found.append((name, reference))
    assert found
    return found


def rows(corpus: Path, name: str, table: str) -> list[dict[str, Any]]:
    """A table of a capture of the corpus; damage is no matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sk.CaptureWarning)
        return list(getattr(sk.open(str(corpus / "captures" / name)), table)().to_arrow().to_pylist())


def differences(ours: list[tuple[bool, Any]], theirs: list[Any]) -> dict[str, list[Any]]:
    """What one side has and the other lacks; `ours` says of each whether it is complete."""
    expected = Counter(theirs)
    missing = expected - Counter(one for _, one in ours)
    extra = Counter(one for complete, one in ours if complete) - expected
    return {"only ours": sorted(extra.elements()), "only tshark's": sorted(missing.elements())}


def compare(found: dict[str, dict[str, list[Any]]], exceptions: dict[str, str]) -> None:
    """What differs is what is listed."""
    differing = {name: what for name, what in found.items() if any(what.values())}
    assert {name: what for name, what in differing.items() if name not in exceptions} == {}
    assert set(exceptions) - set(differing) == set(), "these do not differ any more"


def test_requests(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "http"):
        ours = [
            (row["complete"], (row["request_frame"], row["method"], row["uri"], row["host"] or ""))
            for row in rows(corpus, name, "http")
            if row["method"] is not None
        ]
        theirs = [
            (one["frame"], one["method"], one["uri"], one["host"] or "")
            for one in reference["http"]
            if one["kind"] == "req"
        ]
        found[name] = differences(ours, theirs)
    compare(found, REQUESTS)


def test_responses(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "http"):
        ours = [
            (row["complete"], (row["response_frame"], row["status_code"], row["content_type"] or ""))
            for row in rows(corpus, name, "http")
            if row["status_code"] is not None
        ]
        theirs = [
            (one["frame"], one["status"], one.get("content_type", ""))
            for one in reference["http"]
            if one["kind"] == "resp" and one["status"] != 100
        ]
        found[name] = differences(ours, theirs)
    compare(found, RESPONSES)


def test_bodies(corpus: Path) -> None:
    found = {}
    for name, reference in answers(corpus, "http_objects"):
        ours = [(row["complete"], (row["size"], row["sha256"] or "")) for row in rows(corpus, name, "files")]
        theirs = [(size, digest) for size, digest, _ in reference["http_objects"]]
        found[name] = differences(ours, theirs)
    compare(found, BODIES)
