"""Registries in S3."""
