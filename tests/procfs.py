"""What /proc tells of the threads of a process that goes on meanwhile."""

from pathlib import Path


def of_threads(pid: int, file: str) -> dict[int, str]:
    """`file` of every thread by its number, without those that ended between being listed and being read."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found[int(task.name)] = (task / file).read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def children(pid: int) -> list[int]:
    """The processes that a process started and that have not been waited for."""
    return [int(child) for told in of_threads(pid, "children").values() for child in told.split()]
