import duckdb

print(duckdb.sql("select trial, best_val_accuracy from 'runs/quickstart/trials.parquet' order by 2 desc limit 3"))
