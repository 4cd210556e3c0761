"""The valkey-search stand-in held against every reply of a recorded valkey-search 1.2.1.

The first test prints the table: commands, how many agree, and each exception with its reason.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import redis

from memdb.cluster.target import Target
from tests.standins import valkey_search
from tests.waiting import until

pytestmark = pytest.mark.any_engine
FIXTURES = Path(__file__).parent.parent / "fixtures"


def recorded(engine: str) -> list[dict[str, Any]]:
    """What an engine answered, command by command; the first line describes the data."""
    raw = (FIXTURES / f"{engine}-conformance.jsonl.gz").read_bytes()
    return [json.loads(line) for line in gzip.decompress(raw).splitlines()]


ABOUT, *COMMANDS = recorded("valkey-search-1.2.1")
MOST_EXCEPTIONS = 0.02
# Where the stand-in does not answer as recorded, by the command's note, and why it need not.
EXCEPTIONS = {
    "zero vector, cosine": "every document is as near: any five are right",
    "JSON": "a server with the JSON module makes the index that one without it refuses",
    "NaN vector": "no document has a distance: any five are right",
}
VOLATILE = {"backfill_in_progress", "backfill_complete_percent", "state"}


def wire(value: Any) -> Any:
    """A recorded value as bytes go over the wire."""
    if isinstance(value, dict):
        return base64.b64decode(value["base64"]) if "base64" in value else value
    if isinstance(value, list):
        return [wire(item) for item in value]
    return value.encode() if isinstance(value, str) else value


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """The 400 documents that the recording's first line describes."""
    about = ABOUT["data"]
    words, special = about["words"], about["special"]
    vectors = np.random.default_rng(7).standard_normal((400, 8)).astype("<f4")
    for i in range(400):
        four = [words[(i * k + k) % 13] for k in (1, 3, 5, 7)]
        yield (
            f"cf:{i}",
            {
                "title": " ".join(four[:2]),
                "body": f"{' '.join(four)} number {i}",
                "source": about["sources"][i % 5],
                "company_size": about["sizes"][i % 3],
                "tags": ";".join(four[: 1 + i % 3]),
                "year": 2006 + i % 20,
                **({"half": i} if i % 2 == 0 else {}),
                "my-field": f"v{i % 4}",
                "odd": f"a{special[i % len(special)]}b",
                "embedding": vectors[i].tobytes(),
            },
        )


# The stand-in needs RediSearch behind it; a server of the recorded release is asked itself.
ANSWERING = (
    pytest.param("stand-in", marks=pytest.mark.needs("sorted_hits")),
    pytest.param("server", marks=pytest.mark.needs("recorded")),
)


@pytest.fixture(scope="module", params=ANSWERING)
def answering(request: pytest.FixtureRequest, server_target: Target) -> Iterator[redis.Redis]:
    """A client of what is held against the recording, which holds its documents."""
    with ExitStack() as stack:
        front = server_target
        if request.param == "stand-in":
            front = stack.enter_context(valkey_search(server_target)).target
        client = stack.enter_context(redis.Redis.from_url(front.url, protocol=2, driver_info=None))
        client.response_callbacks.clear()
        keys = []
        with client.pipeline(transaction=False) as pipe:
            for key, values in documents():
                keys.append(key)
                pipe.hset(key, mapping=values)
            pipe.execute()
        yield client
        client.delete(*keys)
        for name in client.execute_command("FT._LIST"):
            if name.startswith(b"cf"):
                client.execute_command("FT.DROPINDEX", name)


def kind(message: str) -> str:
    """An error without the values in it."""
    return re.sub(r"`[^`]*`|'[^']*'|\d+", "_", message)


def close(left: Any, right: Any) -> bool:
    """Whether two values are the same, numbers as near as float32 allows."""
    try:
        a, b = float(left), float(right)
    except (TypeError, ValueError):
        return bool(left == right)
    return math.isclose(a, b, rel_tol=1e-4, abs_tol=1e-6) or (math.isnan(a) and math.isnan(b))


def same_rows(left: list[Any], right: list[Any]) -> bool:
    """Whether lists of names and values are the same; a hit's fields have no order."""
    if len(left) != len(right):
        return False
    for a, b in zip(left, right, strict=True):
        mine, theirs = (sorted(zip(flat[::2], flat[1::2], strict=True)) for flat in (a, b))
        if [name for name, _ in mine] != [name for name, _ in theirs]:
            return False
        if not all(close(x, y) for (_, x), (_, y) in zip(mine, theirs, strict=True)):
            return False
    return True


def same_search(args: list[bytes], got: list[Any], told: list[Any]) -> bool:
    plain = any(word.upper() == b"NOCONTENT" for word in args) or not any(
        isinstance(part, list) for part in told
    )
    if plain:
        ordered = b"=>" in args[2]
        return got == told if ordered else got[0] == told[0] and set(got[1:]) == set(told[1:])
    same_keys = got[0] == told[0] and got[1::2] == told[1::2]
    return bool(same_keys and same_rows(got[2::2], told[2::2]))


def same_aggregate(args: list[bytes], got: list[Any], told: list[Any]) -> bool:
    if got[0] != told[0]:
        return False
    mine, theirs = got[1:], told[1:]
    if b"LIMIT" in args and b"SORTBY" not in args:  # any rows are right
        return [sorted(row[::2]) for row in mine] == [sorted(row[::2]) for row in theirs] or b"*" in args
    if b"GROUPBY" in args:
        mine, theirs = sorted(mine), sorted(theirs)
    return same_rows(mine, theirs)


def same_info(got: list[Any], told: list[Any]) -> bool:
    mine, theirs = (dict(zip(flat[::2], flat[1::2], strict=True)) for flat in (got, told))
    steady = [name for name in theirs if name.decode() not in VOLATILE]
    return list(mine) == list(theirs) and all(mine[name] == theirs[name] for name in steady)


def same_sections(got: bytes, told: bytes) -> bool:
    """INFO: a stand-in tells no figure that was not recorded; at least the recording's indexes are counted."""
    mine, theirs = (
        dict(line.split(":", 1) for line in raw.decode().split() if ":" in line) for raw in (got, told)
    )
    counted = [name for name in theirs if re.search(r"number_of|indexed_documents", name)]
    names = set(mine) <= set(theirs) or set(theirs) <= set(mine)
    return bool(counted and names) and all(int(mine[name]) >= int(theirs[name]) for name in counted)


def agrees(args: list[bytes], got: Any, told: Any) -> bool:
    """Whether a reply is the recorded one, as far as the recorded server itself would repeat it."""
    if isinstance(told, dict) or isinstance(got, Exception):
        return isinstance(told, dict) and isinstance(got, Exception) and kind(str(got)) == kind(told["error"])
    name = args[0].upper()
    if name == b"FT.SEARCH":
        return same_search(args, got, told)
    if name == b"FT.AGGREGATE":
        return same_aggregate(args, got, told)
    if name == b"FT.INFO":
        return same_info(got, told)
    if name == b"INFO":
        return same_sections(got, told)
    if name == b"FT._LIST":
        return set(got) >= set(told)
    if name == b"MODULE":
        return {tuple(entry[:4]) for entry in told} <= {tuple(entry[:4]) for entry in got}
    if name == b"CONFIG":  # the number of threads is the machine's
        return bool(got[::2] == told[::2])
    return bool(got == told)


def answered(client: redis.Redis, args: list[bytes]) -> Any:
    """The reply to a command; an index that is asked for later is waited for."""
    try:
        got = client.execute_command(*args)
    except redis.ResponseError as exc:
        return exc
    if args[0] == b"FT.CREATE" and args[1] not in {b"cfx", b"cfn", b"cfall"}:
        until(lambda: b"ready" in client.execute_command("FT.INFO", args[1]), "the index is ready")
    return got


def test_every_recorded_command_gets_its_recorded_reply(
    answering: redis.Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    differing: list[dict[str, Any]] = []
    refused = exact = 0
    for command in COMMANDS:
        args, told = [wire(arg) for arg in command["args"]], wire(command["reply"])
        got = answered(answering, args)
        refused += isinstance(told, dict)
        exact += isinstance(told, dict) and str(got) == told["error"]
        if not agrees(args, got, told):
            differing.append(command | {"got": got})
    table = [f"{len(COMMANDS)} commands, {len(COMMANDS) - len(differing)} agree, {len(differing)} exceptions"]
    table.append(f"{refused} are refused, {exact} of them in the very words")
    for family, count in Counter(command["family"] for command in COMMANDS).items():
        table.append(f"  {family:16} {count:4}, {sum(d['family'] == family for d in differing)} exceptions")
    table += [f"  {d['note']}: {EXCEPTIONS.get(d['note'], 'NOT EXPLAINED')}" for d in differing]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table) + "\n")
    unexplained = [d for d in differing if d["note"] not in EXCEPTIONS]
    assert not unexplained, "\n".join(str(d)[:400] for d in unexplained)
    assert len(differing) <= MOST_EXCEPTIONS * len(COMMANDS)


def test_the_comparison_sees_another_engine() -> None:
    """RediSearch's recorded replies to the same commands: what only one of the two refuses, and much else, differs."""
    others = [wire(entry["reply"]) for entry in recorded("redisearch-2.10.5")[1:]]
    seen: Counter[tuple[bool, bool]] = Counter()
    for command, other in zip(COMMANDS, others, strict=True):
        args, told = [wire(arg) for arg in command["args"]], wire(command["reply"])
        got = redis.ResponseError(other["error"]) if isinstance(other, dict) else other
        seen[isinstance(told, dict), agrees(args, got, told)] += 1
    assert seen[True, True] < 10
    assert seen[False, False] > 50
    assert seen[False, True] > 50
