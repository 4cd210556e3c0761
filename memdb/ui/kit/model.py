"""The embedding model of an index: one control for all pages, kept for the tab, and in the link."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import streamlit as st

from memdb import embedding
from memdb.cluster.target import Target
from memdb.display import labels, line, markdown
from memdb.embedding import Choice, Embedded, Embedder
from memdb.errors import BadInput, MemDBError
from memdb.settings import Settings
from memdb.ui.kit import cached, state, targets
from memdb.vectors.index import IndexInfo


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model chosen for a vector field of an index; `choice` is None where there is none yet."""

    target: Target
    info: IndexInfo
    field: str
    choice: Choice | None

    @property
    def here(self) -> str:
        """Its name where it is chosen on the page and said nowhere else; empty otherwise."""
        return self.choice.spec if self.choice and self.choice.origin == "chosen here" else ""

    def embedder(self) -> Embedder:
        """The embedder, held against the index.

        Raises:
            NoEmbedder: none is chosen.
            MemDBError: it does not fit, or did not answer.
        """
        if self.choice is None:
            raise embedding.unsaid(self.info, self.field)
        name, params = self.info.vector_field(self.field)
        return cached.held_embedder(self.target, self.info.name, name.name, params.dim, self.choice)

    def ask(self, *texts: str) -> Embedded:
        """Questions as vectors.

        Raises:
            MemDBError: as `embedder`, or the model did not answer.
        """
        return cached.embedded(self.embedder(), texts)


def key_of(info: IndexInfo, field: str = "") -> str:
    """The widget of a field's model, and its name in the link."""
    return f"model.{info.name}.{info.vector_field(field)[0].name}"


def current(target: Target, info: IndexInfo, field: str = "") -> ModelChoice:
    """What the control says, or would say, without drawing it.

    Raises:
        BadSettings: the settings file cannot be read.
        BadInput: a visitor may not choose it.
    """
    settings, key = Settings.from_env(), key_of(info, field)
    models: dict[str, str] = state.keep(state.MODELS, {})
    here = st.session_state.get(key) or st.query_params.get(key) or models.get(key) or ""
    return _of(target, info, field, str(here), settings)


def choose(target: Target, info: IndexInfo, field: str = "", *, key: str = "") -> ModelChoice:
    """Draw the control, and say where the model is said and what leaves this machine.

    With a `key` of its own the choice is of one place alone, e.g. of the other side of a comparison.

    Raises:
        BadSettings: the settings file cannot be read.
        BadInput: a visitor may not choose it.
        MemDBError: there is no such model here.
    """
    settings, own = Settings.from_env(), key
    key = own or key_of(info, field)
    default_choice = embedding.choice(info, settings, field=field)
    offered = list(embedding.offered(info, settings, field=field))
    models: dict[str, str] = state.keep(state.MODELS, {})
    if key not in st.session_state and key not in st.query_params and models.get(key):
        st.session_state[key] = models[key]
    chosen = st.session_state.get(key) or st.query_params.get(key)
    default = (models.get(key_of(info, field)) if own else "") or (
        default_choice.spec if default_choice else ""
    )
    options = list(dict.fromkeys([*offered, *filter(None, (default, chosen))]))
    may_type = targets.may_enter_addresses()
    here = st.selectbox(
        "Model",
        options,
        index=options.index(default) if default else None,
        format_func=labels(options),
        key=key,
        bind="query-params",
        accept_new_options=may_type,
        placeholder="Which model made these vectors?",
        help="The model that the index was built with: its questions are embedded by it on every page. "
        f"One like {', '.join(embedding.EXAMPLES)}. The guide on asking in words tells more.",
    )
    if not own:
        models[key] = here or ""
    model = _of(target, info, field, here or "", settings)
    if model.choice is not None:
        _caption(model)
    return model


def spent(embedded: Embedded) -> None:
    """What embedding cost, and what was cut."""
    st.caption(f":material/timer: Embedded: {markdown(embedded.spent.words)}")
    for note in embedded.notes:
        st.warning(markdown(note), icon=":material/content_cut:")


def _of(target: Target, info: IndexInfo, field: str, here: str, settings: Settings) -> ModelChoice:
    default_choice = embedding.choice(info, settings, field=field)
    if not here or (default_choice is not None and here == default_choice.spec):
        return ModelChoice(target, info, field, default_choice)
    offered = embedding.offered(info, settings, field=field)
    if here not in offered and not targets.may_enter_addresses():
        raise BadInput(
            f"The model '{line(here, 80)}' is not among those offered here.",
            "Choose one of the list; others are chosen by who starts this app.",
        )
    return ModelChoice(target, info, field, embedding.choice(info, settings, field=field, here=here))


def _caption(model: ModelChoice) -> None:
    chosen = model.choice
    if chosen is None:
        return
    embedder = cached.embedder(chosen)
    field, params = model.info.vector_field(model.field)
    words = [f"Chosen by {chosen.origin}." if chosen.origin != "chosen here" else "Chosen here."]
    words += [embedder.leaves, embedder.prompts.words]
    with suppress(MemDBError):  # it is said beside; what is wrong with the index is told where it is asked
        lengths = cached.lengths(model.target, model.info.name, field.name)
        words.append(lengths.words(params.metric) if lengths else "")
    st.caption(f":material/translate: {markdown(' '.join(filter(None, words)))}")
