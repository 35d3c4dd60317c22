"""The models of a run as objects, and what differs between two of them."""
