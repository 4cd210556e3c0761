"""One way to ask an index, and two of them beside each other."""
