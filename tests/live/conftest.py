"""Which kind of link ran on which kernel: filled by the tests, printed at the end."""

from __future__ import annotations

import pytest
from lab_process import RAN


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for kind, kernels in sorted(RAN.items()):
        for kernel, examples in kernels.items():
            terminalreporter.write_line(f"lab kind {kind:<22} {kernel:<28} {' '.join(examples)}")
