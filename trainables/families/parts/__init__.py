"""Blocks, inputs, phases and downloads that several families share."""
