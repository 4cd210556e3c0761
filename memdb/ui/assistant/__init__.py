"""The Assistant page."""
