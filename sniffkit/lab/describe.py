"""A lab as YAML again: for the section comment of captures, the journal, and what was found on a machine."""

from __future__ import annotations

from typing import Any

from sniffkit.lab.model import Interface, LabSpec


def to_mapping(spec: LabSpec) -> dict[str, Any]:
    """The lab as a mapping that `parse` takes."""
    out: dict[str, Any] = {"name": spec.name} if spec.name else {}
    if spec.description:
        out["description"] = spec.description
    settings = {node.name: _plain(node.settings) for node in spec.nodes.values()}
    out["nodes"] = settings if any(settings.values()) else list(settings)
    links: list[dict[str, Any]] = []
    bridges: dict[str, Any] = {}
    done = set()
    for one in spec.interfaces.values():
        if one.point in done:
            continue
        if one.kind == "bridge":
            bridges[str(one)] = bridge(_settings(one))
            continue
        item = {str(one): _settings(one)}
        if one.peer is not None:
            item["/".join(one.peer)] = _settings(spec.interfaces[one.peer])
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


def _plain(settings: dict[str, Any]) -> dict[str, Any] | None:
    out = {**settings}
    if "services" in out:
        out["services"] = [{name: given} for name, given in out["services"]]
    return out or None


def _settings(one: Interface) -> Any:
    out: dict[str, Any] = {}
    if one.kind != "veth":
        out["kind"] = one.kind
    if one.parent is not None:
        out["link"] = one.parent[1] if one.parent[0] == one.node else "/".join(one.parent)
    out |= {key: value for key, value in one.data.items() if value is not None}
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


def to_yaml(spec: LabSpec) -> str:
    """The lab as a YAML text, one line a link."""
    import json

    # JSON flow style for what is below the top: YAML reads it, and a link stays a line.
    out = []
    for key, value in to_mapping(spec).items():
        if isinstance(value, list) and key != "nodes":
            out.append(f"{key}:")
            out += [f"  - {json.dumps(item, ensure_ascii=False)}" for item in value]
        elif isinstance(value, dict):
            out.append(f"{key}:")
            out += [f"  {name}: {json.dumps(item, ensure_ascii=False)}" for name, item in value.items()]
        else:
            out.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(out) + "\n"
