"""Small virtual networks: namespaces joined by veth pairs, made for one `with` block and gone after it."""

from __future__ import annotations

from sniffkit.lab.apply import Lab, Node
from sniffkit.lab.spec import LabSpec, Veth, parse

__all__ = ["Lab", "LabSpec", "Node", "Veth", "lab", "parse"]


def lab(source: object) -> Lab:
    """A lab from a YAML file's path or a mapping; `with sk.lab(...) as lab:` builds it and removes it.

    nodes: names of namespaces; links: veth pairs, `[ns1/veth1: 10.0.0.1/24, ns2/veth2: 10.0.0.2/24]`.
    Raises LabError for a description that is wrong, before anything is made.
    """
    return Lab(parse(source))
