"""Serving the app beside a cluster: what AWS tells, what it costs, the files. Only reads."""
