"""The local engine: a real server on this machine that ends with the process that started it.

    with start(Settings.from_env()) as engine:
        engine.wait_ready()
        connect(engine.target)

Why it is built so: docs/decisions/0002-local-engine.md.
"""

from memdb.cluster.engine.binaries import Binaries, find_binaries
from memdb.cluster.engine.local import Engine, start
from memdb.cluster.engine.runtime import Running, running, running_engines

__all__ = ["Binaries", "Engine", "Running", "find_binaries", "running", "running_engines", "start"]
