"""sniffkit: packet capture and traffic inspection for virtual networks on Linux.

Heavy modules (pyarrow, pandas, scapy, pyroute2) are imported when they are first needed, never here.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # as typing's, whose import takes longer than all that is imported here
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    # What the names below are, to type checkers and editors.
    from sniffkit.api import Capture as Capture
    from sniffkit.api import open as open
    from sniffkit.capturing import LiveCapture as LiveCapture
    from sniffkit.capturing import capture as capture
    from sniffkit.errors import CaptureError as CaptureError
    from sniffkit.errors import CaptureFileError as CaptureFileError
    from sniffkit.errors import CaptureWarning as CaptureWarning
    from sniffkit.errors import FilterError as FilterError
    from sniffkit.errors import LabError as LabError
    from sniffkit.errors import MissingToolError as MissingToolError
    from sniffkit.errors import OutputError as OutputError
    from sniffkit.errors import PrivilegeError as PrivilegeError
    from sniffkit.errors import SniffkitError as SniffkitError
    from sniffkit.lab import lab as lab
    from sniffkit.scan import ScanResult as ScanResult
    from sniffkit.scan import scan as scan
    from sniffkit.tables import Table as Table
else:
    ModuleType = type(sys)

__version__ = "0.1.0"

# public name -> module that defines it; looked up on first use so that `import sniffkit` stays quick
_LAZY: dict[str, str] = {
    "open": "sniffkit.api",
    "Capture": "sniffkit.api",
    "capture": "sniffkit.capturing",
    "LiveCapture": "sniffkit.capturing",
    "lab": "sniffkit.lab",
    "scan": "sniffkit.scan",
    "ScanResult": "sniffkit.scan",
    "Table": "sniffkit.tables",
    "SniffkitError": "sniffkit.errors",
    "CaptureFileError": "sniffkit.errors",
    "OutputError": "sniffkit.errors",
    "CaptureError": "sniffkit.errors",
    "FilterError": "sniffkit.errors",
    "PrivilegeError": "sniffkit.errors",
    "MissingToolError": "sniffkit.errors",
    "LabError": "sniffkit.errors",
    "CaptureWarning": "sniffkit.errors",
}

__all__ = ["__version__", *sorted(_LAZY)]


class _Package(ModuleType):
    """Some functions share their name with the package they come from: `sk.scan` is always the function."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _LAZY or not isinstance(value, ModuleType):  # the import system binds every submodule
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def _lazy(name: str) -> Any:
    try:
        module = _LAZY[name]
    except KeyError:
        raise AttributeError(f"module 'sniffkit' has no attribute {name!r}") from None
    import importlib

    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


if not TYPE_CHECKING:  # to which every name would be there
    __getattr__ = _lazy


def __dir__() -> list[str]:
    return sorted(__all__)
