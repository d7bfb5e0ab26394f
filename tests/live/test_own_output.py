"""What carries the output of a capture is not captured."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from livenet import SNIFFKIT, Capture, Net, frame, numbers


def test_the_connection_that_carries_the_output_is_left_out(net: Net, capture: Capture, tmp_path: Path) -> None:
    """In an SSH session, each line about its packets would be another packet."""
    inside = ("ip", "netns", "exec", net.b, SNIFFKIT, "capture", "-i", "veth2")
    ssh = {**os.environ, "SSH_CONNECTION": "10.231.0.1 4096 10.231.0.2 4097"}
    own, other = frame(1, proto=6), frame(2, proto=6).replace(b"\x10\x00\x10\x01", b"\x10\x02\x10\x01")
    cases: list[tuple[tuple[str, ...], list[int]]] = [
        (("-w", "x.pcapng", "--print"), [2]),
        (("-w", "x.pcapng"), [1, 2]),
        (("-w", "/dev/stdout"), [2]),
    ]
    for arguments, expected in cases:
        running = capture(*arguments, "tcp", command=inside, env=ssh)
        net.send([own, other])
        code, out, _ = running.end()
        assert code == 0
        if "/dev/stdout" in arguments:
            (tmp_path / "x.pcapng").write_bytes(out)
        assert numbers(tmp_path / "x.pcapng") == expected
    # another namespace does not carry it
    running = capture("-i", net.veth2, "-w", "x.pcapng", "--print", "tcp", env=ssh)
    net.send([own, other])
    assert running.end()[0] == 0
    assert numbers(tmp_path / "x.pcapng") == [1, 2]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_a_socket_as_standard_output_is_left_out(host: str) -> None:
    from sniffkit.points import own_output

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as server, socket.socket(family) as client:
        server.bind((host, 0))
        server.listen()
        client.connect(server.getsockname())
        ports = client.getpeername()[1], client.getsockname()[1]
        plain = host.removeprefix("::ffff:")
        expected = f"tcp port {ports[0]} and tcp port {ports[1]} and host {plain} and host {plain}"
        assert own_output(client.fileno()) == expected
        client.send(b"it is still open")


def test_standard_output_by_other_names(tmp_path: Path) -> None:
    from sniffkit.points import is_file_at

    reading, writing = os.pipe()
    with open(os.devnull, "wb") as null:
        assert is_file_at(f"/dev/fd/{writing}", writing)
        assert not is_file_at(str(tmp_path), writing)
        assert not is_file_at(str(tmp_path / "none"), writing)
        assert not is_file_at(os.devnull, null.fileno())
    os.close(reading)
    os.close(writing)


def test_an_ssh_connection_as_a_filter() -> None:
    from sniffkit.points import connection_filter

    expected = "tcp port 5022 and tcp port 22 and host 192.0.2.1 and host 192.0.2.2"
    assert connection_filter("192.0.2.1 5022 192.0.2.2 22") == expected
    assert "host fe80::1 and" in (connection_filter("fe80::1%eth0 5022 fe80::2%eth0 22") or "")
    for text in ("", "192.0.2.1 22", "a b c d", "1.2.3.4 or 5.6.7.8 22"):
        assert connection_filter(text) is None
