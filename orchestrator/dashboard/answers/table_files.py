"""Tables as files for a download."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet


def parquet_bytes(table: pa.Table) -> bytes:
    """Returns a table as a Parquet file."""
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, sink)
    return bytes(sink.getvalue())


def csv_bytes(table: pa.Table) -> bytes:
    """Returns a table as CSV; nested values, which CSV has none of, as text."""
    columns = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_nested(column.type):
            column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
        elif pa.types.is_dictionary(column.type):
            column = pc.cast(column, pa.string())
        columns[name] = column
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(columns), sink)
    return bytes(sink.getvalue())
