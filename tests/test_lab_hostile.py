"""Whatever is in a lab file, it gives a plan or one line that says what is wrong."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sniffkit.errors import LabError
from sniffkit.lab.describe import to_yaml
from sniffkit.lab.expectations import EXPECT
from sniffkit.lab.filekeys import LAB, NODE, interface_keys
from sniffkit.lab.graph import dot, svg, text
from sniffkit.lab.links import KINDS
from sniffkit.lab.plan import difference, plan
from sniffkit.lab.routing import ROUTE, RULE
from sniffkit.lab.services import SERVICES, service
from sniffkit.lab.spec import build
from sniffkit.lab.yamlfile import Source, parse

WORDS = sorted(
    {*LAB, *NODE, *EXPECT, *ROUTE, *RULE, *KINDS, *SERVICES}
    | {key for kind in KINDS for key in interface_keys(kind)}
    | {key for name in SERVICES for key in service(name).keys}
    | {"a", "b", "a/eth0", "b/eth0", "a/x", "eth0", "x", "10.0.0.1/24", "10.0.0.2", "fe80::1/64", "default", "host/v"}
    | {"02:00:00:00:00:01", "10.0.0.1:80", "1mbit", "10ms", "1%", "l3", "bridge", "tcp", "a -> b", "from", "\x00", "é"}
)
LEAF = st.one_of(
    st.sampled_from(WORDS), st.integers(-1, 2**33), st.booleans(), st.none(), st.floats(), st.text(max_size=5)
)
DATA = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=25,
)
INTERFACE = st.dictionaries(
    st.sampled_from(sorted({key for kind in KINDS for key in interface_keys(kind)})), DATA, max_size=4
)
LAB_LIKE = st.fixed_dictionaries(
    {},
    optional={
        "nodes": st.dictionaries(
            st.sampled_from(["a", "b"]), st.dictionaries(st.sampled_from(sorted(NODE)), DATA, max_size=4)
        ),
        "links": st.lists(
            st.dictionaries(
                st.sampled_from(["a/eth0", "b/eth0", "a/x", "b/x", "host/v"]), INTERFACE | LEAF, min_size=1, max_size=2
            ),
            max_size=4,
        ),
        "expect": st.lists(st.dictionaries(st.sampled_from(sorted(EXPECT)), DATA, max_size=4) | LEAF, max_size=3),
        "name": LEAF,
    },
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


def one_line(error: LabError) -> None:
    assert "\n" not in str(error)


def try_all(data: Any) -> None:
    try:
        spec = build(data, Source("lab.yaml"), None)
    except LabError as error:
        one_line(error)
        return
    operations = plan(spec)
    assert difference(operations, plan(spec)) == ([], [])
    for drawing in (text, dot, svg):
        drawing(spec)
    assert to_yaml(build(*parse(to_yaml(spec), "again"), None)) == to_yaml(spec)


@QUICK
@given(DATA)
def test_any_data(data: Any) -> None:
    try_all(data)


@QUICK
@given(LAB_LIKE)
@example({"links": [{"a/eth0": {"kind": []}}]})
def test_data_that_is_nearly_a_lab(data: dict[str, Any]) -> None:
    try_all(data)


@QUICK
@given(st.text(alphabet=":-{}[]&*!|>'\"%@`#, \nab0", max_size=60))
def test_any_text(data: str) -> None:
    try:
        found, source = parse(data, "lab.yaml")
    except LabError as error:
        one_line(error)
        return
    if found is not None:
        try_all(found)
    assert source.name == "lab.yaml"
