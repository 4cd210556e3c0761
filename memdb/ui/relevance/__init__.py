"""The Relevance page."""
