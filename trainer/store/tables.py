"""Tables as Parquet files whose columns say what they hold."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from rostrum.envs.files import write_atomically


def write_parquet(table: pd.DataFrame, path: Path, said: Mapping[str, str]) -> None:
    """Write a table that is there either whole or not at all; each of its columns says what it holds (field metadata
    `description`, from `said`)."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    fields = [field.with_metadata({"description": said[field.name]}) for field in arrow.schema]
    described = pa.Table.from_arrays(arrow.columns, schema=pa.schema(fields, metadata=arrow.schema.metadata))
    content = pa.BufferOutputStream()
    pyarrow.parquet.write_table(described, content)
    write_atomically(path, content.getvalue().to_pybytes())
