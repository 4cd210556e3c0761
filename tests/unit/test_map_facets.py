"""Bars beside the map and what stands for a region: against counting in Python."""

from __future__ import annotations

import numpy as np
import pytest

from memdb.maps import clusters, facets, region
from memdb.maps.request import Level, Map, MapRequest
from memdb.ui.map import painting
from memdb.ui.map.figures import Colouring
from memdb.vectors import distance


def test_bars_count_every_value_once_a_point() -> None:
    rng = np.random.default_rng(0)
    names = [f"v{i}" for i in range(40)]
    held = [tuple(rng.choice(names, rng.integers(0, 4))) for _ in range(500)]  # repeats, and points without
    facet = facets.of_tags("tag", held)
    counts = {name: sum(name in values for values in held) for name in names}
    ranked = sorted((n for n in names if counts[n]), key=lambda n: (-counts[n], n))
    assert list(facet.values) == ranked[: facets.MOST]
    assert facet.left == len(ranked) - facets.MOST
    some = rng.random(500) < 0.3
    expected = [sum(v in held[i] for i in np.flatnonzero(some)) for v in facet.values]
    assert facet.counts(some).tolist() == expected
    chosen = facet.holding([0, 3])
    wanted = {facet.values[0], facet.values[3]}
    assert chosen.tolist() == [bool(wanted & set(values)) for values in held]
    assert facet.holding([]).all()
    assert facet.holding([99]).all()


@pytest.mark.parametrize("kind", ["many", "few", "one", "none", "skewed", "times", "few times"])
def test_ranges_of_numbers_hold_what_they_say(kind: str) -> None:
    rng = np.random.default_rng(1)
    numbers = {
        "many": rng.normal(size=300).round(3).astype(str).tolist(),
        "few": rng.choice(["2001", "2002", "2003"], 300).tolist(),
        "one": ["7"] * 300,
        "none": [""] * 300,
        "skewed": ["0"] * 200 + [str(i) for i in range(1, 101)],
        "times": [str(1_700_000_000 + int(i)) for i in rng.integers(0, 90_000, 300)],
        "few times": rng.choice(["1700000000", "1700000060", "1700000120"], 300).tolist(),
    }[kind]
    held = [*numbers, "", "x", "nan"]
    facet = facets.of_numbers("n", held)
    every = np.ones(len(held), bool)
    assert facet.counts(every).sum() == sum(bool(number) for number in numbers)
    assert len(set(facet.values)) == len(facet.values)
    for words, count in zip(facet.values, facet.counts(every).tolist(), strict=True):
        ends = words.replace("below ", "").split(" to ")
        known = [float(number) for number in numbers if number]
        if len(ends) == 1:
            assert count == known.count(float(ends[0]))
        elif "below" in words:
            assert count == sum(float(ends[0]) <= x < float(ends[1]) for x in known)
        else:
            assert count == sum(float(ends[0]) <= x <= float(ends[1]) for x in known)


@pytest.mark.parametrize("metric", ["COSINE", "L2", "IP"])
def test_what_stands_for_a_region(metric: str) -> None:
    rng = np.random.default_rng(2)
    raw = rng.normal(size=(200, 6)) + 3
    raw[50] = raw[51] = raw[52]
    raw[70] = raw[71]
    raw[80] = -4 * raw[81]
    vectors = distance.prepared(raw.astype(np.float32), metric)
    chosen = np.arange(40, 100)
    here = region.inside(vectors, metric, chosen, limit=4)
    middle = vectors[chosen].astype(float).mean(axis=0)
    far = {
        i: float(((vectors[i] - middle) ** 2).sum()) if metric == "L2" else -float(vectors[i] @ middle)
        for i in chosen.tolist()
    }
    ranked = sorted(far, key=lambda i: far[i])
    assert set(here.typical.tolist()) == set(ranked[:4])
    assert here.odd[0] == ranked[-1] == 80
    assert here.copies == ((50, 51, 52), (70, 71))
    few = region.inside(vectors, metric, np.array([3, 4]), limit=4)
    assert set(few.typical.tolist()) == {3, 4}
    assert not len(few.odd)
    assert not few.copies


def test_finer_levels_lie_within_and_are_named_on_the_map() -> None:
    rng = np.random.default_rng(3)
    towns = rng.uniform(-50, 50, (6, 2))
    streets = (towns[:, None, :] + rng.normal(0, 4, (6, 5, 2))).reshape(-1, 2)
    where = np.repeat(np.arange(30), 60)
    xy = (streets[where] + rng.normal(0, 0.2, (1_800, 2))).astype(np.float32)
    levels = [clusters.clusters(xy, level=level) for level in range(clusters.LEVELS)]
    counts = [int(labels.max()) + 1 for labels in levels]
    assert counts[0] <= counts[-1]
    assert counts[-1] >= 25
    texts = [f"town{i // 5} street{i}" for i in where.tolist()]
    names = [clusters.names(texts, labels, count) for labels, count in zip(levels, counts, strict=True)]
    made = Map(
        MapRequest("i"),
        "UMAP",
        tuple(map(str, range(1_800))),
        xy,
        1_800,
        "L2",
        "",
        (),
        labels=levels[0],
        names=names[0],
        finer=tuple(Level(labels, given) for labels, given in zip(levels[1:], names[1:], strict=True)),
    )
    labels = painting.labels(xy, made)
    written = [{label.text for label in labels if label.level == level} for level in range(3)]
    assert not written[0] & written[1]
    assert not (written[0] | written[1]) & written[2]
    assert {label.level for label in labels} <= {0, 1, 2}
    assert [label.level for label in labels] == sorted(label.level for label in labels)
    for label in labels:  # each stands among points of what it names
        near = ((xy - [label.x, label.y]) ** 2).sum(axis=1).argmin()
        own = [made.labels, *(fine.labels for fine in made.finer)][label.level]
        given = [made.names, *(fine.names for fine in made.finer)][label.level]
        assert own[near] >= 0
        assert given[own[near]] == label.text


def test_no_group_counts_as_noise_where_there_are_many() -> None:
    """Each has its own colour and name, also where there are more than a legend shows at once."""
    rng = np.random.default_rng(5)
    groups = np.repeat(np.arange(110), 30)
    middles = np.stack(np.meshgrid(np.arange(11), np.arange(10)), axis=-1).reshape(-1, 2)
    xy = (middles[groups] + rng.normal(0, 0.02, (3_300, 2))).astype(np.float32)
    labels = clusters.clusters(xy)
    assert labels.max() + 1 == 110
    assert (labels >= 0).mean() > 0.98
    named = np.array([*(f"group {i}" for i in range(110)), "between clusters"], dtype=object)
    shades = painting.painted(Colouring("clusters", named[labels].tolist()), dark=False)
    assert sum(not category.faint for category in shades.categories) == 110
    assert [shades.categories[code].text.rpartition(" (")[0] for code in shades.codes] == list(named[labels])


def test_what_sets_a_selection_apart_is_counted() -> None:
    rng = np.random.default_rng(4)
    n = 400
    chosen = np.sort(rng.choice(n, 90, replace=False))
    inside = np.zeros(n, bool)
    inside[chosen] = True
    rare = [("rare", "all") if i and rng.random() < 0.7 else ("all",) for i in inside.tolist()]
    rare[int(np.flatnonzero(~inside)[0])] = ("rare",)
    year = [str(2_000 + int(rng.integers(20 if i else 0, 40))) for i in inside.tolist()]
    told = region.traits({"tag": rare}, {"year": year}, [""] * n, chosen, limit=50)
    by_value = {(trait.field, trait.value): trait for trait in told}
    assert ("tag", "all") not in by_value  # as frequent outside
    trait = by_value["tag", "rare"]
    here = sum("rare" in rare[i] for i in chosen.tolist())
    assert (trait.inside, trait.outside) == (here / 90, 1 / 310)
    odds = np.log((here + 0.5) / (90 - here + 0.5)) - np.log(1.5 / 309.5)
    assert trait.log_odds == pytest.approx(odds)
    ranges = {value: each for (field, value), each in by_value.items() if field == "year"}
    assert ranges
    for value, each in ranges.items():
        low, high = map(float, value.split(" to "))
        last = high == max(map(float, year))
        held = np.array([low <= float(x) < high or (last and float(x) == high) for x in year])
        assert each.inside == held[inside].mean()
        assert each.outside == held[~inside].mean()
    assert {field for field, _ in by_value} == {"tag", "year"}
    times = [str(1_700_000_000 + 60 * int(i)) for i in rng.integers(0, 3, n)]
    told = region.traits({}, {"at": times}, [""] * n, chosen, limit=50)
    assert told
    for trait in told:
        assert trait.inside == np.mean([times[i] == trait.value for i in chosen.tolist()])
    # Nothing is elsewhere: nothing is over-represented.
    assert region.traits({"tag": rare}, {"year": year}, [""] * n, np.arange(n)) == ()
