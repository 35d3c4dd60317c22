"""A study in the cells of a notebook: a live view while it runs, its result, and its figures."""
