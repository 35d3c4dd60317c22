"""The runs that nobody trained, the servers, browsers and pages of `dashboard.py`."""
