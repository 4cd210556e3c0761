"""Moving an index to another model: what it takes, the work, the switch and the way back."""
