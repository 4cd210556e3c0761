"""A plan as the command line and the Python that make it again. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from memdb.sizing.plan import SizingPlan
from memdb.sizing.shape import Sessions, Shape

Words = list[object]


def command_line(sized: SizingPlan) -> str:
    """`memdb size` with the inputs of a plan."""
    inputs = sized.inputs
    load, wishes = inputs.load, inputs.wishes
    words: Words = ["memdb", "size", "--vectors", inputs.shape.vectors]
    words += _shape(inputs.shape)
    words += _sessions(inputs.sessions)
    words += ["--queries", f"{load.queries_per_s:.10g}", "--writes", f"{load.written_per_s:.10g}"]
    words += ["--k", load.query_k, "--indexes", load.indexes, "--replicas", load.replicas]
    words += ["--snapshot-days", load.snapshot_days, "--reserve", f"{wishes.reserve:.10g}"]
    words += ["--region", wishes.region, "--engine", wishes.flavour]
    words += ["--profile", sized.estimate.profile.name, "--json"]
    return _joined(words)


def calibrate_line(shape: Shape) -> str:
    """`memdb calibrate` on samples of a shape."""
    return _joined(["memdb", "calibrate", *_shape(shape)])


def python(sized: SizingPlan) -> str:
    """The same through the library."""
    inputs = sized.inputs
    return f"""from memdb.settings import Settings
from memdb.sizing import catalogue, plan, profiles
from memdb.sizing.constraints import Load
from memdb.sizing.plan import Inputs
from memdb.sizing.services import Wishes
from memdb.sizing.shape import Sessions, Shape

inputs = Inputs(
    {inputs.shape!r},
    {inputs.sessions!r},
    {inputs.load!r},
    {inputs.wishes!r},
)
profile = profiles.load({sized.estimate.profile.name!r}, Settings.from_env().home)
made = plan.plan(inputs, profile, catalogue.load())
print(made.estimate.total_bytes, made.options[0].monthly_usd if made.options else made.choices.why_none)
"""


def _shape(shape: Shape) -> Words:
    usual = Shape(1, 1)
    words: Words = ["--dim", shape.dim, "--type", shape.type, "--m", shape.m]
    words += _changed(
        ("--algorithm", shape.algorithm, usual.algorithm),
        ("--on", shape.key_type, usual.key_type),
        ("--metadata-bytes", shape.metadata_bytes, usual.metadata_bytes),
        ("--text-bytes", shape.text_bytes, usual.text_bytes),
        ("--text-words", shape.text_words, usual.text_words),
        ("--text-vocabulary", shape.text_vocabulary, usual.text_vocabulary),
        ("--tags", shape.tags, usual.tags),
        ("--tag-values", shape.tag_values, usual.tag_values),
        ("--tag-bytes", shape.tag_bytes, usual.tag_bytes),
        ("--numbers", shape.numbers, usual.numbers),
        ("--key-bytes", shape.key_bytes, usual.key_bytes),
    )
    return [*words, "--random-keys"] if shape.random_keys else words


def _sessions(sessions: Sessions) -> Words:
    if not sessions.live:
        return []
    usual = Sessions()
    return [
        "--sessions-per-second", f"{sessions.per_second:.10g}",
        "--session-bytes", sessions.bytes,
        "--session-ttl", f"{sessions.ttl_s:.10g}",
        *_changed(
            ("--sessions-kept", sessions.kept, usual.kept),
            ("--session-spread", sessions.spread, usual.spread),
            ("--session-kind", sessions.kind, usual.kind),
            ("--session-key-bytes", sessions.key_bytes, usual.key_bytes),
            ("--session-fields", sessions.fields, usual.fields),
            ("--session-other-bytes", sessions.other_bytes, usual.other_bytes),
        ),
    ]  # fmt: skip  # an option and its value on one line


def _changed(*options: tuple[str, object, object]) -> Words:
    """Options whose value is not the usual one, with their values."""
    return [word for option, value, usual in options if value != usual for word in (option, value)]


def _joined(words: Iterable[object]) -> str:
    return shlex.join(str(word) for word in words)
