"""What a target does over time, and what AWS tells of it."""
