"""A thousand workers in one process: Ray's object references, results and errors are real, the processes are not."""
