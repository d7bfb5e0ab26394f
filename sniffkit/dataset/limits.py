"""Captures that overlap in time are open together: the limit on open files is met by all of them, not by one."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from sniffkit.errors import SniffkitError

NO_MORE = (errno.EMFILE, errno.ENFILE)  # of this process, of the machine


@contextmanager
def many_open_files() -> Iterator[None]:
    """As many open files as this process may ask for (setrlimit(2)); it stays so, since other threads may read as well.

    Raises SniffkitError, exit code 1, if that is not enough: no file is at fault, so none is passed over.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # a machine whose own limit (fs.nr_open) was lowered since
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    except OSError as error:
        if error.errno not in NO_MORE:
            raise
        at_most = "the machine's limit (fs.file-max)" if error.errno == errno.ENFILE else f"{hard:,} (`ulimit -Hn`)"
        raise SniffkitError(
            f"{error.filename}: captures that overlap in time are open together, and more are not than {at_most}: "
            "raise it, and the same command again goes on where it stopped",
            exit_code=1,
        ) from None
