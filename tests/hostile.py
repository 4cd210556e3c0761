"""Names and values that would make a browser call a foreign host, wherever a server, a file or AWS can put them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import boto3
import numpy as np
import redis

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.sizing import profiles
from memdb.tuning import store
from tests.fronts import listening
from tests.standins.resp import Upstream, commands
from tests.unit.tune_run import run as tuned

HOST = "evil.example"  # nobody's: RFC 2606
DIM = 256  # of the local model, so that a text can be asked for
DOCUMENTS = 60
REGION = "sa-east-1"  # moto keeps what it made for the whole run: no other test makes anything there


def hostile(place: str) -> str:
    """A name or value with everything that Markdown, HTML, a terminal or a chart could read in it."""
    return (
        f"![{place}](http://{HOST}/{place}.png) <img src=http://{HOST}/{place}> [a](http://{HOST}) "
        f"http://{HOST}/{place} www.{HOST} ada@{HOST} :smile: :red[r] $x^2$ :material/home: `c` -> **b** "
        "\u202e\u200b"
    )


def word(place: str) -> str:
    """The same without blanks, for names that may hold none."""
    return f"![{place}](http://{HOST}/{place}.png)<img/src=http://{HOST}/{place}>"


def label(place: str) -> str:
    """The same for names of targets, which may be no address."""
    return f"![{place}](//{HOST}/{place}.png) <img src=//{HOST}/{place}> www.{HOST} :smile: $x^2$ \u202e"


def fill(target: Target) -> str:
    """Write an index, documents, sessions and users of hostile names and values; returns the index's name."""
    names = {kind: hostile(kind) for kind in ("title", "tag", "number", "vector")}
    made = np.random.default_rng(5).normal(size=(DOCUMENTS, DIM)).astype("<f4")
    with connect(target) as client:
        index = hostile("index")
        client.execute(
            *("FT.CREATE", index, "ON", "HASH", "PREFIX", 1, "h:", "SCHEMA"),
            *("title", "AS", names["title"], "TEXT", "tag", "AS", names["tag"], "TAG", "SEPARATOR", "|"),
            *("number", "AS", names["number"], "NUMERIC", "v", "AS", names["vector"], "VECTOR", "HNSW", 6),
            *("TYPE", "FLOAT32", "DIM", DIM, "DISTANCE_METRIC", "COSINE"),
        )
        client.execute("FT.CREATE", hostile("other"), "ON", "HASH", "PREFIX", 1, "o:", "SCHEMA", "x", "TAG")
        for i, vector in enumerate(made):
            client.execute(
                *(
                    "HSET",
                    f"h:{i} {hostile('key')}",
                    "title",
                    f"{i} {hostile('value')}",
                    "v",
                    vector.tobytes(),
                ),
                *("tag", hostile(f"tagvalue{i % 3}"), "number", i, hostile("field"), hostile("stored")),
            )
        history = json.dumps(
            [{"role": hostile("role"), "content": hostile("content")}, {"role": "user", "content": "hello"}]
        )
        for i in range(5):
            client.execute(
                *("HSET", f"session:{i}{hostile('session')}", "user_id", hostile("user"), "history", history),
                *("context", hostile("context"), "created_at", hostile("created")),
            )
        client.execute(
            "HSET", f"user:{hostile('user')}", "name", hostile("username"), "likes", hostile("likes")
        )
    with redis.Redis(port=target.port, password=target.password, protocol=2) as admin:
        admin.execute_command("ACL", "SETUSER", word("acl"), "on", f">{target.password}", "~*", "&*", "+@all")
    return index


def kept(home: Path, index: str) -> None:
    """Saved runs, profiles, prices and the settings file, as somebody else may have written them."""
    home.mkdir(parents=True, exist_ok=True)
    run = replace(
        tuned(), index=index, engine=hostile("engine"), target=hostile("target"), title=hostile("runtitle")
    )
    for number, name in enumerate((index, hostile("anotherindex"))):
        # An id is checked when it is read, so it holds nothing hostile.
        store.save(
            replace(run, id=f"2026010{number + 1}T000000-abcdef", index=name, notes=(hostile("note"),)), home
        )
    built_in = profiles.load("redisearch", home)
    folder = home / "profiles"
    folder.mkdir(exist_ok=True)
    bad = asdict(replace(built_in, name="other", title=hostile("profile"), source=hostile("source")))
    (folder / "other.json").write_text(json.dumps({"format": profiles.FORMAT, **bad}))
    (home / "targets.toml").write_text(
        f'[targets.{json.dumps(word("name"))}]\nurl = "redis://127.0.0.1:1"\nlabel = {json.dumps(label("label"))}\n'
    )


def in_aws() -> None:
    """A cluster, snapshots and alarms of hostile names; call it with moto's variables set."""
    memorydb = boto3.client("memorydb", region_name=REGION)
    memorydb.create_cluster(
        ClusterName=word("cluster"),
        NodeType=word("node"),
        ACLName=word("awsacl"),
        TLSEnabled=True,
        ParameterGroupName=word("group"),
        MaintenanceWindow=word("window"),
    )
    memorydb.create_snapshot(ClusterName=word("cluster"), SnapshotName=word("snapshot"))


@contextmanager
def saying_so(engine: Target) -> Iterator[Target]:
    """The engine behind a server whose INFO and MODULE LIST have hostile words for release, role and system."""

    def serve(sock: object) -> None:
        upstream = Upstream(engine.host, engine.port)
        with suppress(OSError, ValueError), sock.makefile("rwb") as stream:  # type: ignore[attr-defined]
            for words in commands(stream):
                stream.write(encoded_info(words, upstream))
                stream.flush()
        upstream.close()

    with listening(serve) as port:
        yield replace(engine, port=port, username=word("acl"), label=label("own"))


def encoded_info(words: list[bytes], upstream: Upstream) -> bytes:
    """The engine's reply, with hostile words where it tells of itself."""
    reply = upstream.relay(words)
    if words[0].upper() != b"INFO" or not reply.startswith(b"$"):
        return reply
    body = reply.partition(b"\r\n")[2][:-2]
    lines = []
    for text in body.split(b"\r\n"):
        name, sign, value = text.partition(b":")
        if name in (b"redis_version", b"os", b"redis_mode", b"maxmemory_policy", b"mem_allocator"):
            value += b" " + hostile(name.decode()).encode()
        lines.append(name + sign + value)
    body = b"\r\n".join(lines)
    return b"$%d\r\n%s\r\n" % (len(body), body)
