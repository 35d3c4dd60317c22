"""The dashboard: runs in a browser, from their journals alone."""
