"""One question over one store: conversation, preference and documents in one round trip, then an answer."""
