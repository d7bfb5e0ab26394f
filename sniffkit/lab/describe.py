"""A lab as YAML again: for the section comment of captures, the journal, and what was found on a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from sniffkit.lab import yamlfile
from sniffkit.lab.links import kind
from sniffkit.lab.model import Interface, LabSpec
from sniffkit.lab.schema import Keys


def to_mapping(spec: LabSpec, redact: bool = False) -> dict[str, Any]:
    """The lab as a mapping that `parse` takes. redact: without its secrets."""
    out: dict[str, Any] = {"name": spec.name} if spec.name else {}
    if spec.description:
        out["description"] = spec.description
    settings = {node.name: _plain(node.settings, redact) for node in spec.nodes.values()}
    out["nodes"] = settings if any(settings.values()) else list(settings)
    links: list[dict[str, Any]] = []
    bridges: dict[str, Any] = {}
    done = set()
    for one in spec.interfaces.values():
        if one.point in done:
            continue
        if one.kind == "bridge":
            bridges[str(one)] = bridge(_settings(one, redact))
            continue
        item = {str(one): _settings(one, redact)}
        if one.peer is not None:
            item["/".join(one.peer)] = _settings(spec.interfaces[one.peer], redact)
            done.add(one.peer)
        links.append(item)
    if links:
        out["links"] = links
    if bridges:
        out["bridges"] = bridges
    out |= {key: value for key, value in (("traffic", spec.traffic), ("expect", spec.expect)) if value}
    return out


def bridge(settings: dict[str, Any]) -> Any:
    """A bridge as an entry of `bridges`: its ports alone, where it has nothing else to say."""
    out = {key: value for key, value in settings.items() if key != "kind"}
    if isinstance(out.get("address"), list) and len(out["address"]) == 1:
        out["address"] = out["address"][0]
    if isinstance(out.get("ports"), dict) and not any(out["ports"].values()):
        out["ports"] = list(out["ports"])
    return out["ports"] if set(out) == {"ports"} and isinstance(out["ports"], list) else out


def _plain(settings: dict[str, Any], redact: bool) -> dict[str, Any] | None:
    out = {**settings}
    if redact and "sysctls" in out:
        out["sysctls"] = {name: value for name, value in out["sysctls"].items() if not name.endswith("stable_secret")}
    if "services" in out:
        out["services"] = [{name: given} for name, given in out["services"]]
    return out or None


def _settings(one: Interface, redact: bool) -> Any:
    out: dict[str, Any] = {}
    if one.kind != "veth":
        out["kind"] = one.kind
    if one.parent is not None:
        out["link"] = one.parent[1] if one.parent[0] == one.node else "/".join(one.parent)
    data = Keys(kind(one.kind).keys).redact(one.data) if redact else one.data
    out |= {key: value for key, value in data.items() if value is not None}
    if one.addresses:
        out["address"] = one.addresses
    for key in ("mtu", "mac", "qdisc", "ingress"):
        if getattr(one, key) is not None:
            out[key] = getattr(one, key)
    if not one.up:
        out["up"] = False
    return interface(out)


def interface(settings: dict[str, Any]) -> Any:
    """An interface as an end of a link: its addresses alone, where it has nothing else to say."""
    address = settings.get("address")
    if isinstance(address, list) and len(address) == 1:
        settings = {**settings, "address": address[0]}
    return settings["address"] if set(settings) == {"address"} else settings or None


# Text that YAML takes for itself without quotes: words, and numbers that are none, such as addresses and rates.
PLAIN = re.compile(
    r"(?:[A-Za-z]|[0-9][0-9.]*[/a-wyz])(?:[A-Za-z0-9_./@+ -]|:(?=[A-Za-z0-9:]))*(?<! )|[A-Za-z]|0|[1-9][0-9]{0,8}"
)


def flow(value: Any) -> str:
    """A value in YAML's flow style, which is JSON, on one line."""
    import json

    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> str:
    """As `flow`, without quotes where none are needed."""
    if isinstance(value, dict):
        pairs = (plain(name) + ("" if item is None else f": {plain(item)}") for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(plain, value)) + "]"
    if isinstance(value, str) and PLAIN.fullmatch(value) and value.lower() not in yamlfile.WORDS:
        return value
    return flow(value)


def block(settings: dict[str, Any], indent: str) -> Iterator[str]:
    """Settings in YAML's block style: a line a key, and a line an item of what it holds."""
    for key, value in settings.items():
        if isinstance(value, str) and value.endswith("\n") and value.replace("\n", "").isprintable():
            yield f"{indent}{plain(key)}: |"
            yield from (f"{indent}  {line}".rstrip() for line in value.splitlines())
        elif isinstance(value, dict):
            yield f"{indent}{plain(key)}:"
            yield from (f"{indent}  {plain(name)}: {plain(item)}" for name, item in value.items())
        elif isinstance(value, list):
            yield f"{indent}{plain(key)}:"
            yield from (f"{indent}  - {plain(item)}" for item in value)
        else:
            yield f"{indent}{plain(key)}: {plain(value)}"


def to_yaml(spec: LabSpec, redact: bool = False) -> str:
    """The lab as a YAML text, one line a link. redact: without its secrets, for what others may read."""
    # JSON flow style for what is below the top: YAML reads it, and a link stays a line.
    out = []
    for key, value in to_mapping(spec, redact).items():
        if isinstance(value, list) and key != "nodes":
            out.append(f"{key}:")
            out += [f"  - {flow(item)}" for item in value]
        elif isinstance(value, dict):
            out.append(f"{key}:")
            out += [f"  {name}: {flow(item)}" for name, item in value.items()]
        else:
            out.append(f"{key}: {flow(value)}")
    return "\n".join(out) + "\n"
