"""A first study file for data that lies somewhere, each choice with its reason."""
