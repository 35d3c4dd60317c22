"""Uses finished models: answers for images, and scores on other labelled data; models run in child processes."""
