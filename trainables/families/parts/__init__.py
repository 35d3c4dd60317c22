"""What several families share: blocks, inputs, phases, downloads."""
