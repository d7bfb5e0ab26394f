"""The exceptions that sniffkit raises on purpose. Each message is one line that a user can act on."""

from __future__ import annotations


class SniffkitError(Exception):
    """A request that cannot be met. `str(error)` is one clear line.

    exit_code: what the command line exits with (2 = bad request, 1 = incomplete).
    """

    exit_code = 2

    def __init__(self, *args: object, exit_code: int | None = None) -> None:
        super().__init__(*args)
        if exit_code is not None:
            self.exit_code = exit_code


class CaptureFileError(SniffkitError):
    """A file that is missing, unreadable or not a capture."""


class OutputError(SniffkitError):
    """An output that cannot be written. Exit code 1 when it fails underway, as on a full disk."""


class CaptureError(SniffkitError):
    """A live capture that cannot start, or that ended early."""


class FilterError(SniffkitError):
    """A capture filter that libpcap does not accept for any link type of its input; the message points at the place."""


class PrivilegeError(SniffkitError):
    """A missing privilege; the message names the capability and how to grant it."""


def granting() -> str:
    """How to get the privileges of capturing: file capabilities are of the very program that runs (capabilities(7))."""
    import os
    import shlex

    python = shlex.quote(os.readlink("/proc/self/exe"))  # also where this user may not see what links lead to
    names = "cap_net_raw,cap_net_admin,cap_sys_admin"
    return f"run it with sudo, or let every script of this Python: sudo setcap {names}+eip {python}"


class MissingToolError(SniffkitError):
    """An external program or optional package that is not installed; the message says how to get it."""


class LabError(SniffkitError):
    """A lab description or operation that is wrong; the message names file and line where there is one."""


class CaptureWarning(UserWarning):
    """A capture that is damaged: all rows before the damage are kept; names file and offset. Or frames of a link type
    for which the filter makes no sense: none of them matches; names filter and link type.
    """
