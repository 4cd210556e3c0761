"""The presentation: what its steps show of a target, made before somebody looks on. Only reads."""
