convfleet dashboard runs                       # prints a link; Ctrl-C ends it
convfleet run quickstart --dashboard           # shows the run while it trains
convfleet dashboard runs --read-only --port 0  # nothing can be steered, on any free port
