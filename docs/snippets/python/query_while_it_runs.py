import duckdb
import pyarrow.parquet as pq

with open("runs/quickstart/trials.parquet", "rb") as file:
    trials = pq.read_table(file)
print(duckdb.sql("select trial, state, epochs from trials"))
