"""The demo: real documentation with real embeddings, users and their sessions, and what loads them."""
