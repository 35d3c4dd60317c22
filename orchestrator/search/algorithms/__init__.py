"""The search algorithms, a module each, and the proposer that asks a study's one."""
