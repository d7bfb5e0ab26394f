"""Arrow tables to pandas with dtypes that analysts expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """`table` as a DataFrame: timestamps UTC in ns, dictionaries as categoricals, integers with nulls as `Int64` kinds.

    Integers without nulls keep numpy's dtypes; with nulls they become pandas' nullable ones, never floats.
    """
    import pandas as pd
    import pyarrow as pa

    import sniffkit.accessor  # noqa: F401 - gives frames their `.sk`

    nullable = {
        pa.uint8(): pd.UInt8Dtype(),
        pa.uint16(): pd.UInt16Dtype(),
        pa.uint32(): pd.UInt32Dtype(),
        pa.uint64(): pd.UInt64Dtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    # One dictionary a column instead of one a batch, or pandas would have to merge categories itself.
    frame: pd.DataFrame = table.unify_dictionaries().to_pandas(types_mapper=nullable.get)
    return frame
