"""A cluster's nodes while a study runs: who is there, who leaves, whether the head answers, what trials wait for."""
