"""Follows runs for the dashboard: their journals as they grow, their settings, and commands about them."""
