"""What happened in a study: every decision in words, the rungs as they were judged, and what each worker did when."""
