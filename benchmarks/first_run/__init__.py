"""The contestants of `out_of_the_box.py`, each with its defaults as documented, and the data sets they meet."""
