"""Reading namespaces while others remove them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sniffkit import netlink


def test_a_namespace_that_goes_between_two_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "going").symlink_to(tmp_path / "gone")  # listed, and then not there
    monkeypatch.setattr(netlink, "NETNS_DIR", tmp_path)
    assert netlink.namespaces() == ["going"]
    assert all(pid.isdigit() for pid in netlink.unnamed_namespaces())
    assert all(number >= 0 for number in netlink.peer_namespaces())
