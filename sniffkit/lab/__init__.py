"""Virtual networks from one description: namespaces and every kind of link the kernel offers.

spec (YAML → model) · plan (model → list of operations, pure) · engine (netlink in batches, undo) · links/ and services/
(one kind a file). docs/labs has examples; lab.schema.json there is the file's schema.
"""

from __future__ import annotations

import sys
import types

from sniffkit.lab.model import LabSpec
from sniffkit.lab.running import Lab, Node
from sniffkit.lab.spec import parse

__all__ = ["Lab", "LabSpec", "Node", "lab", "parse"]


def lab(source: object) -> Lab:
    """A lab from a YAML file's path or a mapping; `with sk.lab(...) as lab:` builds it and removes it.

    nodes: names of namespaces; links: veth pairs, `{ns1/veth1: 10.0.0.1/24, ns2/veth2: 10.0.0.2/24}`, and every other
    kind. Raises LabError for a description that is wrong, before anything is made.
    """
    return Lab(parse(source))


class _Callable(types.ModuleType):
    """`sk.lab` is the function above, also once this module of the same name has been imported."""

    def __call__(self, source: object) -> Lab:
        return lab(source)


sys.modules[__name__].__class__ = _Callable
