"""The Rust core. Private: users call `sniffkit`."""

from collections.abc import Callable
from os import PathLike
from typing import IO, Any, final

__version__: str
RING_KIB: int

_Input = str | PathLike[str] | IO[bytes]
_Warning = tuple[str, int | None, str]
_Known = tuple[str | None, str | None, list[int], int | None, str, list[tuple[str, int, int]], int, bool]

@final
class Chunk:
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

@final
class TableStream:
    progress: Callable[[int], object] | None
    on_end: Callable[[list[_Warning]], object] | None
    on_stop: Callable[[BaseException], object] | None
    def begin(self) -> None: ...
    def finish(self) -> list[_Warning]: ...
    def stop(self) -> None: ...
    def step(self) -> Chunk | None: ...
    def news(self) -> Chunk | None: ...
    def known(self) -> list[_Known]: ...
    def to_parquet(self, path: str | PathLike[str]) -> tuple[int, list[_Warning]]: ...
    def columns(self) -> list[tuple[str, str]]: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any: ...

def open_table(
    kind: str,
    inputs: list[_Input],
    columns: list[str] | None = None,
    filter: str | None = None,
    rules: dict[str, float] | None = None,
    directory: str | PathLike[str] | None = None,
    max_file: int = ...,
    max_files: int | None = None,
    max_total: int | None = None,
    known: list[_Known] | None = None,
    keep: list[tuple[str, str, list[int], list[str]]] | None = None,
    gateways: list[str] = ...,
) -> TableStream: ...

@final
class TableBytes:
    @property
    def rows(self) -> int: ...
    def __new__(cls, stream: object, format: str, limit: int | None = None) -> TableBytes: ...
    def __iter__(self) -> TableBytes: ...
    def __next__(self) -> bytes: ...

def write_index(
    stream: Any, parquet: str | PathLike[str], lines: str | PathLike[str]
) -> tuple[int, int, int, set[str]]: ...
def table_columns(kind: str) -> list[tuple[str, str, str]]: ...

@final
class FrameText:
    def __iter__(self) -> FrameText: ...
    def __next__(self) -> str: ...
    def warnings(self) -> list[_Warning]: ...

@final
class Frames:
    def __new__(cls, inputs: list[_Input]) -> Frames: ...
    def __iter__(self) -> Frames: ...
    def __next__(self) -> list[tuple[int, int, int, str | None, bytes]]: ...
    def warnings(self) -> list[_Warning]: ...

def read_text(
    inputs: list[_Input],
    style: str = "line",
    *,
    link: bool = False,
    absolute: bool = False,
    time: str = "clock",
    zone: list[tuple[int, int]] = ...,
    dump: str | None = None,
    fields: list[str] | None = None,
    field_format: tuple[str, str, str, str | None] | None = None,
    count: int | None = None,
    filter: str | None = None,
    frames: list[int] | None = None,
) -> FrameText: ...
def known_fields() -> list[str]: ...

@final
class FollowText:
    def __iter__(self) -> FollowText: ...
    def __next__(self) -> bytes: ...
    @property
    def written(self) -> int: ...
    def warnings(self) -> list[_Warning]: ...

def follow(
    inputs: list[_Input],
    *,
    uid: str | None = None,
    ends: tuple[int, tuple[str, int], tuple[str, int]] | None = None,
    style: str = "text",
    colour: bool = False,
    zone: list[tuple[int, int]] = ...,
    filter: str | None = None,
) -> FollowText: ...

@final
class LiveOptions:
    filter: str | None
    snap_len: int | None
    buffer: int | None
    promiscuous: bool
    direction: str | None
    write: str | None
    format: str | None
    comments: list[str]
    max_bytes: int | None
    max_seconds: int | None
    max_files: int | None
    flows: str | None
    rules: dict[str, float]
    print: bool
    link: bool
    time: str | None
    absolute: bool
    dump: str | None
    say: str | None
    style: str | None
    colour: bool
    count: int | None
    duration: float | None
    zone: list[tuple[int, int]]
    own_output: str | None
    drop_to: tuple[int, int, list[int]] | None
    def __new__(cls) -> LiveOptions: ...

@final
class LiveSession:
    def __new__(
        cls,
        points: list[tuple[str | None, str]],
        options: LiveOptions,
        given_up: Callable[[], bool] | None = None,
    ) -> LiveSession: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def frames(self) -> int: ...
    @property
    def lost(self) -> list[str]: ...
    @property
    def error(self) -> str | None: ...
    @property
    def last_file(self) -> tuple[str, int] | None: ...
    @property
    def unprinted(self) -> int: ...
    @property
    def printed(self) -> int: ...
    @property
    def flow_rows(self) -> int | None: ...
    def stop(self) -> None: ...
    def wait(self, seconds: float | None = None) -> bool: ...
    def stats(self) -> list[tuple[int, int, int, int]]: ...

def namespace_label(name: str) -> str: ...

_Place = tuple[int, int, list[tuple[int, int]], int]

@final
class DatasetReader:
    def __new__(
        cls,
        kind: str,
        files: list[tuple[_Input, int]],
        columns: list[str] | None = None,
        filter: str | None = None,
        rules: dict[str, float] | None = None,
        share: tuple[int, int] = ...,
        place: _Place | None = None,
        state: bytes | None = None,
        chunk: int = ...,
    ) -> DatasetReader: ...
    def advance(self, until: int, rows: int) -> bool: ...
    @property
    def frames(self) -> int: ...
    @property
    def ready(self) -> int: ...
    def take(self) -> list[tuple[int | None, int, bytes]]: ...
    def place(self) -> _Place: ...
    def state(self) -> bytes: ...
    def warnings(self) -> list[_Warning]: ...
    def counters(self) -> dict[str, int]: ...

def first_frame_time(source: _Input) -> int | None: ...
