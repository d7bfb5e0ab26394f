"""A pytest fixture: a lab that is up for one test.

    @pytest.mark.lab("docs/labs/nat.yaml")       # or a mapping; a path is looked for from the test file's directory up
    def test_nat(lab):
        with lab.capture("internet") as seen:
            lab["client"].run(["ping", "-c1", "203.0.113.2"])
        seen.expect("icmp", ip_src="203.0.113.1").expect("net 10.0.0.0/24", count=0)

Load it with `-p sniffkit.lab.pytest_plugin`, or `pytest_plugins = ["sniffkit.lab.pytest_plugin"]` in a conftest.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sniffkit.lab import Lab


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", "lab(source): the lab, a YAML file or a mapping, that the fixture `lab` makes")


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    """The lab of the test's `lab` marker, up for the test and gone after it."""
    from sniffkit.lab import lab as make

    marker = request.node.get_closest_marker("lab")
    if marker is None or len(marker.args) != 1:
        pytest.fail("the fixture `lab` needs a marker: @pytest.mark.lab('FILE.yaml')")
    source = marker.args[0]
    if isinstance(source, (str, Path)) and not Path(source).is_absolute():
        places = [parent / source for parent in request.path.parents]
        source = next((place for place in places if place.is_file()), source)
    with make(source) as made:
        yield made
