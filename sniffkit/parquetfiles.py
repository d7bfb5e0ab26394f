"""Parquet files as tables of SQL: what is in them, their rows, and what data sets lack that they are parts of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sniffkit.errors import CaptureFileError, SniffkitError
from sniffkit.interruptible import connected, interruptible
from sniffkit.remote import one_line

if TYPE_CHECKING:
    import pyarrow as pa

    ParquetFile = tuple[str, pa.Schema]  # a path and what is there


def schema_of(path: str) -> pa.Schema:
    """The columns of a file as `rows_of` gives them, with its metadata.

    Raises CaptureFileError for what is no Parquet file, or holds what no Arrow column can.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        return pa.schema([field.with_type(as_known(field.type)) for field in schema], schema.metadata)
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: also of names that are no UTF-8
        raise unreadable(path, error) from None


def rows_of(path: str, columns: list[str]) -> pa.Table:
    """Columns of a file that are there. Raises CaptureFileError where it is damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, columns=columns, partitioning=None)
        for at, field in enumerate(table.schema):
            if (known := as_known(field.type)) != field.type:
                table = table.set_column(at, field.name, table.column(at).cast(known))
        return table
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(path, error) from None


def as_known(kind: pa.DataType) -> pa.DataType:
    """The type that a column is read as: DuckDB knows neither half floats nor decimals of 256 bits."""
    import pyarrow as pa

    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal256(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= 38 else pa.string()
    return kind


def unreadable(path: str, error: Exception) -> CaptureFileError:
    """The error for a file that pyarrow does not read."""
    number, said = getattr(error, "errno", None), one_line(error)
    if number:
        return CaptureFileError(f"{path}: {os.strerror(number)}")
    if said.startswith(("Parquet magic bytes", "Parquet file size")):
        return CaptureFileError(f"{path}: not a Parquet file")
    return CaptureFileError(f"{path}: {said}" if isinstance(error, NotImplementedError) else f"{path}: damaged: {said}")


def lacking_of(files: list[ParquetFile]) -> list[str]:
    """What the data sets lack that files are parts of, wherever in them: `date=…/hour=…/part-….parquet`."""
    from sniffkit.dataset.job import lacking

    up = os.path.join(os.pardir, os.pardir)
    roots = dict.fromkeys(os.path.normpath(os.path.join(os.path.dirname(path), up)) for path, _ in files)
    return [line for root in roots for line in lacking(root)]


def described(files: list[ParquetFile]) -> dict[str, str]:
    """The columns of the Parquet files of one table, with DuckDB's type of each: as DuckDB itself has it."""
    import pyarrow as pa

    paths = ", ".join(path for path, _ in files)
    try:
        schema = pa.unify_schemas([schema for _, schema in files], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise not_one_table(files, error) from None
    if not schema.names:
        raise CaptureFileError(f"{paths}: a table without columns")
    if "" in schema.names or len({name.lower() for name in schema.names}) < len(schema.names):
        raise CaptureFileError(f"{paths}: SQL cannot tell the columns apart: {', '.join(map(repr, schema.names))}")
    connection = connected()

    def kinds() -> list[str]:
        import duckdb

        with connection:
            try:
                connection.register("described", schema.empty_table())
                return [row[1] for row in connection.execute("DESCRIBE described").fetchall()]
            except (duckdb.Error, pa.ArrowNotImplementedError) as error:
                raise CaptureFileError(f"{paths}: {' '.join(str(error).split())}") from None

    found = interruptible(kinds, connection.interrupt)
    return {field.name: as_ours(kind, field.type) for field, kind in zip(schema, found, strict=True)}


def as_ours(duckdb_kind: str, kind: Any) -> str:
    """A type of DuckDB's as it is here: times are UTC without a zone (see TYPES), and nothing may be any text."""
    import pyarrow as pa

    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return "TIMESTAMP_NS" if kind.unit == "ns" else "TIMESTAMP"
    return "VARCHAR" if pa.types.is_null(kind) else duckdb_kind


def not_one_table(files: list[ParquetFile], error: Exception) -> SniffkitError:
    """The error for files whose columns do not go together."""
    return SniffkitError(f"{', '.join(path for path, _ in files)}: not one table: {' '.join(str(error).split())}")
