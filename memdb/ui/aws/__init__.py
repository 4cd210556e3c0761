"""The AWS page."""
