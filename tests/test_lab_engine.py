"""The thread that makes labs, and ^C. No root needed."""

from __future__ import annotations

import threading

import pytest

from sniffkit.lab.engine import run


@pytest.mark.parametrize("runs", [True, False])
def test_a_thread_that_is_interrupted_while_it_is_started(monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    """It has ended before ^C is raised, or does nothing later on: what is done then must not meet it."""
    start, done, threads = threading.Thread.start, threading.Event(), []

    def interrupted(thread: threading.Thread) -> None:
        threads.append(thread)
        if runs:
            start(thread)
            begun.wait(10)
        raise KeyboardInterrupt

    def task(stop: threading.Event) -> None:
        begun.set()
        stop.wait(10)
        done.set()

    begun = threading.Event()
    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(task)
    assert done.is_set() is runs
    if not runs:
        start(threads[0])
        threads[0].join()
        assert not done.is_set()
