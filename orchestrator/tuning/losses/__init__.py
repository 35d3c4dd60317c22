"""Workers that are lost: which, why, and which trial goes on without them."""
