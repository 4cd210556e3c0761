"""Starting the local engine: one server, alone or as a one-shard cluster, with replicas if wanted."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType

from memdb.cluster.engine import runtime
from memdb.cluster.engine.binaries import Binaries, find_binaries, packaged_json
from memdb.cluster.engine.config import NodeConfig
from memdb.cluster.engine.node import NodePlan, ServerProcess
from memdb.cluster.engine.shape import form_shard, wait_cluster
from memdb.cluster.target import Target
from memdb.errors import EngineUnavailable
from memdb.ports import free_ports, port_is_free
from memdb.settings import Settings

_PORT_TRIES = 3  # a free port may be taken by somebody else before the server binds it
_MAX_REPLICAS = 5  # as MemoryDB
_MAX_SHARDS = 5  # each is a process on this machine
_JSON_MARK = "json-documents"  # a file in a directory whose log may hold commands of the JSON module


class Engine:
    """The running local engine. Ends with `stop`, with the context, and with this process."""

    def __init__(
        self,
        primary: ServerProcess,
        replicas: list[ServerProcess],
        *,
        cluster: bool,
        others: list[ServerProcess] | None = None,
    ) -> None:
        self._primary, self._replicas, self._cluster = primary, replicas, cluster
        self._others = others or []  # primaries of further shards
        self._lock = threading.RLock()

    @property
    def target(self) -> Target:
        """The primary: writable, labelled "Local engine", kind local."""
        return self._primary.target

    @property
    def replica_targets(self) -> tuple[Target, ...]:
        """The replicas, which take no writes."""
        return tuple(
            replace(n.target, label=f"Local replica {i}", writable=False)
            for i, n in enumerate(self._replicas, 1)
        )

    @property
    def shard_targets(self) -> tuple[Target, ...]:
        """The primary of each shard, in the order of their slots as the cluster began."""
        return (self.target, *(n.target for n in self._others))

    @property
    def pid(self) -> int:
        """Process id of the primary's server."""
        return self._primary.pid

    @property
    def directory(self) -> Path:
        """Where the primary keeps its data."""
        return self._primary.plan.config.directory

    @property
    def log(self) -> Path:
        """What the primary's server prints."""
        return self._primary.log

    @property
    def binaries(self) -> Binaries:
        """The server and module that run."""
        return self._primary.plan.binaries

    @property
    def loads_json(self) -> bool:
        """Whether the module for JSON documents was loaded into it."""
        return self._primary.plan.config.json is not None

    @property
    def status(self) -> int | None:
        """None while all servers run, 0 after a clean end, else how one failed (128 + n: signal n)."""
        ended = [n.status for n in self._all if n.status is not None]
        return max(ended) if ended else None

    def alive(self) -> bool:
        """Whether every server process runs. They may still be loading data."""
        return all(node.alive() for node in self._all)

    def wait_ready(self, timeout_s: float = 120.0) -> None:
        """Wait until all data is loaded and commands are served.

        Raises:
            EngineUnavailable: a server ended, or the time passed.
        """
        end = time.monotonic() + timeout_s
        for node in self._all:
            node.wait_ready(max(0.0, end - time.monotonic()))
        if self._cluster:
            wait_cluster(self._primary, end - time.monotonic())

    def restart(self) -> None:
        """Start what has ended again, on the same ports and with the same password.

        Servers that run go on running.

        Raises:
            EngineUnavailable: a server did not start.
        """
        with self._lock:
            if not self._primary.alive():
                self._primary = _again(self._primary)
            self._others = [node if node.alive() else _again(node) for node in self._others]
            self._replicas = [node if node.alive() else _again(node) for node in self._replicas]
            form_shard(self._primary, self._replicas, cluster=self._cluster, others=self._others)

    def stop(self) -> None:
        """End the servers cleanly, replicas first. Nothing acknowledged is lost. Safe to call twice."""
        with self._lock:
            for node in reversed(self._all):
                node.stop()

    @property
    def _all(self) -> tuple[ServerProcess, ...]:
        return (self._primary, *self._others, *self._replicas)

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start(
    settings: Settings | Path,
    *,
    port: int = 0,
    directory: Path | None = None,
    cluster: bool = False,
    replicas: int = 0,
    log: bool = True,
    password: str | None = None,
    json: bool = False,
    shards: int = 1,
) -> Engine:
    """Start the local engine on the loopback address; its data may load after this returns.

    Args:
        settings: of the environment, or just the home folder.
        port: 0 takes a free one.
        directory: of the data; `<home>/engine` by default.
        cluster: as the only shard of a cluster, with all slots, as MemoryDB always is.
        replicas: how many, each with its own process and data directory.
        log: keep every write in the append-only file before it is acknowledged.
        password: a random one by default.
        json: also serve JSON documents, where the engine comes from our wheels. A directory that was started
            so is from then on: its log could not be read without.
        shards: of the cluster. More than one serves sessions and keys, and no search; the replicas are the
            first shard's.

    Raises:
        EngineUnavailable: there is no engine for this system, one runs on this directory already, the port
            is taken, or the server did not start.
    """
    if isinstance(settings, Path):
        settings = replace(Settings.from_env(), home=settings.absolute())
    binaries = find_binaries(settings)
    if not 0 <= replicas <= _MAX_REPLICAS:
        raise EngineUnavailable(
            f"{replicas} replicas were asked for; 0 to {_MAX_REPLICAS} can be had.", "Ask for fewer."
        )
    if not 1 <= shards <= _MAX_SHARDS or (shards > 1 and not cluster):
        raise EngineUnavailable(
            f"{shards} shards were asked for; a cluster has 1 to {_MAX_SHARDS} here.",
            "Ask for a cluster, and for fewer.",
        )
    if not 0 <= port <= 65535:
        raise EngineUnavailable(f"{port} is not a port.", "Choose one from 1 to 65535, or 0 for a free one.")
    if port and not port_is_free(port):
        raise EngineUnavailable(
            f"Port {port} is taken by another program.",
            "Choose another port, or leave it out for a free one.",
        )
    directory = (directory or settings.home / "engine").expanduser().absolute()
    module = _json_module(directory, binaries, wanted=json)
    password = secrets.token_urlsafe(24) if password is None else password

    def plan(place: Path, port: int, primary_port: int) -> NodePlan:
        own, bus = free_ports(2)
        config = NodeConfig(
            directory=place,
            port=port or own,
            password=password,
            search=binaries.search,
            json=module,
            log=log,
            cluster_port=0 if not cluster else bus if bus != port else own,
            primary_port=0 if cluster else primary_port,
        )
        file = None if primary_port else runtime.runtime_folder(settings.home) / f"{uuid.uuid4().hex}.json"
        return NodePlan(binaries, config, file)

    nodes: list[ServerProcess] = []
    others: list[ServerProcess] = []
    try:
        nodes.append(_launched(partial(plan, directory, port, 0), fixed=bool(port)))
        first = nodes[0].plan.config.port
        for i in range(2, shards + 1):
            place = directory / f"shard-{i}"
            others.append(_launched(partial(plan, place, 0, first), fixed=False))  # stopped below
        for i in range(1, replicas + 1):
            place = directory / f"replica-{i}"
            nodes.append(_launched(partial(plan, place, 0, first), fixed=False))  # stopped below
        form_shard(nodes[0], nodes[1:], cluster=cluster, others=others)
    except BaseException:
        for node in reversed((*nodes, *others)):
            node.stop()
        raise
    return Engine(nodes[0], nodes[1:], cluster=cluster, others=others)


def _json_module(directory: Path, binaries: Binaries, *, wanted: bool) -> Path | None:
    """The module for JSON documents, where it is asked for or the directory may hold some."""
    mark = directory / _JSON_MARK
    if binaries.source != "wheels" or not (wanted or mark.exists()):
        return None
    module = packaged_json()
    if module is not None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch()
    return module


def _launched(plan: Callable[[], NodePlan], *, fixed: bool) -> ServerProcess:
    for tries_left in range(_PORT_TRIES - 1, -1, -1):
        chosen = plan()
        try:
            return ServerProcess(chosen)
        except EngineUnavailable:
            ports = [port for port in (chosen.config.port, chosen.config.cluster_port) if port]
            if fixed or not tries_left or all(map(port_is_free, ports)):
                raise
    raise AssertionError("not reached")


def _again(node: ServerProcess) -> ServerProcess:
    node.stop()
    # A child of the server that was writing the append-only file may hold the lock a little longer.
    return ServerProcess(node.plan, patience_s=runtime.LEAVING_S)
