"""Which embedder belongs to an index: said here, in the settings file, in the environment, or by dimension.

embedder = embedder_for(client, info, settings)              # what is said, checked against the index
embedder = embedder_for(client, info, settings, here="titan:512")
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from memdb.cluster.client import Client
from memdb.embedding import declared, lengths, prompts
from memdb.embedding.answers import Model
from memdb.embedding.declared import Declared
from memdb.embedding.embedder import Embedder
from memdb.embedding.kept import KeptVectors
from memdb.embedding.lengths import Lengths
from memdb.embedding.prompts import Prompts
from memdb.errors import BadInput, BadSettings, NoEmbedder
from memdb.settings import Settings, variable
from memdb.vectors.index import IndexInfo, VectorParams

LOCAL = "local"
EXAMPLES = (
    LOCAL,
    "titan:1024",
    "cohere:cohere.embed-english-v3",
    "openai:text-embedding-3-small",
    "folder:/models/potion-base-8M",
)
# By dimension, what is known to give it: offered where nothing is said. The rest of a name is the user's.
_BY_DIMENSION: dict[int, tuple[str, ...]] = {
    256: (LOCAL, "titan:256", "openai:text-embedding-3-small@256"),
    512: ("titan:512", "openai:text-embedding-3-small@512"),
    1024: (
        "titan:1024",
        "cohere:cohere.embed-english-v3",
        "cohere:cohere.embed-multilingual-v3",
        "openai:text-embedding-3-large@1024",
    ),
    1536: ("openai:text-embedding-3-small", "openai:text-embedding-ada-002", "cohere:cohere.embed-v4:0"),
    3072: ("openai:text-embedding-3-large",),
}
Origin = Literal["chosen here", "the settings file", "MEMDB_EMBEDDER", "its dimension"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A model's name for an index, and where it is said."""

    spec: str
    origin: Origin
    declared: Declared | None = None  # what else the settings file says of the index


def choice(info: IndexInfo, settings: Settings, *, field: str = "", here: str = "") -> Choice | None:
    """What is said of an index's model; None where nothing is, and no model of this machine fits.

    Args:
        info: the index.
        settings: of the environment; they name the settings file.
        field: its vector field; empty for the first.
        here: what the page or the option says.

    Raises:
        BadSettings: the settings file cannot be read, or says something that cannot be.
    """
    vector_field, params = info.vector_field(field)
    declaration = declared.of_index(settings, info.name, vector_field.name)
    if here.strip():
        same = declaration is not None and declaration.embedder == here.strip()
        return Choice(here.strip(), "chosen here", declaration if same else None)
    if declaration is not None:
        return Choice(declaration.embedder, "the settings file", declaration)
    if settings.embedder:
        return Choice(settings.embedder, "MEMDB_EMBEDDER")
    if LOCAL in _BY_DIMENSION.get(params.dim, ()):
        return Choice(LOCAL, "its dimension")
    return None


def offered(info: IndexInfo, settings: Settings, *, field: str = "") -> tuple[str, ...]:
    """Models to choose from, what is said first, then those known to give vectors of the index's dimension.

    Raises:
        BadSettings: the settings file cannot be read.
    """
    chosen = choice(info, settings, field=field)
    _, params = info.vector_field(field)
    of_dimension = _BY_DIMENSION.get(params.dim, ())
    return tuple(dict.fromkeys([*([chosen.spec] if chosen else []), *of_dimension]))


def silent(embedder: Embedder) -> None:
    """Tell nothing of an embedder before it is used."""


def embedder_for(
    client: Client,
    info: IndexInfo,
    settings: Settings,
    *,
    field: str = "",
    here: str = "",
    tell: Callable[[Embedder], None] = silent,
) -> Embedder:
    """The embedder of an index, held against it: its dimension, and the length of its vectors.

    Under COSINE lengths do not matter and are not looked at. `tell` gets the embedder before a text is sent.

    Raises:
        NoEmbedder: nothing says which model it is.
        BadInput: the model has another dimension, or there is none of that name.
        BadSettings: what the settings file says cannot be.
        MemDBError: the model had to be asked, or the server, and did not answer.
    """
    chosen = choice(info, settings, field=field, here=here)
    if chosen is None:
        raise unsaid(info, field)
    embedder = of_choice(chosen, settings)
    tell(embedder)
    return held(client, info, embedder, field)


def held(client: Client, info: IndexInfo, embedder: Embedder, field: str = "") -> Embedder:
    """An embedder held against an index, as `embedder_for` does it.

    Raises:
        BadInput: it has another dimension.
        MemDBError: it had to be asked, or the server, and did not answer.
    """
    vector_field, params = info.vector_field(field)
    fits(embedder, params, info.name)
    if params.metric == "COSINE":
        return embedder
    lengths_sampled = lengths.sample(client, info, vector_field.name)
    return embedder if lengths_sampled is None else replace(embedder, unit=lengths_sampled.unit)


def lengths_of(client: Client, info: IndexInfo, field: str = "") -> Lengths | None:
    """What `embedder_for` goes by where the metric is not COSINE; None where no vector can be read."""
    return lengths.sample(client, info, field)


def of_choice(chosen: Choice, settings: Settings) -> Embedder:
    """The embedder of a choice, not yet held against an index.

    Raises:
        BadInput: as `named`.
        BadSettings: the variable that holds its key is not set.
    """
    declaration = chosen.declared
    if declaration is None:
        return named(chosen.spec, settings)
    key = settings.embedder_key
    if declaration.key_env:
        key = variable(declaration.key_env).strip()
        if not key:
            raise BadSettings(
                f"The key of {declaration.embedder} stands in the variable that key_env names, "
                "which is not set.",
                "Set it before the start.",
            )
    elif declaration.url:
        key = ""  # the key of MEMDB_EMBEDDER_KEY belongs to MEMDB_EMBEDDER_URL
    there = replace(settings, embedder_url=declaration.url or settings.embedder_url, embedder_key=key)
    embedder = named(chosen.spec, there)
    before = embedder.prompts
    query = before.query if declaration.query_prefix is None else declaration.query_prefix
    document = before.document if declaration.document_prefix is None else declaration.document_prefix
    return replace(embedder, prompts=Prompts(query, document))


def named(name: str, settings: Settings) -> Embedder:
    """The embedder of a name: `local`, `titan:DIMENSION`, `cohere:MODEL`, `openai:MODEL`, `folder:PATH`.

    `openai:MODEL@DIMENSION` asks the endpoint for so many numbers.

    Raises:
        BadInput: there is none of that name, or a setting it needs is missing.
    """
    model, prompt = _model(name.strip(), settings)
    return Embedder(model, prompts=prompt, kept=KeptVectors.under(settings.home) if model.sends_to else None)


def fits(embedder: Embedder, params: VectorParams, index: str) -> None:
    """Hold a model against a vector field before it is used; a model of unknown dimension is asked once.

    Raises:
        BadInput: its vectors have another dimension than the index's.
        MemDBError: the model had to be asked and did not answer.
    """
    dimension = embedder.dimension
    if dimension is None:
        dimension = int(embedder.embed(["dimension"]).shape[1])
    if dimension != params.dim:
        raise BadInput(
            f"{embedder.name} gives {dimension:,} numbers; the vectors of '{index}' have {params.dim:,}.",
            "Choose the model the index was built with, or another index.",
        )


def _model(name: str, settings: Settings) -> tuple[Model, Prompts]:
    kind, _, rest = name.partition(":")
    if name in ("", LOCAL):
        from memdb.embedding.local import Local

        return Local(), Prompts()
    if kind in ("titan", "cohere"):
        from memdb.embedding import bedrock

        return (bedrock.titan(rest or "1024") if kind == "titan" else bedrock.cohere(rest)), Prompts()
    if kind == "openai":
        from memdb.embedding.openai import OpenAI

        match = re.fullmatch(r"(.+)@(\d{1,5})", rest)
        model, wanted = (match[1], int(match[2])) if match else (rest, None)
        endpoint = OpenAI(
            model, settings.embedder_url, settings.embedder_key, wanted or None, settings.embedder_timeout
        )
        return endpoint, prompts.by_name(model)
    if kind == "folder":
        from memdb.embedding import folder

        opened = folder.opened(rest)
        return opened, opened.prompts
    raise BadInput(f"There is no embedder '{name}'.", f"Use one like: {', '.join(EXAMPLES)}.")


def unsaid(info: IndexInfo, field: str = "") -> NoEmbedder:
    """That nothing says which model an index's is, with those that it may be."""
    vector_field, params = info.vector_field(field)
    of_dimension = ", ".join(_BY_DIMENSION.get(params.dim, ()))
    offer = f"Of that dimension are {of_dimension}. " if of_dimension else ""
    return NoEmbedder(
        f"Nothing says which model made the vectors of {params.dim:,} numbers in '{vector_field.name}' of "
        f"'{info.name}'.",
        f"{offer}Choose one on the page or with --embedder, or say it in the settings file: "
        f'{declared.table_of(info.name)} embedder = "…".',
        dimension=params.dim,
    )
