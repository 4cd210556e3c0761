"""One walk from the name to the search: what each step saw, and what to do where it went wrong.

Used by `memdb doctor` and the app's Test button. Round trips: up to three for a look at TCP and TLS, up to
three for the client's own connection with its login, one for all questions at once, and one to the nodes
that the cluster names, asked side by side (benchmarks/connect.py). Nothing is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from memdb.cluster import dialects, doctor_net, replies
from memdb.cluster.client import Client, connect
from memdb.cluster.doctor_net import Address
from memdb.cluster.replies import Reply
from memdb.cluster.server import bare, modules_told, names_described, there
from memdb.cluster.target import LOOPBACK, Target
from memdb.errors import LoginFailed, MemDBError, NotAllowed, Unreachable
from memdb.numerals import whole_number

Outcome = Literal["ok", "note", "failed", "skipped"]
OLDEST = (6, 2)  # MemoryDB's oldest engine; what is older was never tested
_STEP_S = 5.0  # no step waits longer, whatever the target's own timeout
# Long enough for another Region, short enough that four nodes behind a closed door cost a second once.
_NODE_S = 1.0
_CERTIFICATE_DAYS = 21

_QUESTIONS = (
    ("INFO",),
    ("ACL", "WHOAMI"),
    ("COMMAND", "INFO", *dialects.ASKED),
    ("FT._LIST",),
    ("CLUSTER", "SLOTS"),
)


@dataclass(frozen=True, slots=True)
class DoctorStep:
    """One step of the walk."""

    name: str
    outcome: Outcome
    saw: str
    todo: str = ""
    ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The whole walk."""

    address: str
    steps: tuple[DoctorStep, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; notes are no failures."""
        return all(step.outcome != "failed" for step in self.steps)

    @property
    def sentence(self) -> str:
        """The result in one line."""
        for step in self.steps:
            if step.outcome == "failed":
                return f"{step.name} failed: {step.saw}"
        notes = sum(step.outcome == "note" for step in self.steps)
        return "Everything answers" + ("", ", with a note", f", with {notes} notes")[min(notes, 2)] + "."


NAMES = ("Name", "TCP", "TLS", "Login", "Cluster mode", "Replicas", "Search")


def diagnose(target: Target) -> Diagnosis:
    """Walk all steps; ends early where a step fails that the rest stands on.

    Never raises a MemDBError: what goes wrong is what the step saw. Waits at most `target.timeout_s`, and
    five seconds, for one answer.
    """
    return Diagnosis(target.address, tuple(walk(target)))


def walk(target: Target) -> Iterator[DoctorStep]:
    """The steps as they are done, for a page that shows them one by one; skipped after a failure."""
    finished = 0
    for step in _walk(target):
        yield step
        finished += 1
    for name in NAMES[finished:]:
        yield DoctorStep(name, "skipped", "Not tried: an earlier step failed.")


def _walk(target: Target) -> Iterator[DoctorStep]:
    wait = min(target.timeout_s, _STEP_S)
    if target.scheme == "unix":
        yield DoctorStep("Name", "skipped", "A unix socket has no host name.")
        yield (step := _timed("TCP", lambda: doctor_net.unix_socket(target.path, wait)))
        if step.outcome == "failed":
            return
        yield DoctorStep("TLS", "skipped", "A unix socket needs none.")
    else:
        addresses: list[Address] = []
        yield (step := _timed("Name", lambda: doctor_net.resolve(target, wait, addresses)))
        if step.outcome == "failed":
            return
        with doctor_net.Probe(target, addresses, wait) as probe:
            yield (step := _timed("TCP", probe.connect))
            if step.outcome == "failed":
                return
            yield (step := _timed("TLS", lambda: _tls(probe, target)))
            if step.outcome == "failed":
                return
    client = connect(replace(target, timeout_s=wait))
    try:
        yield from _asked(client, target, wait)
    finally:
        client.close()


def _tls(probe: doctor_net.Probe, target: Target) -> DoctorStep:
    if target.scheme == "redis":
        if target.host in LOOPBACK:
            return DoctorStep("TLS", "ok", "Not used, and not needed on this machine itself.")
        return DoctorStep(
            "TLS",
            "note",
            "Not used: login and data cross the network as they are.",
            "MemoryDB has TLS on by default: use rediss:// unless the cluster was made without it.",
        )
    certificate = probe.handshake()
    if not target.tls.verify:
        return DoctorStep(
            "TLS",
            "note",
            f"{certificate.version}, but the certificate was not checked.",
            "Anybody on the way could answer in the server's place. Name its authority's file (CA) instead.",
        )
    text = f"{certificate.version}, certificate for {certificate.subject or 'this name'}"
    if certificate.days_left is None:
        return DoctorStep("TLS", "ok", f"{text}.")
    text += f", valid for {certificate.days_left:,} more days."
    if certificate.days_left < _CERTIFICATE_DAYS:
        return DoctorStep("TLS", "note", text, "It must be renewed soon.")
    return DoctorStep("TLS", "ok", text)


def _asked(client: Client, target: Target, wait: float) -> Iterator[DoctorStep]:
    yield (step := _timed("Login", lambda: _login(client, target)))
    if step.outcome == "failed":
        return
    began = time.perf_counter()
    try:
        info, who, commands, indexes, slots = client.pipeline(_QUESTIONS, errors_as_values=True)
    except MemDBError as exc:
        yield DoctorStep("Cluster mode", "failed", str(exc), exc.hint, _ms(began))
        return
    hello: Reply = None
    tried: list[Reply] | None = None
    if isinstance(info, MemDBError):
        (hello,) = client.pipeline([("HELLO",)], errors_as_values=True)
    if isinstance(commands, MemDBError) or isinstance(indexes, MemDBError):
        tried = client.connection.told([bare(name) for name in dialects.PROBED])
    asked_ms = _ms(began)
    yield cluster_step(info, slots, target, wait, asked_ms, hello)
    yield _replicas(info, target)
    yield search_step(info, commands, indexes, who, tried)


def _login(client: Client, target: Target) -> DoctorStep:
    try:
        client.execute("PING")
    except NotAllowed:
        pass  # the login holds; this user may just not run it
    except Unreachable:
        if target.scheme == "redis" and doctor_net.speaks_tls(target, min(client.target.timeout_s, 1.0)):
            raise Unreachable(
                f"{target.address} speaks TLS.", "Use rediss:// for redis:// in the address."
            ) from None
        raise
    if target.iam is not None:
        how = f"as {target.username} with an IAM token for {target.iam.cluster}"
    elif target.password:
        how = f"as {target.username or 'the default user'} with its password"
    else:
        how = "as the default user, without a password"
    if not target.password and target.iam is None and target.kind == "production":
        return DoctorStep(
            "Login",
            "note",
            f"Logged in {how}.",
            "Whoever reaches this server may use it: set up an ACL user.",
        )
    return DoctorStep("Login", "ok", f"Logged in {how}.")


def version_of(info: dict[str, dict[str, str]]) -> tuple[str, str]:
    """Engine and version as INFO tells them."""
    facts = {key: value for section in info.values() for key, value in section.items()}
    engine = "Valkey" if "valkey_version" in facts else "Redis"
    return engine, facts.get("valkey_version") or facts.get("redis_version", "")


def cluster_step(
    info: Reply, slots: Reply, target: Target, wait: float, asked_ms: float, hello: Reply = None
) -> DoctorStep:
    """Engine, version, and the cluster's nodes, which are tried; `hello` tells less where INFO is refused."""
    if isinstance(info, MemDBError):
        greeting = {} if isinstance(hello, MemDBError) else replies.pairs(hello)
        if not greeting:
            return DoctorStep(
                "Cluster mode",
                "note",
                f"Not told: {info}",
                "Allow the user INFO (+info) to see it.",
                asked_ms,
            )
        sentences = "\n".join(
            f"{ours}:{replies.text(greeting.get(name))}"
            for name, ours in (("version", _version_name(greeting)), ("mode", "redis_mode"))
        )
        step = cluster_step(sentences, slots, target, wait, asked_ms)
        lost = "INFO is not allowed: memory, clients, replicas and a restart are not known."
        if step.outcome == "failed":
            return step
        return replace(
            step, outcome="note", saw=f"{step.saw} {lost}", todo=step.todo or "Allow +info to see them."
        )
    facts = {key: value for part in replies.info(info).values() for key, value in part.items()}
    engine, version = version_of(replies.info(info))
    if not version:
        return DoctorStep(
            "Cluster mode",
            "failed",
            "INFO names no version: this is no Redis, Valkey or MemoryDB.",
            "Check the address.",
            asked_ms,
        )
    what = f"{engine} {version}"
    if _numbers(version) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return DoctorStep(
            "Cluster mode",
            "failed",
            f"{what} is too old.",
            f"This program needs {oldest} or newer, as MemoryDB's oldest engine is.",
            asked_ms,
        )
    mode = facts.get("redis_mode") or facts.get("server_mode", "")
    if facts.get("cluster_enabled") != "1" and mode != "cluster":
        return DoctorStep(
            "Cluster mode", "ok", f"{what}, a single server without cluster mode.", "", asked_ms
        )
    nodes = nodes_named(slots)
    if isinstance(slots, MemDBError) or not nodes:
        why = str(slots) if isinstance(slots, MemDBError) else "no slots are assigned."
        return DoctorStep(
            "Cluster mode",
            "note",
            f"{what} in cluster mode, its shape not known: {why}",
            "Allow the user CLUSTER (+cluster|slots), or wait until the cluster is made.",
            asked_ms,
        )
    shards = len({shard for shard, _, _ in nodes})
    text = f"{what}, cluster of {_count(shards, 'shard')} and {_count(len(nodes), 'node')}"
    began = time.perf_counter()
    here = (target.host, target.port)
    others = [(host or target.host, port) for _, host, port in nodes if (host, port) != here]
    closed = doctor_net.closed(others, min(wait, _NODE_S))
    ms = asked_ms + _ms(began)
    if closed:
        named = ", ".join(f"{host}:{port}" for host, port in closed[:3]) + (" …" if len(closed) > 3 else "")
        return DoctorStep(
            "Cluster mode",
            "note",
            f"{text}. {len(closed)} of the addresses it names cannot be reached from here: {named}.",
            "Through a tunnel, open one for each node and let the names lead to it (/etc/hosts), or run this "
            "program where the cluster is. With one shard, the node that answers here suffices, if "
            "read_from_replicas is off.",
            ms,
        )
    return DoctorStep("Cluster mode", "ok", f"{text}, all within reach.", "", ms)


def _replicas(info: Reply, target: Target) -> DoctorStep:
    if isinstance(info, MemDBError):
        return DoctorStep(
            "Replicas", "note", "Not known, as INFO is not allowed.", "Allow the user INFO (+info)."
        )
    facts = {key: value for part in replies.info(info).values() for key, value in part.items()}
    role = facts.get("role", "")
    if role in {"slave", "replica"}:
        link = facts.get("master_link_status", "?")
        if link != "up":
            return DoctorStep(
                "Replicas",
                "note",
                f"This node is a replica, and its link to the primary is {link}.",
                "Its data may be old. Use the cluster endpoint or the primary's.",
            )
        return DoctorStep(
            "Replicas",
            "note",
            "This node is a replica: it may lag behind, and takes no writes.",
            "Use the cluster endpoint or the primary's, unless reading a replica is what you want.",
        )
    count = replies.integer(facts.get("connected_slaves") or facts.get("connected_replicas"))
    if not count:
        if target.read_from_replicas:
            return DoctorStep(
                "Replicas",
                "note",
                "None, although reads may go to replicas.",
                "Reads go to the primary until there is one.",
            )
        return DoctorStep("Replicas", "ok", "None: this server alone holds the data.")
    use = "reads may go to them" if target.read_from_replicas else "not read from, as this target says"
    return DoctorStep("Replicas", "ok", f"{count} connected; {use}.")


def search_step(
    info: Reply, commands: Reply, indexes: Reply, who: Reply, tried: list[Reply] | None = None
) -> DoctorStep:
    """Whether vector search is there and this user may use it.

    Args:
        info: reply to INFO, or its error; so are `commands` (COMMAND INFO), `indexes` (FT._LIST) and `who`.
        tried: replies to dialects.PROBED without arguments, where COMMAND or FT._LIST was refused.
    """
    user = "this user" if isinstance(who, MemDBError) else f"the user '{replies.text(who)}'"
    available = dict(zip(dialects.PROBED, tried or (), strict=False))
    if isinstance(commands, MemDBError):
        if not available:
            return DoctorStep("Search", "note", f"Not told: {commands}", "Allow the user COMMAND (+command).")
        names = frozenset(name for name, reply in available.items() if there(reply))
    else:
        names = names_described(commands)
    dialect = dialects.recognise(names, modules=modules_told(info))
    if not dialect.searches:
        what = "This server"
        if not isinstance(info, MemDBError):
            what = " ".join(version_of(replies.info(info)))
        return DoctorStep(
            "Search",
            "note",
            f"{what} has no vector search; sessions can be explored.",
            "On MemoryDB it is chosen when a cluster is made, by a parameter group with search (7.1 or "
            "newer); elsewhere by loading a search module.",
        )
    if isinstance(indexes, LoginFailed) and not isinstance(available.get("FT.SEARCH"), LoginFailed | None):
        return DoctorStep(
            "Search",
            "note",
            f"{dialect.title} is there; {user} may search, but not list indexes.",
            "Name the index: --index, or in the sidebar of the app. +ft._list lists them.",
        )
    if isinstance(indexes, LoginFailed):
        return DoctorStep(
            "Search",
            "failed",
            f"{dialect.title} is there, but {user} may not use it.",
            "Add the category to the user's access string: +@search (and +@read for documents).",
        )
    if isinstance(indexes, MemDBError):
        return DoctorStep("Search", "failed", str(indexes), indexes.hint)
    if isinstance(available.get("FT.SEARCH"), NotAllowed):
        return DoctorStep(
            "Search",
            "failed",
            f"{dialect.title} is there, but {user} may not run FT.SEARCH.",
            "Add the category to the user's access string: +@search (and +@read for documents).",
        )
    count = len(replies.items(indexes))
    what = _count(count, "index", "indexes") if count else "no index yet"
    return DoctorStep("Search", "ok", f"{dialect.title}, {what}.")


def _version_name(greeting: dict[str, Reply]) -> str:
    return "valkey_version" if replies.text(greeting.get("server")) == "valkey" else "redis_version"


def nodes_named(slots: Reply) -> list[tuple[int, str, int]]:
    """Nodes of a CLUSTER SLOTS reply: (number of the shard, host, port); without a host, the one asked."""
    if isinstance(slots, MemDBError):
        return []
    shards: dict[tuple[str, int], int] = {}
    shard_of: dict[tuple[str, int], int] = {}
    for part in replies.items(slots):
        nodes = [replies.items(node) for node in replies.items(part)[2:]]
        named = [(replies.text(node[0]), replies.integer(node[1])) for node in nodes if len(node) >= 2]
        if not named:
            continue
        shard = shards.setdefault(named[0], len(shards))
        for node in named:
            shard_of.setdefault(node, shard)
    return [(shard, host if host != "?" else "", port) for (host, port), shard in shard_of.items()]


def as_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The shape that `memdb doctor --json` prints."""
    return {
        "address": diagnosis.address,
        "ok": diagnosis.ok,
        "sentence": diagnosis.sentence,
        "steps": [
            {"step": s.name, "outcome": s.outcome, "saw": s.saw, "todo": s.todo, "ms": round(s.ms, 1)}
            for s in diagnosis.steps
        ],
    }


def _timed(name: str, work: Callable[[], DoctorStep | str]) -> DoctorStep:
    began = time.perf_counter()
    try:
        step = work()
    except MemDBError as exc:
        return DoctorStep(name, "failed", str(exc), exc.hint, _ms(began))
    if isinstance(step, str):
        return DoctorStep(name, "ok", step, "", _ms(began))
    return DoctorStep(name, step.outcome, step.saw, step.todo, _ms(began))


def _count(number: int, what: str, many: str = "") -> str:
    return f"{number} {what}" if number == 1 else f"{number} {many or what + 's'}"


def _ms(began: float) -> float:
    return (time.perf_counter() - began) * 1e3


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(whole_number(part) or 0 for part in version.split(".")[:2])
