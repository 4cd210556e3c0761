"""The configuration of one server process, fed to it on standard input. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from memdb.errors import BadSettings

# RediSearch answers with partial results after 500 ms unless told otherwise: a slow query would look like
# bad recall. The document table's default of 1,000,000 buckets slows larger collections down.
_SEARCH_OPTIONS = "TIMEOUT 10000 ON_TIMEOUT FAIL MAXDOCTABLESIZE 100000000 DEFAULT_DIALECT 2"


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What one server process is told."""

    directory: Path
    port: int
    password: str = field(repr=False)
    search: Path | None = None
    json: Path | None = None  # a module for JSON documents
    log: bool = True  # the append-only file; every write is on disk before it is acknowledged
    cluster_port: int = 0  # 0: not a cluster node
    primary_port: int = 0  # 0: not a replica, or a replica that a cluster command makes one

    def text(self) -> str:
        """Lines of a redis.conf.

        Raises:
            BadSettings: a value holds a line break, which would end its line.
        """
        lines = {
            "bind": "127.0.0.1",
            "protected-mode": "yes",
            "port": str(self.port),
            "requirepass": _quoted(self.password),
            "masterauth": _quoted(self.password),
            "dir": _quoted(str(self.directory)),
            "daemonize": "no",
            # The warden keeps the log, so that it stays bounded.
            "logfile": '""',
            # One way of keeping data: the append-only file. A snapshot beside it would only cost time.
            "save": '""',
            "appendonly": "yes" if self.log else "no",
            "appendfsync": "always",
            # After a power cut the file may end in half a command; every acknowledged write is before it.
            "aof-load-truncated": "yes",
            "maxmemory-policy": "noeviction",
            "repl-diskless-sync-delay": "0",  # there is nobody else to wait for
        }
        if self.cluster_port:
            lines |= {
                "cluster-enabled": "yes",
                "cluster-config-file": "nodes.conf",
                "cluster-port": str(self.cluster_port),
                "cluster-announce-ip": "127.0.0.1",
                "cluster-node-timeout": "5000",
            }
        if self.primary_port:
            lines["replicaof"] = f"127.0.0.1 {self.primary_port}"
        if self.search:
            options = _SEARCH_OPTIONS if self.search.name.startswith("redisearch") else ""
            lines["loadmodule"] = f"{_quoted(str(self.search))} {options}".rstrip()
        text = "".join(f"{name} {value}\n" for name, value in lines.items())
        return text + (f"loadmodule {_quoted(str(self.json))}\n" if self.json else "")


def _quoted(value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise BadSettings(
            "A password or path for the local engine holds a line break.", "Use one without line breaks."
        )
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
