"""Whether what an index returns is right: labels, measures, settings held against each other."""
