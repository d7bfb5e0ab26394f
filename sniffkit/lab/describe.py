"""A lab as YAML again: for the section comment of captures, the journal, and what was found on a machine."""

from __future__ import annotations

from typing import Any

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
        out["address"] = one.addresses[0] if len(one.addresses) == 1 else one.addresses
    for key in ("mtu", "mac", "qdisc", "ingress"):
        if getattr(one, key) is not None:
            out[key] = getattr(one, key)
    if not one.up:
        out["up"] = False
    if set(out) == {"address"}:
        return out["address"]
    return out or None


def to_yaml(spec: LabSpec, redact: bool = False) -> str:
    """The lab as a YAML text, one line a link. redact: without its secrets, for what others may read."""
    import json

    # JSON flow style for what is below the top: YAML reads it, and a link stays a line.
    out = []
    for key, value in to_mapping(spec, redact).items():
        if isinstance(value, list) and key != "nodes":
            out.append(f"{key}:")
            out += [f"  - {json.dumps(item, ensure_ascii=False)}" for item in value]
        elif isinstance(value, dict):
            out.append(f"{key}:")
            out += [f"  {name}: {json.dumps(item, ensure_ascii=False)}" for name, item in value.items()]
        else:
            out.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(out) + "\n"
