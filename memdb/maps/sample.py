"""Which documents a map shows. The index is read once, block by block; memory is that of the sample."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from memdb.cluster.client import Client
from memdb.display import counted
from memdb.errors import BadInput
from memdb.jobs import Report, silent
from memdb.maps.request import LEAST, MOST, MapRequest
from memdb.tuning.vectors import documents
from memdb.vectors import chance, tags
from memdb.vectors.counts import tag_field
from memdb.vectors.distance import Floats
from memdb.vectors.filters import Raw
from memdb.vectors.index import IndexInfo
from memdb.vectors.nothing import nothing
from memdb.vectors.read import NOTHING, LeftOut

_MISSING = ""
_Item = tuple[int, str, Floats]


@dataclass(frozen=True, slots=True, eq=False)
class MapSample:
    """Documents with their vectors."""

    keys: tuple[str, ...]
    vectors: Floats  # (n, dim), prepared for the metric
    total: int  # documents with a usable vector that match
    left_out: LeftOut = NOTHING  # those without, or that went meanwhile
    several: bool = False  # whether some hold several vectors: the first of each stands here
    without: tuple[
        str, ...
    ] = ()  # some of those without a usable vector, drawn as the others: at most as many


def sample(client: Client, info: IndexInfo, request: MapRequest, *, report: Report = silent) -> MapSample:
    """The documents of a request; the same seed gives the same ones, whatever order the engine lists them in.

    Stratified: as many of each value of the TAG field as can be had, so that rare values are seen.

    Raises:
        BadInput: fewer than four documents match.
        UnknownField: there is no such TAG field.
    """
    limit = MOST if request.by == "all" else request.count
    salt = chance.salted(request.seed)
    strata: dict[str, list[_Item]] = {}
    field = tag_field(client, info, request.stratum) if request.by == "stratified" else None
    total, left_out, several = 0, NOTHING, False
    without: list[tuple[int, str]] = []
    condition = request.condition if request.condition == "*" else Raw(request.condition, request.params)
    for every in documents(client, info, request.field, condition, report=report):
        block = every.single()
        left_out += block.left_out
        without = heapq.nsmallest(
            limit, (*without, *((chance.number(key, salt), key) for key in block.without))
        )
        several = several or every.several
        total += len(block.keys)
        where = [_MISSING] * len(block.keys)
        if field is not None:
            tags_of = tags.held(client, info, field, block.keys)
            where = [tags.folded(values[0], field) if values else _MISSING for values in tags_of]
        for name in dict.fromkeys(where):
            stratum = strata.setdefault(name, [])
            # Copies, not views: a view would hold its whole block in memory.
            stratum += [
                (chance.number(key, salt), key, block.vectors[i].copy())
                for i, key in enumerate(block.keys)
                if where[i] == name
            ]
            if len(stratum) > 2 * limit + 1_000:
                strata[name] = heapq.nsmallest(limit, stratum, key=lambda item: item[:2])
    chosen = _fairly(list(strata.values()), limit)
    if len(chosen) < LEAST:
        name = info.vector_field(request.field)[0].name
        if not chosen:
            raise nothing(info, request.condition, name, left_out)
        raise BadInput(
            f"{counted(len(chosen), 'document')} with a usable vector; a map needs at least {LEAST}.",
            " ".join((*left_out.words, "Widen the filter, or choose another index.")),
        )
    chosen.sort(key=lambda item: item[:2])
    keys, vectors = tuple(key for _, key, _ in chosen), np.stack([vector for _, _, vector in chosen])
    others = tuple(key for _, key in without[: len(keys)])
    return MapSample(keys, vectors, total, left_out, several, others)


def _fairly(strata: list[list[_Item]], limit: int) -> list[_Item]:
    """As equal parts of each as there are, `limit` in all."""
    chosen: list[_Item] = []
    strata.sort(key=len)
    for i, items in enumerate(strata):
        share = (limit - len(chosen)) // (len(strata) - i)
        chosen += heapq.nsmallest(share, items, key=lambda item: item[:2])
    return chosen
