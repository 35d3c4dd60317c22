"""Rows and figures of what runs say, for the pages of the dashboard."""
