"""Plans of labs: the operations of every example, and what differs between two plans. No root needed."""

from __future__ import annotations

import errno
import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sniffkit.lab import parse, wire
from sniffkit.lab.actions import refusal
from sniffkit.lab.graph import dot, svg, text
from sniffkit.lab.links import kind
from sniffkit.lab.model import Interface
from sniffkit.lab.ops import Op
from sniffkit.lab.plan import difference, merged, named_as, plan

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = sorted((ROOT / "docs" / "labs").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_plan_of_each_example(path: Path, golden: Callable[[str, str], None]) -> None:
    operations = plan(parse(path))
    assert len({op.id for op in operations}) == len(operations), "an id stands for one operation"
    golden(f"labs/{path.stem}.plan", "\n".join(op.line for op in operations) + "\n")


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_drawings_of_each_example(path: Path, golden: Callable[[str, str], None]) -> None:
    spec = parse(path)
    golden(f"labs/{path.stem}.txt", text(spec))
    drawing = svg(spec)
    for name in spec.nodes:
        assert f">{name}<" in drawing
        assert f'"{name}" [label=' in dot(spec)
    for rectangle, rows in re.findall(r'(<rect x="[^>]*>)\n((?:<(?:text|circle).*\n)+)', drawing):
        left, width = (float(re.search(rf' {key}="(\d+)"', rectangle)[1]) for key in ("x", "width"))  # type: ignore[index]
        for start, words in re.findall(r'x="(\d+)" y="\d+"[^>]*>(.*)</text>', rows):
            words = html.unescape(re.sub(r"<[^>]*>", "", words))
            assert float(start) + 0.602 * 11 * len(words) < left + width - 5, f"{words!r} touches the edge of its box"
    if path.stem == "nat":
        golden("labs/nat.svg", drawing)


def small(**changes: object) -> list[Op]:
    """A plan of two nodes, a bridge and a route; `changes` replace the settings of links and nodes."""
    links: dict[str, object] = {"a/eth0": "10.0.0.1/24", "s/p1": None}
    bridge: dict[str, object] = {"kind": "bridge", "ports": ["p1"]}
    node: dict[str, object] = {"routes": ["10.9.0.0/16 via 10.0.0.9"]}
    links |= {key: value for key, value in changes.items() if "/" in key}
    bridge |= {key: value for key, value in changes.items() if key in ("stp", "ports")}
    node |= {key: value for key, value in changes.items() if key in ("routes", "nat", "sysctls")}
    return plan(parse({"nodes": {"a": node, "s": None}, "links": [links, {"s/br0": bridge}]}))


def ids(operations: list[Op]) -> list[str]:
    return [op.id for op in operations]


def test_the_same_plan_differs_in_nothing() -> None:
    assert difference(small(), small()) == ([], [])


def test_an_address_that_changes_is_all_that_changes() -> None:
    undo, do = difference(small(), small(**{"a/eth0": "10.0.0.5/24"}))
    assert ids(undo) == ["address:a/eth0 10.0.0.1/24"]
    assert ids(do) == ["address:a/eth0 10.0.0.5/24"]


def test_addresses_of_a_subnet_keep_the_order_of_the_file() -> None:
    def changed(before: str, after: str) -> list[str]:
        old, new = (small(**{"a/eth0": {"address": text.split()}}) for text in (before, after))
        return [op.args["address"].partition("/")[0] for op in difference(old, new)[1] if op.do == "address"]

    one, two, three = (f"10.0.0.{number}/24" for number in (1, 2, 3))
    assert changed(f"{one} {two} {three}", f"{one} {three}") == []
    assert changed(f"{one} {two} {three}", f"{one} {three} {two}") == ["10.0.0.3", "10.0.0.2"]
    assert changed(f"{one} {two}", f"{three} {one} {two}") == ["10.0.0.3", "10.0.0.1", "10.0.0.2"]
    assert changed(f"{one} 10.1.0.1/24", f"10.1.0.1/24 {one}") == ["10.1.0.1", "10.0.0.1"], "for a route without `src`"
    assert changed(f"{one} {two} 10.1.0.1/24", f"{one} 10.1.0.1/24 {two}") == [], "the kernel has these so anyway"
    assert changed(f"{one} {two} 10.1.0.1/24", f"{two} 10.1.0.1/24") == ["10.0.0.2", "10.1.0.1"], (
        "it goes with the first"
    )
    assert changed(f"{one} 10.1.0.1/24", f"10.1.0.1/24 {two}") == ["10.0.0.2"]
    assert changed(f"{one} {two}", f"{one} {two} 10.1.0.1/24") == ["10.1.0.1"], "which goes before the others"
    assert changed(f"{one} 10.1.0.1/24 {two}", f"{two} 10.1.0.1/24 {one}") == ["10.0.0.2", "10.1.0.1", "10.0.0.1"]
    assert changed(f"10.1.0.1/24 {one} {two}", f"10.1.0.1/24 {two} {one}") == ["10.0.0.2", "10.0.0.1"]
    assert changed(f"10.1.0.1/24 {one} {two}", f"{one} {two} 10.1.0.1/24") == ["10.0.0.1", "10.0.0.2", "10.1.0.1"]
    assert changed(f"{one} fd00::1/64", f"fd00::1/64 {one}") == []


def test_what_stands_on_a_link_that_changes_is_made_anew() -> None:
    undo, do = difference(small(), small(**{"a/eth0": {"address": "10.0.0.1/24", "mtu": 1400}}))
    assert ids(do) == [
        "link:a/eth0",
        "port:s/p1",
        "address:a/eth0 10.0.0.1/24",
        "up:a/eth0",
        "up:s/p1",
        "route:a/10.9.0.0/16 via 10.0.0.9",
    ]
    assert set(ids(undo)) == set(ids(do))
    assert undo[-1].id == "link:a/eth0", "what stands on a link goes before it"


def test_a_bridge_that_changes_takes_its_ports_but_not_their_cables() -> None:
    _, do = difference(small(), small(stp=True))
    assert ids(do) == ["link:s/br0", "port:s/p1", "up:s/br0"]


def test_what_a_bridge_or_vxlan_is_told_later_leaves_it_as_it_is() -> None:
    def lab(**ports: object) -> list[Op]:
        cables = [{"a/e": None, "s/p1": None}, {"b/e": None, "s/p2": None}]
        return plan(parse({"links": cables, "bridges": {"s/br0": {"vlan_filtering": True, "ports": ports}}}))

    def vxlan(*far: str) -> list[Op]:
        return plan(parse({"links": [{"a/v": {"kind": "vxlan", "id": 5, "fdb": [*far]}}]}))

    def done(old: list[Op], new: list[Op]) -> list[list[str]]:
        return [ids(operations) for operations in difference(old, new)]

    assert done(lab(p1={}), lab(p1={}, p2={})) == [[], ["port:s/p2"]]
    assert done(lab(p1={"cost": 7}), lab(p1={"cost": 8})) == [["port_settings:s/p1"]] * 2
    assert done(lab(p1={"guard": True}), lab(p1={})) == [["port_settings:s/p1"], []]
    # What cost the kernel gave it shows when it joins.
    assert done(lab(p1={"cost": 7}), lab(p1={})) == [["port_settings:s/p1", "port:s/p1"], ["port:s/p1"]]
    assert done(vxlan("10.0.0.2"), vxlan("10.0.0.2", "10.0.0.3")) == [[], [f"fdb:a/v {'00:' * 5}00 10.0.0.3"]]


def test_a_port_that_names_vlans_is_not_in_that_of_the_others() -> None:
    def lab(p1: dict[str, object], **bridge: object) -> list[Op]:
        cables = [{"a/e": None, "s/p1": None}, {"b/e": None, "s/p2": None}]
        settings = {"vlan_filtering": True, "default_pvid": 77, "ports": {"p1": p1, "p2": {}}, **bridge}
        return plan(parse({"links": cables, "bridges": {"s/br0": settings}}))

    def vlans(operations: list[Op]) -> list[str]:
        return [op.line.partition("vlan ")[2] for op in operations if op.do in ("bridge_vlan", "no_vlan")]

    assert vlans(lab({})) == []
    assert vlans(lab({"tagged": [10]})) == ["del vid 77 dev p1 master", "add vid 10 dev p1 master"]
    assert vlans(lab({"pvid": 77})) == ["add vid 77 dev p1 pvid untagged master"]
    assert vlans(lab({}, tagged=[9])) == ["del vid 77 dev br0 self", "add vid 9 dev br0 self"]
    do = difference(lab({"pvid": 77}), lab({}))[1]
    assert ids(do) == ["port:s/p1"], "it would be in no VLAN at all"


def test_services_are_told_apart_by_what_they_are() -> None:
    def lab(*services: object, **node: object) -> list[Op]:
        return plan(parse({"nodes": {"a": {"services": [*services], **node}}}))

    one, two, three = {"http": 80}, {"http": 81}, {"run": "sleep 1000"}
    old = lab(one, two, three)
    for new, more, keys in (
        (lab(two, three), [], ["http-2", "run-3"]),
        (lab({"http": 90}, one, three, two), ["http-3"], ["http-3", "http-1", "http-2", "run-3"]),
        (lab(one, three, three), ["run-1"], ["http-1", "run-3", "run-1"]),
    ):
        found = named_as(old, new)
        assert [op.key for op in difference(old, found)[1]] == more
        assert [op.key for op in found if op.do == "service"] == keys
    assert [op.key for op in difference(old, lab(one, two, three, nameserver="10.0.0.9"))[1] if op.do == "service"] == [
        "http-1",
        "http-2",
        "run-3",
    ]


def test_the_mtu_of_a_bridge_is_set_behind_its_ports() -> None:
    links = [{"a/e": None, "s/p1": None}, {"s/br0": {"kind": "bridge", "mtu": 1400, "ports": ["p1"]}}]
    there = plan(parse({"links": links}))
    assert ids(there).index("mtu:s/br0") > ids(there).index("port:s/p1")
    links[0]["a/e"] = {"mtu": 1300}  # type: ignore[assignment]
    assert "mtu:s/br0" in ids(difference(there, plan(parse({"links": links})))[1])


def test_a_program_bound_to_an_interface_goes_with_it() -> None:
    def lab(mtu: int) -> list[Op]:
        services = {"dhcp_client": "e", "dnsmasq": {"interfaces": ["f"]}, "http": 80}
        links = [{"a/e": {"mtu": mtu}, "b/e": None}, {"a/f": None, "b/f": {"mtu": mtu}}]
        return plan(parse({"nodes": {"a": {"services": services}}, "links": links}))

    restarted = [op.key for op in difference(lab(1500), lab(1400))[1] if op.do == "service"]
    assert restarted == ["dnsmasq-2", "dhcp_client-1"]


def test_a_client_of_leases_goes_with_the_addresses_before_its_own() -> None:
    def lab(*addresses: str, up: bool = True) -> list[Op]:
        links = [{"a/e": {"address": [*addresses], "up": up}, "b/e": None}]
        return plan(parse({"nodes": {"a": {"services": {"dhcp_client": "e"}}}, "links": links}))

    old = lab("10.0.0.1/24", "10.1.0.1/24", "fd00::1/64")
    edited = (("10.1.0.1/24", "10.0.0.1/24"), ("10.0.0.1/24",), ("10.0.0.1/24", "10.1.0.1/24", "10.2.0.1/24"))
    for new in (*(lab(*one) for one in edited), lab("10.0.0.1/24", "10.1.0.1/24", up=False)):
        undo, do = difference(old, new)
        assert undo[0].do == do[-1].do == "service"
    assert ids(difference(old, lab("10.0.0.1/24", "10.1.0.1/24"))[1]) == []
    assert "service:a/dhcp_client-1" in ids(difference(old, old, {"address:a/e 10.1.0.1/24"})[1])


def test_dnsmasq_is_ready_by_the_port_of_what_it_serves() -> None:
    def service(**more: object) -> dict[str, object]:
        nodes = {"a": {"services": {"dnsmasq": {"interfaces": ["e"], **more}}}}
        found = plan(parse({"nodes": nodes, "links": [{"a/e": "fd00::1/64", "b/e": None}]}))
        return next(op.args for op in found if op.do == "service")

    four, six = {"from": "10.0.0.100", "to": "10.0.0.199"}, {"from": "fd00::100", "to": "fd00::1ff"}
    ready = [service(**more)["ready"] for more in ({}, {"dhcp": four}, {"dhcp": six}, {"dhcp": [six, four]})]
    assert ready == [{"udp": 53}, {"udp": 67}, {"udp": 547}, {"udp": 67}]
    reserved = service(dhcp=six, reserve={"02:00:00:00:00:01": "fd00::5", "02:00:00:00:00:02": "10.0.0.5"})["argv"]
    assert "--dhcp-host=02:00:00:00:00:01,[fd00::5]" in reserved  # type: ignore[operator]
    assert "--dhcp-host=02:00:00:00:00:02,10.0.0.5" in reserved  # type: ignore[operator]


def test_only_one_dnsmasq_of_a_node_has_its_loopback_interface() -> None:
    two = [{"dnsmasq": {"interfaces": [name]}} for name in "ef"]
    links = [{"a/e": "10.0.0.1/24", "b/e": None}, {"a/f": "10.1.0.1/24", "b/f": None}]
    found = plan(parse({"nodes": {"a": {"services": [*two, *two[:1]]}}, "links": links}))
    services = [op.args["argv"] for op in found if op.do == "service"]
    assert ["--except-interface=lo" in argv for argv in services] == [False, True, True]
    kept = [word for argv in services for word in argv if word.startswith("--dhcp-leasefile=")]
    assert [word.partition("}/")[2] for word in kept] == ["a.leases", "a.leases-2", "a.leases-3"]


def test_sysctls_are_set_in_the_order_in_which_one_writes_another() -> None:
    own = {"net/ipv6/conf/e.1/mtu": 1400, "net.ipv6.conf.ipv6.disable_ipv6": 0, "net/ipv6/conf/e.1/forwarding": 0}
    wide = {"net.ipv6.conf.default.disable_ipv6": 1, "net.ipv4.conf.default.forwarding": 0}
    links = [{"a/e.1": "fd00::1/64", "b/e": None}, {"a/ipv6": None, "b/f": None}]
    node = {"forward": True, "sysctls": own | wide}
    found = plan(parse({"nodes": {"a": node}, "links": links}))
    placed = [op.id for op in found if op.do in ("sysctl", "address", "up") and op.node == "a"]
    assert placed == [
        "sysctl:a/net.ipv4.ip_forward",
        "sysctl:a/net.ipv6.conf.all.forwarding",
        "sysctl:a/net.ipv6.conf.default.disable_ipv6",
        "sysctl:a/net.ipv4.conf.default.forwarding",
        "sysctl:a/net.ipv6.conf.ipv6.disable_ipv6",
        "sysctl:a/net/ipv6/conf/e.1/forwarding",
        "address:a/e.1 fd00::1/64",
        "up:a/lo",
        "up:a/e.1",
        "up:a/ipv6",
        "sysctl:a/net/ipv6/conf/e.1/mtu",
    ]
    bare = plan(parse({"nodes": {"a": {"sysctls": own}}, "links": links}))
    again = {"sysctl:a/net/ipv6/conf/e.1/forwarding"}
    assert {
        *ids(difference(bare, plan(parse({"nodes": {"a": {"sysctls": own, "forward": True}}, "links": links})))[0])
    } == again
    everything = {op.id for op in bare if op.do in ("link", "address", "sysctl") or op.key in ("e", "f", "e.1", "ipv6")}
    assert {*ids(difference(bare, found)[0])} == everything, "links are made anew for `default`"


def test_tables_of_a_ruleset_are_found_by_their_names() -> None:
    text = "table ip my.tab {\n}\nadd table inet a/b; table c { chain d { }; } table ip6 e-f { }\n# ; table ip no\n"
    text += 'table d { chain e { comment "}; table no { }" } }\n'
    op = plan(parse({"nodes": {"a": {"nft": text}}}))[-1]
    assert op.args["undo_stdin"].split("\n")[::2] == [
        "add table ip my.tab",
        "add table inet a/b",
        "add table ip c",
        "add table ip6 e-f",
        "add table ip d",
        "",
    ]


def test_two_plans_of_which_either_may_be_there() -> None:
    old, new = small(), small(**{"a/eth0": {"address": "10.0.0.5/24", "mtu": 1400}})
    both, differ = merged(old, new)
    assert differ == {"link:a/eth0", "address:a/eth0 10.0.0.1/24", "address:a/eth0 10.0.0.5/24"}
    assert set(ids(both)) == set(ids(old)) | set(ids(new))
    assert [op.stage for op in both] == sorted(op.stage for op in both)
    undo, do = difference(both, old, differ)
    assert "address:a/eth0 10.0.0.5/24" in ids(undo)
    assert "address:a/eth0 10.0.0.1/24" in ids(do)


def test_going_back_makes_what_stands_there_under_another_name() -> None:
    def made(before: list[dict[str, object]], after: list[dict[str, object]]) -> list[str]:
        old, new = (plan(parse({"nodes": [*"abcd"], "links": links})) for links in (before, after))
        both, differ = merged(old, new)
        undo, do = difference(both, old, differ)
        assert {op.id for op in new} - {op.id for op in old} <= {*ids(undo)}
        return ids(do)

    def shaped(**qdisc: object) -> list[dict[str, object]]:
        return [{"a/e": {"address": ["10.0.0.1/24", "10.1.0.1/24"], "qdisc": qdisc}, "b/e": None}]

    def swapped(links: list[dict[str, object]]) -> list[dict[str, object]]:
        return [dict(reversed(one.items())) for one in links]

    tbf = shaped(tbf={"rate": "1mbit"})
    assert {"link:a/e", "address:a/e 10.0.0.1/24", "command:a/e qdisc tbf"} <= {*made(tbf, swapped(tbf))}
    two = [{"a/e": None, "b/e": None}, {"c/e": None, "d/e": None}]
    assert {"link:a/e", "link:c/e"} <= {*made(two, [{"b/e": None, "c/e": None}, {"d/e": None, "a/e": None}])}
    assert made(tbf, shaped(htb={"rate": "1mbit"})) == ["command:a/e qdisc tbf"]
    other = [{"a/e": {"address": ["10.1.0.1/24", "10.0.0.1/24"], "qdisc": {"tbf": {"rate": "1mbit"}}}, "b/e": None}]
    assert made(tbf, other) == ["address:a/e 10.0.0.1/24", "address:a/e 10.1.0.1/24"]


def test_what_comes_in_is_copied_and_then_redirected() -> None:
    def lab(mtu: int, ingress: dict[str, str]) -> list[Op]:
        links = [
            {"a/e": {"ingress": ingress}, "b/e": None},
            {"a/i": {"kind": "ifb", "mtu": mtu}},
            {"a/s": {"kind": "ifb"}},
        ]
        return plan(parse({"links": links}))

    for both in ({"mirror": "s", "redirect": "i"}, {"redirect": "i", "mirror": "s"}):
        filters = [op.line.partition("0 0 ")[2] for op in lab(1500, both) if " filter " in op.line]
        assert filters == ["action mirred egress mirror dev s action mirred egress redirect dev i"]
    # A filter goes by itself neither when it changes, nor with the interface that it sends to.
    for new in (lab(1400, both), lab(1500, {"redirect": "i"})):
        undo, do = difference(lab(1500, both), new)
        assert "command:a/e ingress" in ids(undo)
        assert next(op.key for op in do if op.do == "command") == "e ingress"


def test_classes_of_htb_have_numbers_of_their_own() -> None:
    classes = [{"rate": "1mbit", "dport": number} for number in range(1, 301)]
    links = [{"a/e": {"qdisc": {"htb": {"rate": "1gbit", "classes": classes}}}, "b/e": None}]
    numbers = re.findall(r"classid (1:\w+)", "\n".join(op.line for op in plan(parse({"links": links}))))
    assert (len(numbers), len({*numbers})) == (302, 302)


def test_a_masquerade_is_of_the_versions_of_the_interface() -> None:
    nat = [{"masquerade": "e"}, {"dnat": "fd00::1", "port": 80, "to": "[fd00::2]:8080"}]
    for addresses, both in ((["10.0.0.1/24", "fd00::1/64"], False), (["fe80::1/64"], False), (["fd00::1/64"], True)):
        spec = parse({"nodes": {"a": {"nat": nat}}, "links": [{"a/e": addresses, "b/e": None}]})
        text = next(op.args["stdin"] for op in plan(spec) if op.key == "rules")
        four, six = text.split("table ip6 lab_nat")
        assert ('oifname "e" masquerade' in four, 'oifname "e" masquerade' in six) == (True, both)
        assert "ip6 daddr fd00::1 tcp dport 80 dnat to [fd00::2]:8080" in six


def test_a_ruleset_of_a_node_goes_with_the_tables_of_the_lab() -> None:
    def done(old: tuple[str, str], new: tuple[str, str]) -> list[list[str]]:
        plans = []
        for policy, ruleset in (old, new):
            firewall = {"firewall": {"input": {"policy": policy}}} if policy else {}
            plans.append(plan(parse({"nodes": {"a": {**firewall, "nft": ruleset}}})))
        return [[op.key for op in found] for found in difference(*plans)]

    own, adds = "table inet t { }", "table inet t { }\nadd rule inet lab_filter input drop\n"
    assert done(("drop", own), ("accept", own)) == [["nft", "rules"], ["rules", "nft"]]
    assert done(("drop", adds), ("drop", own)) == [["nft", "rules"], ["rules", "nft"]]
    assert done(("drop", own), ("drop", "table inet u { }")) == [["nft"], ["nft"]]
    assert done(("", own), ("drop", own)) == [["nft"], ["rules", "nft"]], "as in a lab made afresh"
    new, bare = (plan(parse({"nodes": {"a": {"firewall": {"input": []}, "nft": text}}})) for text in (adds, ""))
    before = [op._replace(needs=op.needs[:1]) for op in new]  # it did not need the tables once
    assert [ids(found) for found in difference(before, new)] == [["command:a/nft", "command:a/rules"], ids(new)[-2:]]
    assert [ids(found) for found in difference(before, bare)] == [["command:a/nft", "command:a/rules"], ids(new)[-2:-1]]


def test_rules_of_nat_replace_the_old_ones() -> None:
    undo, do = difference(small(nat=[{"masquerade": "eth0"}]), small(nat=[{"masquerade": "lo"}]))
    assert ids(undo) == ids(do) == ["command:a/rules"]
    assert "delete table ip lab_nat" in undo[0].args["undo_stdin"]


def test_a_node_more_is_all_that_is_made() -> None:
    more = plan(
        parse(
            {
                "nodes": ["a", "s", "x"],
                "links": [{"a/eth0": "10.0.0.1/24", "s/p1": None}, {"s/br0": {"kind": "bridge", "ports": ["p1"]}}],
            }
        )
    )
    less = [op for op in more if op.node != "x"]
    assert ids(difference(less, more)[1]) == ["netns:x/x", "up:x/lo"]
    assert ids(difference(more, less)[0]) == ["up:x/lo", "netns:x/x"]


def test_what_the_kernel_lacks_is_named() -> None:
    one = Interface("a", "d0", "dummy", ())
    op = Op(0, "link", "a", "d0", {"node": "a", "name": one.name, "kind": one.kind, "data": {}}, (), "ip link add d0")
    said = str(refusal(op, errno.EOPNOTSUPP, "Unknown device type"))
    assert said.startswith("a/d0: kind dummy: Linux ")
    assert "CONFIG_DUMMY, module dummy" in said
    assert "exists already" in str(refusal(op, errno.EEXIST, ""))
    for code, words in (
        (errno.EOPNOTSUPP, "VLANs not supported on device"),
        (errno.EEXIST, "VLAN device already exists"),
    ):
        assert str(refusal(op, code, words)) == f"a/d0: dummy: {words}"


def test_attributes_are_laid_out_as_the_kernel_reads_them() -> None:
    # linux/if_link.h: IFLA_VLAN_ID 1 (u16), IFLA_VLAN_PROTOCOL 5 (be16), IFLA_VLAN_FLAGS 2 (flags, mask)
    data = kind("vlan").encode({"id": 10, "protocol": "802.1ad"})
    assert data.hex(" ", 4) == "06000100 0a000000 06000500 88a80000 0c000200 01000000 05000000"
    found = wire.attributes(kind("vlan").encode({"id": 10, "reorder": False}))
    assert kind("vlan").differing({"id": 10}, found) == {"reorder": (False, None)}
