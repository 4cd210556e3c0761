"""Recall watched: a small measurement now and then, kept beside the other figures, and an alert where it
falls."""
