"""Reading namespaces while others remove them, links of kinds that few kernels have, and very many of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from sniffkit import netlink
from sniffkit.errors import SniffkitError
from sniffkit.kernelneighbors import entries


def test_a_namespace_that_goes_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "going").symlink_to(tmp_path / "gone")  # listed, and then not there
    monkeypatch.setattr(netlink, "NETNS_DIR", tmp_path)
    assert netlink.namespaces() == ["going"]
    assert all(pid.isdigit() for pid in netlink.unnamed_namespaces())
    assert all(number >= 0 for number in netlink.peer_namespaces())


@pytest.mark.parametrize("name", ["x" * 300, "nosuch\0", "", ".", "/"])
def test_a_name_that_no_file_can_have(name: str) -> None:
    with pytest.raises(SniffkitError, match="no network namespace"):
        netlink.namespace_path(name)


class Message(dict[str, Any]):
    """A netlink message as pyroute2 gives it."""

    def __init__(self, fields: dict[str, Any], **attributes: Any) -> None:
        super().__init__(fields)
        self.attributes = attributes

    def get_attr(self, name: str) -> Any:
        return self.attributes.get(name)


def link(index: int, hardware: int, name: str | bytes, **info: Any) -> Message:
    told: dict[str, Any] = {"IFLA_IFNAME": name, "IFLA_ADDRESS": f"02:00:00:00:00:{index:02x}", "IFLA_MTU": 1500}
    if info:
        data = Message({"header": None}, **{key: value for key, value in info.items() if key != "kind"})
        told["IFLA_LINKINFO"] = Message({"header": None}, IFLA_INFO_KIND=info["kind"], IFLA_INFO_DATA=data)
    return Message({"index": index, "ifi_type": hardware}, **told)


def neighbour(index: int, address: str) -> Message:
    return Message({"ifindex": index, "state": 0x02}, NDA_DST=address, NDA_LLADDR="02:00:00:00:00:99")


class Socket:
    """pyroute2's IPRoute over these links: Ethernet, GRE, IP in IP, GRE over IPv6, and two of an external tunnel."""

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def get_links(self) -> list[Message]:
        return [
            link(1, 1, b"eth\xff"),
            link(2, 778, "gre0", kind="gre"),
            link(3, 768, "tunl0", kind="ipip"),
            link(4, 823, "gre6", kind="ip6gre"),
            link(5, 1, "vx0", kind="vxlan", IFLA_VXLAN_ID=0, IFLA_VXLAN_COLLECT_METADATA=1),
            link(6, 1, "gnv0", kind="geneve", IFLA_GENEVE_ID=0, IFLA_GENEVE_COLLECT_METADATA=True),
            link(7, 1, "vx7", kind="vxlan", IFLA_VXLAN_ID=0, IFLA_VXLAN_COLLECT_METADATA=0),
        ]

    def get_addr(self) -> list[Message]:
        return [Message({"index": 2, "prefixlen": 24}, IFA_ADDRESS="10.0.0.1")]

    def get_routes(self, family: int) -> list[Message]:
        return []

    def get_neighbours(self, family: int) -> list[Message]:
        return [neighbour(1, "10.0.1.9"), neighbour(2, "10.0.0.9")] if family == 2 else []


@pytest.fixture
def few_kernels_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyroute2.IPRoute", Socket)


@pytest.mark.usefixtures("few_kernels_have")
def test_only_ethernet_has_hardware_addresses_of_six_bytes() -> None:
    """pyroute2 makes six bytes of the IPv4 or IPv6 address that a tunnel has instead."""
    found = {one.name: one for one in netlink.links(None)}
    assert [name for name, one in found.items() if one.mac is None] == ["gre0", "tunl0", "gre6"]
    assert found["gre0"].addresses == ["10.0.0.1/24"]
    assert {(address, mac) for _, address, mac, _ in entries()} == {("10.0.1.9", "02:00:00:00:00:99")}


@pytest.mark.usefixtures("few_kernels_have")
def test_a_tunnel_that_each_packet_tells_its_network_has_none() -> None:
    assert {one.name: one.vni for one in netlink.links(None) if one.kind in netlink.VNI_ATTRIBUTES} == {
        "vx0": None,
        "gnv0": None,
        "vx7": 0,
    }


@pytest.mark.usefixtures("few_kernels_have")
def test_a_name_that_is_not_utf_8() -> None:
    (name,) = (one.name for one in netlink.links(None) if one.index == 1)
    assert (name, netlink.shown(name)) == ("eth\udcff", "eth\\xff")
    assert [of for of, *_ in entries()] == [name]


def test_the_peers_of_very_many_links() -> None:
    def end(netns: str, index: int, other: int) -> netlink.Interface:
        inode = 1 if netns == "a" else 2
        return netlink.Interface(netns, f"v{index}", index, "veth", "up", None, 1500, link=other, inode=inode)

    near = [end("a", number, number + 1) for number in range(2, 10_000, 2)]
    far = [end("b", number + 1, number) for number in range(2, 10_000, 2)]
    start = time.process_time()
    netlink.resolve_peers(near, near + far)
    assert time.process_time() - start < 1
    assert [one.peer for one in near] == [f"b/v{one.index + 1}" for one in near]
