"""The card of a model: what it is, how it was found, how good it is and how to load it, as Markdown and as HTML."""
