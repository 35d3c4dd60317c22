"""Which trials stop early, and why in words: pure rules over reports, without Ray and without a journal."""
