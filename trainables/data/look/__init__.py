"""A look at a data set before training: what the pass that decodes it shows, in sentences and in one picture."""
