"""Whole epochs of one variant."""
