"""Which new trial a worker begins: proposals go to the journal here, near the workers that have traced their like."""
