"""Sessions: how they are stored, listing and reading them, users, personalised context."""
