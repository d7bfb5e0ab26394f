"""Arrow tables to pandas with dtypes that analysts expect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """`table` as a DataFrame: timestamps UTC in ns, dictionaries as categoricals, integers and booleans nullable.

    Also where nothing is null, so that dtypes do not depend on what was captured; never floats.
    """
    import pandas as pd
    import pyarrow as pa

    import sniffkit.accessor  # noqa: F401 - gives frames their `.sk`

    nullable = {
        pa.int8(): pd.Int8Dtype(),
        pa.int16(): pd.Int16Dtype(),
        pa.int32(): pd.Int32Dtype(),
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


def shown(labels: pd.Index[Any]) -> pd.Index[Any]:
    """Labels as a picture has them: those of rows without a value are null."""
    return labels if labels.nlevels > 1 or not labels.hasnans else labels.astype(object).fillna("null")
