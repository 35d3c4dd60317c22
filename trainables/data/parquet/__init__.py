"""Reads Parquet files with columns of images and of labels, as Hugging Face and others write them."""
