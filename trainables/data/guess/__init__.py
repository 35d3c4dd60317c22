"""What a file or a folder of the user's holds, and which data section reads it."""
