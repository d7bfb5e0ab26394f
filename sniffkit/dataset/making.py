"""Making a data set: look at the files and the directory, let workers work, sum up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sniffkit.api import DATASETS
from sniffkit.dataset.engines import Engine, engine_of
from sniffkit.dataset.job import OWN, Job, Summary, look, parsed
from sniffkit.dataset.limits import many_open_files
from sniffkit.dataset.store import Store, store
from sniffkit.dataset.work import begin_anew, line_of
from sniffkit.errors import CaptureFileError, OutputError, SniffkitError
from sniffkit.tables import chosen, directory_name, numbers, unknown_column, wrong_request


def make(
    paths: Sequence[str],
    out: str | os.PathLike[str],
    table: str = "flows",
    *,
    columns: Sequence[str] | None = None,
    filter: str | None = None,
    rules: dict[str, float] | None = None,
    engine: Any = None,
    workers: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> Summary:
    """Write the table of all files, read as one capture in time order, to `out` as Parquet by date and hour.

    A directory that an interrupted run of the same job left is gone on with. See `Capture.to_dataset`.
    """
    out, columns = directory_name(out), chosen(columns)
    if table not in DATASETS:
        raise SniffkitError(f"{table}: no data set is made of this table; there are: {' '.join(DATASETS)}")
    _check_columns(table, columns)
    ruled = numbers(table, rules)
    _check_request(table, filter, ruled)
    if "-" in paths:
        raise CaptureFileError("standard input can be read once: a data set needs files")
    with engine_of(engine, workers) as how:
        where = store(out)
        _begun(where)  # what is refused, is before all files are looked at
        shares = how.shares if table == "flows" else 1
        with many_open_files():
            files, skipped = look(paths)
        wanted = None if columns is None else tuple(columns)
        job = Job(table, tuple(files), where.root, shares, wanted, filter, ruled)
        with where.claim(OWN):
            return _work(job, where, how, skipped, progress)


def _work(job: Job, where: Store, how: Engine, skipped: list[str], progress: Callable[[int], object] | None) -> Summary:
    """Begin the job or go on with it, to its end."""
    begun = _begun(where)
    done = where.read(f"{OWN}/done.json") if begun else None
    if begun is not None and begun.key() != job.key():
        raise OutputError(f"{where.root}: holds a table of other files or options; choose another directory")
    if done is not None:
        return _complete(where, done)
    if begun is not None:
        # Where it stands now: it may have been begun under another name, or from another directory.
        job = replace(begun, out=where.root)
    else:
        where.write(f"{OWN}/job.json", json.dumps(job.as_dict()).encode())
    resumed = _stands(job, where)
    summary = _sum_up(how.run(job, where, progress), skipped, len(job.files), resumed)
    where.write(f"{OWN}/done.json", summary.as_json())
    for name in where.names():
        if name.startswith((f"{OWN}/owner-", f"{OWN}/share-")):
            where.remove(name)
    return summary


def _stands(job: Job, where: Store) -> bool:
    """Whether anything of it is done. Raises SniffkitError if that was shared out in another way."""
    lines = [line for share in range(job.shares) if (line := line_of(where, share)) is not None]
    begun = [name for name in where.names() if name.startswith(f"{OWN}/share-") and name.endswith(".json")]
    if len(begun) > len(lines) or any(line["shares"] != job.shares for line in lines):
        raise begin_anew(f"{where.root}/{OWN}/job.json: not readable")
    return bool(lines)


def _check_columns(table: str, columns: Sequence[str] | None) -> None:
    from sniffkit import _core

    known = [name for name, _, _ in _core.table_columns(table)]
    for name in columns or ():
        if name not in known:
            raise unknown_column(table, name, known)
    if columns is not None and table != "flows" and "ts" not in columns and "ts" in known:
        raise SniffkitError(f"{table}: a data set is partitioned by time: name ts among the columns")


def _check_request(table: str, filter: str | None, rules: dict[str, float]) -> None:
    """A wrong filter or rule is told before anything is read or written."""
    from sniffkit import _core

    try:
        _core.DatasetReader("flows", [], None, filter, rules)
    except (KeyError, ValueError, OverflowError) as error:
        raise wrong_request(error, table) from None


def _begun(where: Store) -> Job | None:
    """The job that a directory was begun with; None if it is empty. Raises OutputError if it holds something else."""
    data = where.read(f"{OWN}/job.json")
    if data is not None:
        try:
            return Job.from_dict(parsed(data))
        except (ValueError, KeyError, TypeError):
            raise OutputError(f"{where.root}/{OWN}/job.json: not readable; choose another directory") from None
    if any(not name.startswith(f"{OWN}/.") for name in where.names()):
        raise OutputError(f"{where.root}: not empty, and no begun table: choose another directory")
    return None


def _complete(where: Store, done: bytes) -> Summary:
    """What the run said that made the data set. Raises SniffkitError where that is damaged."""
    try:
        return replace(Summary.from_json(done), already_complete=True)
    except ValueError:
        raise begin_anew(f"{where.root}/{OWN}/done.json: not readable") from None


def _sum_up(lines: list[dict[str, Any]], skipped: list[str], files: int, resumed: bool) -> Summary:
    from sniffkit.tables import damage_line

    # Every worker reads every file: what is wrong with files, and how many frames there are, is the same for all.
    # A worker that went on for another has told again what the filter cannot judge.
    damaged = list(dict.fromkeys(damage_line(*warning) for warning in lines[0]["warnings"]))
    counters = {name: sum(line["counters"][name] for line in lines) for name in lines[0]["counters"]}
    counters["frames"] = lines[0]["counters"]["frames"]
    return Summary(
        rows=sum(line["rows"] for line in lines),
        frames=lines[0]["place"][0],
        files=files,
        skipped=skipped + damaged,
        counters=counters,
        resumed=resumed,
    )
