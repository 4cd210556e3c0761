"""What is asked in a sweep: made queries, documents, texts, a file, or the queries of an earlier run."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memdb import files
from memdb.cluster.client import Client
from memdb.display import bytes_text
from memdb.embedding import Embedder, fits
from memdb.embedding.answers import checked_texts
from memdb.embedding.local import Local
from memdb.errors import BadInput, BadVector
from memdb.jobs import Report, silent
from memdb.tuning import unseen as unseen_like
from memdb.tuning.load import answers, questions
from memdb.tuning.query_rows import MOST_BYTES, MOST_QUERIES, check_count, rows_of
from memdb.tuning.run import CERTAIN, Ask, Queries, Run, SweepRequest, Uncertainty
from memdb.tuning.sample import Sample
from memdb.tuning.settling import reference_ef
from memdb.tuning.source import Documents, File, Given, Repeated, Selected, Source, Texts, Unseen
from memdb.tuning.vectors import documents
from memdb.vectors import chance, distance
from memdb.vectors.distance import Floats, Vectors
from memdb.vectors.exact import Neighbours, nearest
from memdb.vectors.filters import EVERYTHING, Condition, Raw, render
from memdb.vectors.index import IndexInfo, VectorParams
from memdb.vectors.nothing import nothing
from memdb.vectors.read import NOTHING, Block, LeftOut, blocks_of, vectors_of

_LEAST_BYTES, _NUMBER_BYTES = 16 * 2**20, 32  # what any may have, and what a number takes as text
FILE_TYPES = ("npy", "parquet", "csv", "jsonl", "json")


def local_embedder() -> Embedder:
    """The model of this machine, where no other is named."""
    return Embedder(Local())


def unseen(
    client: Client,
    info: IndexInfo,
    field: str,
    count: int,
    seed: int,
    condition: Condition | str = EVERYTHING,
    *,
    k: int = 10,
    keys: Sequence[str] = (),
    report: Report = silent,
    sample: Sample | None = None,
) -> Queries:
    """Made queries, as hard to answer as documents that the index does not hold (`memdb.tuning.unseen`).

    Each is a random document under the filter, moved away from its place; that document is left out of the
    results. Nothing is written to the index: its vectors are read, and a sample of them is indexed in this
    process to find out how far queries must be moved.

    Args:
        client: where the index is.
        info: the index.
        field: its vector field; empty for the first.
        count: how many; as many as documents match where these are fewer.
        seed: of the choice. With the same seed fewer queries are the beginning of more.
        condition: the filter of the sweep.
        k: how many neighbours will be asked for.
        keys: documents to make them from, instead of random ones.
        report: progress of the reading.
        sample: documents under the filter to make them of, in the place of all: what lies near is then asked
            of the index itself.

    Raises:
        BadInput: `count` is out of range, or no document with a vector matches.
    """
    check_count(count)
    vector_field, params = info.vector_field(field)
    drawn = None if sample is None else _of_sample(sample, params)
    matching: frozenset[str] | None = None  # of `some` those under the filter, where these are not all
    if keys:
        named = of_keys(client, info, field, keys)
        bases = _Documents(named.own_keys, np.asarray(named.vectors, np.float32))
        some = drawn or _random(client, info, field, unseen_like.SAMPLE, seed, EVERYTHING, report)
    elif drawn is not None:
        some = drawn
        bases = drawn.first(count)
    elif render(condition, client.server.dialect, info).everything:
        some = _random(client, info, field, max(count, unseen_like.SAMPLE), seed, condition, report)
        bases = some.first(count)
    else:
        bases = _random(client, info, field, count, seed, condition, report)
        some = _random(client, info, field, unseen_like.SAMPLE, seed, EVERYTHING, report)
        if params.algorithm == "HNSW":
            matching = _among(client, info, field, some.keys, condition)
    if not len(bases.keys):
        raise nothing(info, _words(client, info, condition), vector_field.name, bases.left_out)
    some = some.first(unseen_like.SAMPLE)
    donors = some.first(unseen_like.DONORS)
    # Nearness is that of the points: by inner product a document need not be near to itself.
    geometry = "COSINE" if params.metric == "COSINE" else "L2"
    places, own = np.concatenate([bases.vectors, donors.vectors]), (*bases.keys, *donors.keys)
    if sample is not None:
        near = _named(client, info, field, sample, places, own, report)
    else:
        every = documents(client, info, field, report=report)
        near = nearest(every, places, unseen_like.NEIGHBOURS, geometry, excluded=own)
    lengths = np.full((len(near.keys), unseen_like.NEIGHBOURS), np.nan)
    for row, far in enumerate(near.distances):
        lengths[row, : len(far)] = np.sqrt(np.maximum(far * (2 if geometry == "COSINE" else 1), 0))
    ranks, reach, copies = unseen_like.first_apart(lengths)
    ways = _ways(client, info, field, donors, near.keys[len(bases.keys) :], ranks[len(bases.keys) :])
    calibration = unseen_like.UNMEASURED
    if params.algorithm == "HNSW":
        calibration = unseen_like.calibrated(
            some.vectors,
            params.metric,
            params.m or 16,
            params.ef_construction or 200,
            k,
            seed,
            matching=None if matching is None else np.array([key in matching for key in some.keys]),
            report=report,
        )
    vectors = bases.vectors
    if ways:
        lent = unseen_like.lent(bases.keys, tuple(ways), seed)
        vectors = unseen_like.moved(
            bases.vectors,
            # Where a copy of a document is, an unseen copy is asked just so: it is not moved.
            np.where(copies > 0, 0.0, reach)[: len(bases.keys)],
            np.stack([ways[key] for key in lent]),
            calibration.scale,
            params.metric,
        )
    return made(
        vectors,
        tuple(f"made from {key}" for key in bases.keys),
        bases.keys,
        Unseen(len(bases.keys), seed, extend=False),
        uncertainty=CERTAIN if params.algorithm == "FLAT" else calibration.uncertainty,
    )


def random_documents(
    client: Client,
    info: IndexInfo,
    field: str,
    count: int,
    seed: int,
    condition: Condition | str = EVERYTHING,
    *,
    report: Report = silent,
    sample: Sample | None = None,
) -> Queries:
    """Documents of the index as queries, each to be left out of its own results.

    They are nodes of the graph and easier to find than a question: recall reads higher than what unseen
    queries get. All documents under the filter are equally likely, and the same seed chooses the same
    documents whatever order the engine lists them in: chosen are those whose seeded hash of the key is
    smallest.

    Args:
        client: where the index is.
        info: the index.
        field: its vector field; empty for the first.
        count: how many; all of them where fewer match.
        seed: of the choice.
        condition: the filter of the sweep.
        report: progress of the reading.
        sample: to take them from, in the place of all.

    Raises:
        BadInput: `count` is out of range, or no document with a vector matches.
    """
    check_count(count)
    if sample is not None:
        chosen = _of_sample(sample, info.vector_field(field)[1]).first(count)
    else:
        chosen = _random(client, info, field, count, seed, condition, report)
    if not chosen.keys:
        name = info.vector_field(field)[0].name
        raise nothing(info, _words(client, info, condition), name, chosen.left_out)
    return made(chosen.vectors, chosen.keys, chosen.keys, Documents(len(chosen.keys), seed, extend=False))


def of_keys(client: Client, info: IndexInfo, field: str, keys: Sequence[str]) -> Queries:
    """Documents that a user named as queries, each to be left out of its own results.

    Raises:
        BadInput: none is given, too many are, or none holds a usable vector.
    """
    check_count(len(keys))
    block = vectors_of(client, info, field, tuple(dict.fromkeys(keys)))
    if block is None:
        raise BadInput("None of these documents holds a usable vector.", "Select others.")
    chosen = _usable(block, info.vector_field(field)[1].metric)
    if not chosen.keys:
        raise BadInput("None of these documents holds a vector with a direction.", "Select others.")
    return made(chosen.vectors, chosen.keys, chosen.keys, Selected(chosen.keys))


def texts(
    texts_given: Sequence[str],
    info: IndexInfo,
    field: str = "",
    *,
    embedder: Callable[[], Embedder] = local_embedder,
    report: Report = silent,
) -> Queries:
    """Typed texts, embedded by `embedder`, which is made once there is something to embed.

    Raises:
        BadInput: none, too many, a blank one, or the index was built with a model of another dimension.
        MemDBError: the model did not answer.
    """
    check_count(len(texts_given))
    embedder_used, vectors = _embedded(list(texts_given), info, field, embedder, report)
    return made(vectors, texts_given, (), Texts(tuple(texts_given), embedder_used.spec))


def from_run(run: Run, info: IndexInfo, field: str = "") -> Queries:
    """The queries of an earlier run, so that two runs can be compared in pairs.

    Raises:
        BadVector: the index takes vectors of another length.
    """
    _, params = info.vector_field(field)
    have = run.queries.vectors.shape[1]
    if have != params.dim:
        raise BadVector(
            f"The queries of run '{run.id}' have {have:,} numbers; '{info.name}' expects {params.dim:,}.",
            "Choose a run over an index with the same model.",
            expected=params.dim,
            got=have,
        )
    source = Repeated(run.id, run.queries.source)
    return replace(run.queries, source=source)


def from_file(
    name: str,
    content: bytes,
    info: IndexInfo,
    field: str = "",
    *,
    column: str = "",
    path: str = "",
    embedder: Callable[[], Embedder] = local_embedder,
    report: Report = silent,
) -> Queries:
    """Vectors or texts out of a file.

    `.npy`: (q, dim) numbers. `.csv`, `.parquet` and `.jsonl`: a column of vectors (lists, or JSON lists as
    text), or of texts, or one column for each number. JSONL lines may also be bare lists or strings, or
    replies of an embeddings service, each of one or more vectors. `.json`: a list of what JSONL has a line
    each, or one of them.

    Args:
        name: of the file; its ending says what it is.
        content: of the file.
        info: the index.
        field: its vector field; empty for the first.
        path: where it lies, kept for whoever repeats the run; empty for one that was uploaded.
        embedder: makes what embeds texts, where the file holds such.
        column: which to use; empty for one called vector, embedding, text or query, else the first that fits.
        report: progress of embedding texts.

    Raises:
        BadInput: no such kind of file, damaged, empty, too large, or without a usable column.
        BadVector: a row of the wrong length, with values that are not finite, or zero under COSINE; the row
            is named.
    """
    kind = name.rsplit(".", 1)[-1].lower()
    file = name.rsplit("/", 1)[-1]
    if kind not in FILE_TYPES:
        raise BadInput(
            f"'{file}' is no file of queries that can be read.",
            f"Use one of: {', '.join('.' + t for t in FILE_TYPES)}.",
        )
    _, params = info.vector_field(field)
    most = min(MOST_BYTES, max(_LEAST_BYTES, MOST_QUERIES * params.dim * _NUMBER_BYTES))
    if len(content) > most:
        raise BadInput(
            f"'{file}' has {bytes_text(len(content))}; at most {bytes_text(most)} are read for queries of "
            f"{params.dim:,} numbers.",
            "Take a part of its rows.",
        )
    rows = rows_of(kind, content, file, column, params.dim)
    check_count(len(rows), f"'{file}' holds")
    source = File(file, path)
    if all(isinstance(row, str) for row in rows):
        embedder_used, embedded = _embedded(list(rows), info, field, embedder, report)
        return made(embedded, rows, (), replace(source, model=embedder_used.spec))
    where = f"'{info.name}'"
    vectors = np.empty((len(rows), params.dim), np.float32)
    for i, row in enumerate(rows):
        try:
            vectors[i] = distance.directed(distance.checked(row, params.dim, where), params.metric)
        except BadVector as exc:
            raise BadVector(
                f"Row {i + 1} of '{file}': {exc}", exc.hint, expected=exc.expected, got=exc.got
            ) from None
    return made(vectors, tuple(f"row {i + 1} of {file}" for i in range(len(rows))), (), source)


def content_of(path: str) -> bytes:
    """The content of a file of queries on this machine.

    Raises:
        BadInput: it cannot be read.
    """
    try:
        return files.named(Path(path).expanduser(), MOST_BYTES)
    except OSError as exc:
        raise BadInput(
            f"The file of queries '{path}' cannot be read: {files.reason(exc)}.",
            "Give a number of made queries, or the path of a .npy, .parquet, .csv, .json or .jsonl file.",
        ) from None


def made(
    vectors: Vectors,
    labels: Sequence[str],
    own_keys: Sequence[str] = (),
    source: Source = Given(),  # noqa: B008  # frozen
    *,
    uncertainty: Uncertainty = CERTAIN,
    asks: tuple[Ask, ...] = (),
) -> Queries:
    """Queries (n, d) with their digest. `own_keys` may be empty: none of them is a document."""
    own = tuple(own_keys) or ("",) * len(labels)
    type_ = np.float64 if vectors.dtype == np.float64 else np.float32
    digest = hashlib.sha256(np.ascontiguousarray(vectors, type_).tobytes())
    digest.update("\0".join(own).encode("utf-8", "surrogateescape"))
    if asks:
        digest.update(repr(asks).encode("utf-8", "surrogateescape"))
    return Queries(vectors, tuple(labels), own, source, digest.hexdigest()[:32], uncertainty, asks)


@dataclass(frozen=True, slots=True, eq=False)
class _Documents:
    keys: tuple[str, ...]
    vectors: Floats  # (len(keys), dim), prepared
    left_out: LeftOut = NOTHING  # of those that were looked at

    def first(self, count: int) -> _Documents:
        return _Documents(self.keys[:count], self.vectors[:count], self.left_out)


def _of_sample(sample: Sample, params: VectorParams) -> _Documents:
    """Its documents with a usable vector, in the order of the drawing."""
    usable = [_usable(block, params.metric) for block in sample.blocks]
    at = {key: (part, i) for part in usable for i, key in enumerate(part.keys)}
    keys = tuple(key for key in sample.keys if key in at)
    vectors = [at[key][0].vectors[at[key][1]] for key in keys]
    return _Documents(keys, np.stack(vectors) if vectors else np.empty((0, params.dim), np.float32))


def _named(
    client: Client,
    info: IndexInfo,
    field: str,
    sample: Sample,
    places: Floats,
    own: Sequence[str],
    report: Report,
) -> Neighbours:
    """The documents that lie nearest to some places, as the index itself names them.

    By inner product what it names need not lie near: the nearest of these and of the sample are taken.

    Args:
        client: where the index is.
        info: the index.
        field: its vector field.
        sample: of its documents.
        places: (q, dim).
        own: for each place the key that does not count.
        report: progress.
    """
    params = info.vector_field(field)[1]
    wanted = unseen_like.NEIGHBOURS + 1  # the document at the place itself comes too
    request = SweepRequest(info.name, field, k=wanted)
    limit = client.server.dialect.limits.ef_runtime
    ef = min(limit, 2 * reference_ef(request, limit)) if params.has_ef else 0
    batch = questions(client, info, request, places, ef, k=wanted, condition=EVERYTHING)
    answered = 0

    def progress(more: int) -> None:
        nonlocal answered
        answered += more
        report("Looking for neighbours", answered, len(places))

    named = [
        row for some in answers(client, batch, progress, budget_qps=client.queries_per_s) for row in some
    ]
    if params.metric == "IP":
        keys = dict.fromkeys(key for row, _ in named for key in row)
        sampled = set(sample.keys)
        others = blocks_of(client, info, field, [key for key in keys if key not in sampled])
        return nearest((*sample.blocks, *others), places, unseen_like.NEIGHBOURS, "L2", excluded=own)
    answers_kept = [
        [(key, far) for key, far in zip(*row, strict=True) if key != mine][: unseen_like.NEIGHBOURS]
        for row, mine in zip(named, own, strict=True)
    ]
    return Neighbours(
        tuple(tuple(key for key, _ in row) for row in answers_kept),
        tuple(np.array([far for _, far in row]) for row in answers_kept),
        len(sample.keys),
    )


def _random(
    client: Client,
    info: IndexInfo,
    field: str,
    count: int,
    seed: int,
    condition: Condition | str,
    report: Report,
) -> _Documents:
    """So many documents with the smallest seeded hash of their key: fewer are the beginning of more."""
    _, params = info.vector_field(field)
    salt = chance.salted(seed)
    best: list[tuple[int, str, Floats]] = []
    left_out = NOTHING
    for every in documents(client, info, field, condition, report=report):
        left_out += every.left_out
        block = _usable(every, params.metric)
        ranked = heapq.nsmallest(count, ((chance.number(key, salt), i) for i, key in enumerate(block.keys)))
        # Copies, not views: a view would hold its whole block in memory.
        best += [(h, block.keys[i], block.vectors[i].copy()) for h, i in ranked]
        if len(best) > 4 * count + 1_000:
            best = heapq.nsmallest(count, best, key=lambda item: item[:2])
    best = heapq.nsmallest(count, best, key=lambda item: item[:2])
    vectors = [vector for _, _, vector in best]
    stacked = np.stack(vectors) if vectors else np.empty((0, params.dim), np.float32)
    return _Documents(tuple(key for _, key, _ in best), stacked, left_out)


def _among(
    client: Client, info: IndexInfo, field: str, keys: Sequence[str], condition: Condition | str
) -> frozenset[str]:
    """Those of some documents that are under a filter; what was read of these before is not read again."""
    wanted = frozenset(keys)
    return frozenset(
        key for block in documents(client, info, field, condition) for key in block.keys if key in wanted
    )


def _usable(block: Block, metric: str) -> _Documents:
    """The first vector of each document; under COSINE none that is zero, which is near to nothing."""
    first = block.single()
    if metric != "COSINE" or first.vectors.any(axis=1).all():
        return _Documents(first.keys, first.vectors.astype(np.float32, copy=False))
    rows = np.flatnonzero(first.vectors.any(axis=1))
    return _Documents(tuple(first.keys[i] for i in rows.tolist()), first.vectors[rows].astype(np.float32))


def _words(client: Client, info: IndexInfo, condition: Condition | str) -> str:
    """A filter in words; "*" where there is none."""
    if isinstance(condition, str):
        return condition
    if isinstance(condition, Raw):
        return condition.expression
    rendered = render(condition, client.server.dialect, info)
    return "*" if rendered.everything else rendered.query


def _ways(
    client: Client,
    info: IndexInfo,
    field: str,
    donors: _Documents,
    near: Sequence[tuple[str, ...]],
    places: NDArray[np.int64],
) -> dict[str, Floats]:
    """The way from each donor to its nearest neighbour that is no copy, by the donor's key."""
    wanted = [
        keys[place] if place < len(keys) else "" for keys, place in zip(near, places.tolist(), strict=True)
    ]
    block = vectors_of(client, info, field, tuple(dict.fromkeys(key for key in wanted if key)))
    if block is None:
        return {}
    ways_of: dict[str, list[Floats]] = {}
    for key, vector in zip(block.keys, block.vectors, strict=True):
        ways_of.setdefault(key, []).append(vector)
    ways = {}
    for key, vector, towards in zip(donors.keys, donors.vectors, wanted, strict=True):
        # Of a document of several vectors the nearest counts.
        lengths = [(float(np.linalg.norm(other - vector)), other) for other in ways_of.get(towards, ())]
        length, nearest_one = min(lengths, key=lambda pair: pair[0], default=(0.0, vector))
        if length > 0:
            ways[key] = nearest_one - vector
    return ways


def _embedded(
    texts_given: list[str], info: IndexInfo, field: str, embedder: Callable[[], Embedder], report: Report
) -> tuple[Embedder, Floats]:
    checked_texts(texts_given)
    embedder_used = embedder()
    fits(embedder_used, info.vector_field(field)[1], info.name)
    return embedder_used, embedder_used.ask(texts_given, report=report).vectors
