"""`memdb size` and `memdb calibrate`: memory, nodes and dollars of a plan; a profile from measurement."""

from __future__ import annotations

import argparse

from memdb.cli.output import Bar, print_json, print_table
from memdb.cluster.client import connect
from memdb.cluster.find import find_target
from memdb.display import bytes_text
from memdb.errors import BadInput
from memdb.settings import Settings
from memdb.sizing import calibrate as fitting
from memdb.sizing import catalogue, plan, prices, profiles
from memdb.sizing.constraints import Load
from memdb.sizing.model import COMPONENTS, Profile
from memdb.sizing.plan import Inputs, Plan
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions, Shape


def size(found: argparse.Namespace) -> int:
    """Predict, choose, print."""
    home = Settings.from_env().home
    inputs = Inputs(
        _shape(found),
        Sessions(found.sessions_per_second, found.session_bytes, found.session_ttl),
        Load(
            queries_per_s=found.queries,
            written_per_s=found.writes,
            replicas=found.replicas,
            snapshot_days=found.snapshot_days,
        ),
        Wishes(found.region, found.engine, found.reserve),
    )
    known = catalogue.load().with_prices(prices.load(home))
    made = plan.plan(inputs, profiles.load(found.profile, home), known)
    if found.json:
        print_json(plan.as_json(made))
    else:
        _show(made)
    return 0


def calibrate(found: argparse.Namespace) -> int:
    """Fit a profile to an index, or to growing samples of a shape on a local engine; keep it."""
    settings = Settings.from_env()
    if found.index and found.dim is not None:
        raise BadInput(
            "Both --index and --dim are given.", "Calibrate on an index, or on samples of a shape."
        )
    if not found.index and found.dim is None:
        raise BadInput("There is nothing to calibrate on.", "Give --index NAME, or --dim N for samples.")
    profile: Profile
    with Bar() as bar:
        if found.index:
            with connect(find_target(settings, found.url)) as client:
                read = fitting.from_index(client, found.index, found.name, report=bar.report)
            profile, about = read.profile, {"keys_sampled": read.keys_sampled, "notes": list(read.notes)}
        else:
            grown = fitting.from_samples(
                _shape(found), settings, found.name, documents=found.docs, seed=found.seed, report=bar.report
            )
            profile = grown.profile
            about = {
                "foretold_error": round(grown.foretold, 5),
                "measured": [
                    {"documents": m.shape.vectors, "bytes": round(m.total_bytes)} for m in grown.measured
                ],
            }
    path = profiles.save(profile, settings.home)
    if found.json:
        print_json({"profile": profile.name, **_about(profile), **about})
        return 0
    print(f"{profile.title}: {profile.source}.")
    print(
        f"Documents take {profile.keyspace_factor:.3f} and the index {profile.index_factor:.3f} of what the "
        f"built-in profile says; interval {profile.low - 1:+.1%} to {profile.high - 1:+.1%}."
    )
    print(f"Kept in {path}. Use it: memdb size --profile {profile.name} …")
    return 0


def _about(profile: Profile) -> dict[str, object]:
    return {
        "engine": profile.engine,
        "source": profile.source,
        "keyspace_factor": round(profile.keyspace_factor, 5),
        "index_factor": round(profile.index_factor, 5),
        "interval": [round(profile.low, 4), round(profile.high, 4)],
        "calibrated": profile.calibrated,
        "samples": profile.samples,
    }


def _shape(found: argparse.Namespace) -> Shape:
    return Shape(
        vectors=getattr(found, "vectors", 1),
        dim=found.dim,
        type=found.type,
        m=found.m,
        algorithm=found.algorithm,
        key_type=found.on,
        metadata_bytes=found.metadata_bytes,
        text_bytes=found.text_bytes,
        tags=found.tags,
        numbers=found.numbers,
        key_bytes=found.key_bytes,
    )


def _show(found: Plan) -> None:
    estimate = found.estimate
    rows = [
        (COMPONENTS[name], bytes_text(part), f"{part / estimate.total_bytes:.0%}")
        for name, part in estimate.components.items()
        if part
    ]
    rows.append(("One node in all", bytes_text(estimate.total_bytes), ""))
    print_table(f"Profile {estimate.profile.name} ({estimate.profile.grade})", ("", "bytes", "share"), rows,
                right=(1, 2))  # fmt: skip
    print(f"Interval: {bytes_text(estimate.low_bytes)} to {bytes_text(estimate.high_bytes)}.")
    if found.options:
        offers = [
            (
                option.choice.node.name,
                str(option.choice.nodes),
                f"{option.choice.used_share:.0%}",
                f"${option.monthly_usd:,.0f}",
                f"{option.choice.price.grade}, {option.choice.price.date or 'now'}",
            )
            for option in found.options
        ]
        title = f"MemoryDB in {found.inputs.wishes.region}, {found.inputs.wishes.reserve:.0%} kept free"
        print_table(title, ("node", "nodes", "used", "a month", "price"), offers, right=(1, 2, 3))
    else:
        print(found.choices.why_none)
        for text in found.choices.instead:
            print(f"  {text}")
    for limit in found.limits:
        if limit.ok is False:
            print(f"Not possible: {limit.text}")
    for note in estimate.notes:
        print(f"Note: {note}")
