"""Sources of arrays, folders and Parquet, one file each, and what every source returns."""
