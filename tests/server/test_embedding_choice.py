"""Which model belongs to an index, held against a real one: where it is said, its dimension, its lengths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from memdb.cluster.client import Client
from memdb.embedding import choice, embedder_for, lengths_of, offered
from memdb.errors import BadInput, BadSettings, NoEmbedder
from memdb.settings import Settings
from tests import embedders
from tests.embedders import TEXTS, Endpoint, indexed, vector_of

pytestmark = pytest.mark.any_engine


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with embedders.endpoint() as about:
        yield about


def settings(home: Path, toml: str = "", **values: str) -> Settings:
    if toml:
        (home / "targets.toml").write_text(toml)
    return Settings.from_env({"MEMDB_HOME": str(home)} | {f"MEMDB_{k.upper()}": v for k, v in values.items()})


def test_what_is_said_first_counts(client: Client, prefix: str, tmp_path: Path) -> None:
    info = indexed(client, prefix, 256)

    def said(toml: str = "", here: str = "", **values: str) -> tuple[str, str] | None:
        chosen = choice(info, settings(tmp_path, toml, **values), here=here)
        return None if chosen is None else (chosen.spec, chosen.origin)

    assert said() == ("local", "its dimension")
    assert said(embedder="titan:256") == ("titan:256", "MEMDB_EMBEDDER")
    file = f'[indexes."{info.name}"]\nembedder = "openai:a"\n'
    assert said(file, embedder="titan:256") == ("openai:a", "the settings file")
    of_field = f'{file}[indexes."{info.name}".fields.embedding]\nembedder = "openai:b"\n'
    assert said(of_field) == ("openai:b", "the settings file")
    assert said(of_field, here="openai:c") == ("openai:c", "chosen here")
    assert offered(info, settings(tmp_path, of_field))[:2] == ("openai:b", "local")


@pytest.mark.parametrize("dim", [384, 1024, 1536])
def test_an_index_of_which_nothing_is_said(client: Client, prefix: str, tmp_path: Path, dim: int) -> None:
    info = indexed(client, prefix, dim)
    with pytest.raises(NoEmbedder, match=f"{dim:,} numbers in 'embedding' of '{info.name}'") as caught:
        embedder_for(client, info, settings(tmp_path))
    assert f'[indexes."{info.name}"]' in caught.value.hint
    assert ("titan:1024" in caught.value.hint) == (dim == 1024)


@pytest.mark.parametrize("dim", [256, 384, 1024, 1536])
def test_an_endpoint_of_the_settings_file_with_a_key_of_its_own(
    client: Client, prefix: str, tmp_path: Path, endpoint: Endpoint, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = indexed(client, prefix, dim)
    monkeypatch.setenv("MODELS_KEY_OF_A_TEST", "s3cret")
    toml = f"""[indexes."{info.name}"]
embedder = "openai:any-{dim}"
url = "{endpoint.url}"
key_env = "MODELS_KEY_OF_A_TEST"
query_prefix = "restore "
"""
    embedder = embedder_for(client, info, settings(tmp_path, toml, embedder_key="another"))
    own = vector_of("restore bucket", dim)
    np.testing.assert_allclose(embedder.embed(["bucket"])[0], own / np.linalg.norm(own), atol=1e-6)
    assert {call[1] for call in endpoint.calls} == {"Bearer s3cret"}
    with pytest.raises(BadInput, match=f"7 numbers; the vectors of '{info.name}' have {dim:,}"):
        embedder_for(client, info, settings(tmp_path, toml, embedder_url=endpoint.url), here="openai:any-7")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('url = "http://h"', "has no embedder"),
        ('embedder = "local"\nembeder = "x"', "embeder' means nothing"),
        ("embedder = 1", "of another type"),
        ('embedder = "local"\nkey = "s3cret"', "A key stands in"),
        ('embedder = "openai:m"\nkey_env = "NO_SUCH_VARIABLE_HERE"', "not set"),
        ('embedder = "openai:m"\nurl = "http://u:s3cret@h"', "no http"),
        ("fields = 1", "no table"),
    ],
)
def test_a_settings_file_that_says_it_wrongly(
    client: Client, prefix: str, tmp_path: Path, lines: str, said: str
) -> None:
    info = indexed(client, prefix, 8)
    with pytest.raises((BadSettings, BadInput), match=said) as caught:
        embedder_for(client, info, settings(tmp_path, f'[indexes."{info.name}"]\n{lines}\n'))
    assert "s3cret" not in caught.value.full()


@pytest.mark.parametrize("metric", ["COSINE", "IP", "L2"])
@pytest.mark.parametrize("length", [0.0, 5.0])
def test_a_question_gets_the_length_that_the_index_has(
    client: Client, prefix: str, tmp_path: Path, endpoint: Endpoint, metric: str, length: float
) -> None:
    info = indexed(client, prefix, 16, metric, length)
    there = settings(tmp_path, embedder="openai:any-16", embedder_url=endpoint.url)
    embedder = embedder_for(client, info, there)
    told = lengths_of(client, info)
    assert told is not None
    assert told.looked_at == len(TEXTS)
    assert told.unit == (not length)
    assert told.words(metric).startswith(
        "The 4 vectors" if length else "All 4 vectors looked at have length 1"
    )
    assert ("does not matter" in told.words(metric)) == (metric == "COSINE")
    assert told.shortest == pytest.approx(length / 4 or 1, rel=1e-5)
    assert told.longest == pytest.approx(length or 1, rel=1e-5)
    own = np.linalg.norm(vector_of("bucket", 16))
    expected = 1 if metric == "COSINE" or not length else own
    assert np.linalg.norm(embedder.embed(["bucket"])[0]) == pytest.approx(expected, rel=1e-5)
