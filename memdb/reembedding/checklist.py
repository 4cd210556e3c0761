"""What is left to do once the new vectors are there: compare, switch, and the way back. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from memdb.embedding.declared import quoted, table_of
from memdb.reembedding.plan import Plan
from memdb.vectors.query import Command


@dataclass(frozen=True, slots=True)
class ChecklistStep:
    """One thing to do: in words, and the lines that do it."""

    words: str
    lines: tuple[str, ...] = ()


def steps(work_plan: Plan, embedder: str, *, aliases: bool) -> tuple[ChecklistStep, ...]:
    """The steps in their order.

    Args:
        work_plan: the plan that was carried out.
        embedder: the new model as it is written in settings.
        aliases: whether the engine has aliases of indexes (FT.ALIASADD).
    """
    request, old, new = work_plan.request, work_plan.base.name, work_plan.spec.name
    strip = f" --strip '' --strip {shlex.quote(request.prefix)}" if request.prefix else ""
    field = (
        f" --field {shlex.quote(work_plan.base.vector_field()[0].name)} --field {shlex.quote(request.field)}"
    )
    both = f"--index {shlex.quote(old)} --index {shlex.quote(new)}"
    compare = (
        f"memdb evaluate {both}{field}{strip}",
        f"memdb recall --index {shlex.quote(new)} --field {shlex.quote(request.field)} --target 0.95",
    )
    settings = (table_of(new), f"embedder = {quoted(embedder)}")
    key = f"{request.prefix}KEY" if request.prefix else "KEY"
    back = shlex.join(
        [
            *("memdb", "reembed", "--index", old, "--field", request.field),
            *(("--prefix", request.prefix) if request.prefix else ()),
            *(("--to", request.name) if request.name else ()),
            *("--remove", "--writable"),
        ]
    )
    if aliases:
        switch = ChecklistStep(
            "Switch: point the alias that your application searches at the new index, and embed questions "
            "with the new model from that moment on. An alias takes effect at once for everybody.",
            (
                Command(("FT.ALIASADD", "ALIAS", old)).redis_cli() + "  # before, where there is none yet",
                Command(("FT.ALIASUPDATE", "ALIAS", new)).redis_cli(),
            ),
        )
        undo = ChecklistStep(
            "The way back, as long as the old vectors are kept current.",
            (Command(("FT.ALIASUPDATE", "ALIAS", old)).redis_cli(),),
        )
    else:
        switch = ChecklistStep(
            "Switch: this engine has no aliases. Deploy the application with the name of the new index and "
            "the new model in one setting, so that no question of one model meets vectors of the other.",
        )
        undo = ChecklistStep(
            "The way back, as long as the old vectors are kept current: deploy the old name and model.",
        )
    return (
        ChecklistStep("Compare, before anything is switched.", compare),
        ChecklistStep("Tell memdb which model belongs to the new index, in its settings file.", settings),
        ChecklistStep(
            "From now on write both vectors with every document, the old one for the way back: in "
            f"{key} the field {request.field}. Run the same command once more for what came in between.",
        ),
        switch,
        undo,
        ChecklistStep("To remove the new vectors and their index again.", (back,)),
        ChecklistStep(
            f"Once nobody goes back: drop the old index {old} and its vectors. memdb does not do that."
        ),
    )
