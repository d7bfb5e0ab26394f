"""A pytest fixture: a lab that is up for one test. pytest loads this by itself once sniffkit is installed.

    @pytest.mark.lab("docs/labs/nat.yaml")       # or a mapping; a path is looked for from the test file's directory up
    def test_nat(lab):
        with lab.capture("internet") as seen:
            lab["client"].run(["ping", "-c1", "203.0.113.2"])
        seen.expect("icmp", ip_src="203.0.113.1").expect("net 10.0.0.0/24", count=0)

Without the marker the lab is the nearest `lab.yaml`. Nothing of sniffkit but this file is imported before a test asks
for the fixture. A fixture `lab` of a project's own takes its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sniffkit.lab import Lab


WAIT_SECONDS = 120.0  # for tests of other processes whose labs have nodes of the same names


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "lab(source): the lab, a YAML file or a mapping, that the fixture `lab` makes")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of the test's `lab` marker, or of the nearest lab.yaml, up for the test and gone after it."""
    from sniffkit.errors import SniffkitError
    from sniffkit.lab import lab as make
    from sniffkit.lab.state import turn

    marker = request.node.get_closest_marker("lab")
    if marker is not None and len(marker.args) != 1:
        pytest.fail("the marker `lab` takes one lab: @pytest.mark.lab('FILE.yaml')", pytrace=False)
    source: Any = "lab.yaml" if marker is None else marker.args[0]
    if isinstance(source, (str, Path)) and not Path(source).is_absolute():
        places = [parent / source for parent in request.path.parents]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            more = "" if marker else "; name a lab by @pytest.mark.lab('FILE.yaml')"
            pytest.fail(f"no {source} in {request.path.parent} nor above it{more}", pytrace=False)
        source = found
    with contextlib.ExitStack() as held:
        try:
            made = make(source)
            ends = (one.node for one in made.spec.interfaces.values())
            held.enter_context(turn({made.name, *made.spec.nodes, *ends}, WAIT_SECONDS))
            made.__enter__()
        except SniffkitError as error:
            pytest.fail(str(error), pytrace=False)
        try:
            yield made
        finally:
            made.down()
