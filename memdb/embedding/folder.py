"""A model in a folder of this machine: a static one (model2vec), an ONNX file, or a transformer's weights.

Read are `config.json`, `tokenizer.json`, weights in safetensors or ONNX, and of sentence-transformers' layout
`modules.json`, `sentence_bert_config.json`, `config_sentence_transformers.json` and the pooling's settings.
No code of a folder is run, nothing is downloaded.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from memdb import files
from memdb.display import line
from memdb.embedding.answers import ModelAnswer, Side, unit
from memdb.embedding.prompts import Prompts, by_name
from memdb.errors import BadInput, EngineError
from memdb.vectors.distance import Floats

_MOST_CONFIG, _MOST_TOKENIZER = 4 << 20, 256 << 20
_STATIC_TOKENS = 512  # of a text, as model2vec takes them
_TENSORS = ("embeddings", "embedding.weight")  # model2vec's name, and sentence-transformers'
_ONNX = ("model.onnx", "onnx/model.onnx", "onnx/model_quantized.onnx")
_POOLINGS = ("cls", "mean", "max", "lasttoken")
Pooling = Literal["cls", "mean", "max", "lasttoken"]
_HINT = (
    "It needs tokenizer.json, and model.safetensors of a static model (model2vec) or of a transformer with "
    "its config.json, or model.onnx, also in a folder onnx."
)


class _Loaded(Protocol):
    dimension: int

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, int, frozenset[int]]: ...


@dataclass(frozen=True)
class Folder:
    """A model by its folder. It is loaded when it is made; `dimension` is then known."""

    path: Path
    loaded: _Loaded = field(repr=False, compare=False)
    prompts: Prompts
    identity: str

    sends_to = ""
    at_once = 32
    longest = 100_000  # characters; the tokenizer cuts before

    @property
    def spec(self) -> str:
        """`folder:PATH`."""
        return f"folder:{self.path}"

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"{line(self.path.name, 80)}, a folder of this machine"

    @property
    def dimension(self) -> int | None:
        """Numbers of a vector."""
        return self.loaded.dimension

    def call(self, texts: Sequence[str], side: Side) -> ModelAnswer:
        """The vectors of some texts.

        Raises:
            EngineError: the model does not run.
        """
        rows, tokens, cut = self.loaded.vectors(texts)
        return ModelAnswer(rows, tokens, cut)


def opened(path_given: str) -> Folder:
    """The model of a folder.

    Raises:
        BadInput: it is no folder, holds no such model, or what reads it is not installed.
    """
    path = Path(path_given).expanduser().absolute()
    path_words = line(str(path), 200)
    if not path_given.strip() or not path.is_dir():
        raise BadInput(
            f"'{path_words}' is no folder." if path_given.strip() else "No folder is named.", _HINT
        )
    try:
        weights, loaded = _loaded(path)
        about, prompts = weights.stat(), _prompts(path)
    except files.DAMAGE as exc:
        raise BadInput(f"The model in '{path_words}' cannot be read: {line(str(exc), 200)}.", _HINT) from exc
    return Folder(path, loaded, prompts, f"{path} {about.st_size} {about.st_mtime_ns}")


def _loaded(path: Path) -> tuple[Path, _Loaded]:
    modules = _json(path / "modules.json", [])
    kinds = {str(m.get("type", "")).rsplit(".", 1)[-1]: str(m.get("path", "")) for m in modules}
    if unknown := kinds.keys() - {"Transformer", "Pooling", "Normalize", "StaticEmbedding"}:
        raise BadInput(
            f"The model in '{line(str(path), 200)}' has a part that is not read here: "
            f"{line(', '.join(sorted(unknown)), 100)}.",
            "Export it as one ONNX file with the output sentence_embedding.",
        )
    if any(not (path / part).resolve().is_relative_to(path.resolve()) for part in kinds.values()):
        raise ValueError("modules.json names a place outside of the folder")
    inner = path / kinds.get("StaticEmbedding", "")
    weights = inner / "model.safetensors"
    config = _json(path / "config.json", {})
    onnx = next((path / name for name in _ONNX if (path / name).is_file()), None)
    # model2vec names itself as the type of its models.
    transformer = weights.is_file() and isinstance(config.get("architectures"), list)
    transformer &= config.get("model_type") not in (None, "model2vec")
    if "StaticEmbedding" not in kinds and (onnx is not None or transformer):
        inner = path / kinds.get("Transformer", "")
        pooling = _pooling(path / kinds["Pooling"] / "config.json") if "Pooling" in kinds else "mean"
        most = _json(inner / "sentence_bert_config.json", {}).get("max_seq_length")
        places = config.get("max_position_embeddings")
        longest = next((n for n in (most, places) if isinstance(n, int) and n > 0), 512)
        tokenizer = _tokenizer(inner)
        # As the model was trained: the beginning, and the marks of a text's ends where it has such.
        tokenizer.enable_truncation(longest)
        arguments = (tokenizer, pooling, "Normalize" in kinds)
        return (
            (onnx, _Onnx(onnx, *arguments)) if onnx is not None else (weights, _Transformer(path, *arguments))
        )
    if weights.is_file() and (inner / "tokenizer.json").is_file():
        normalised = bool(_json(inner / "config.json", {}).get("normalize")) or "Normalize" in kinds
        return weights, _Static(weights, _tokenizer(inner), normalised)
    raise BadInput(f"There is no model in '{line(str(path), 200)}' that can be read here.", _HINT)


class _Static:
    """The mean of its tokens' vectors."""

    def __init__(self, weights: Path, tokenizer: Any, normalised: bool) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(weights)
        except SafetensorError as exc:
            raise ValueError(f"{weights.name} is no safetensors file ({exc})") from exc
        name = next((name for name in _TENSORS if name in tensors), "")
        table = tensors.get(name)
        if table is None or table.ndim != 2 or not table.size:
            raise ValueError(
                f"{weights.name} holds no table of token vectors ('embeddings'), but "
                f"{line(', '.join(sorted(tensors)[:5]), 100) or 'nothing'}"
            )
        self._table = table
        self._weights = tensors.get("weights")
        self._mapping = tensors.get("mapping")
        self.dimension = int(table.shape[1])
        self._tokenizer = tokenizer
        self._normalised = normalised
        unknown = _json_of(tokenizer.to_str()).get("model", {}).get("unk_token")
        self._unknown = None if unknown is None else tokenizer.token_to_id(unknown)

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, int, frozenset[int]]:
        rows = np.zeros((len(texts), self.dimension), np.float32)
        tokens, cut = 0, set()
        for place, encoded in enumerate(self._tokenizer.encode_batch(list(texts), add_special_tokens=False)):
            ids = np.array([i for i in encoded.ids if i != self._unknown], dtype=np.int64)
            if len(ids) > _STATIC_TOKENS:
                cut.add(place)
                ids = ids[:_STATIC_TOKENS]
            tokens += len(ids)
            if not len(ids):
                continue
            places = ids if self._mapping is None else self._mapping[ids].astype(np.int64)
            if places.max() >= len(self._table):
                raise EngineError(
                    "The folder's tokenizer knows more tokens than its table has vectors.",
                    "Take tokenizer.json and model.safetensors of the same model.",
                )
            part = self._table[places].astype(np.float32)
            if self._weights is not None:
                part = part * self._weights[ids].astype(np.float32)[:, None]
            rows[place] = part.mean(axis=0)
        return (unit(rows) if self._normalised else rows), tokens, frozenset(cut)


class _Onnx:
    """A transformer in ONNX; where it gives a vector a token, these are pooled here."""

    def __init__(self, path: Path, tokenizer: Any, pooling: Pooling, normalised: bool) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise BadInput(
                "A folder with an ONNX model needs onnxruntime, which is not installed.",
                "Install memdb-explorer[onnx].",
            ) from None
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as exc:  # its own errors share no base below this
            raise ValueError(f"{path.name} is no model that ONNX Runtime runs ({exc})") from exc
        self._inputs = {each.name for each in self._session.get_inputs()}
        outputs = {each.name: each.shape for each in self._session.get_outputs()}
        self._output = next(
            (name for name in ("sentence_embedding", "last_hidden_state") if name in outputs),
            next(iter(outputs)),
        )
        width = outputs[self._output][-1]
        self._tokenizer, self._pooling, self._normalised = tokenizer, pooling, normalised
        self._lock = threading.Lock()
        self.dimension = width if isinstance(width, int) else int(self.vectors(["dimension"])[0].shape[1])

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, int, frozenset[int]]:
        ids, mask, cut = _padded(self._tokenizer, texts)
        tensors = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        try:
            with self._lock:
                (output,) = self._session.run(
                    [self._output], {name: tensors[name] for name in tensors if name in self._inputs}
                )
        except Exception as exc:  # as above
            raise EngineError(
                f"The ONNX model does not run: {line(str(exc), 200)}.", "Check its inputs and its tokenizer."
            ) from exc
        rows = output if output.ndim == 2 else _pooled(output, mask, self._pooling)
        rows = np.asarray(rows, dtype=np.float32)
        return (unit(rows) if self._normalised else rows), int(mask.sum()), cut


class _Transformer:
    """A transformer's weights in safetensors, run by PyTorch; its tokens' states are pooled here."""

    def __init__(self, path: Path, tokenizer: Any, pooling: Pooling, normalised: bool) -> None:
        try:
            import torch
            from transformers import AutoModel
        except ImportError:
            raise BadInput(
                "A transformer's weights need PyTorch and transformers, which are not installed.",
                "Install memdb-explorer[transformers], or export the model as ONNX.",
            ) from None
        try:
            # No code of the folder is run, no pickle is read, nothing is fetched.
            self._model = AutoModel.from_pretrained(
                path, local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
            self._model = self._model.to(torch.float32).eval()
        except Exception as exc:  # whatever a wrong folder makes of it
            raise ValueError(f"model.safetensors is no model that transformers reads ({exc})") from exc
        self._torch = torch
        self._tokenizer, self._pooling, self._normalised = tokenizer, pooling, normalised
        self._lock = threading.Lock()
        self.dimension = int(self.vectors(["dimension"])[0].shape[1])

    def vectors(self, texts: Sequence[str]) -> tuple[Floats, int, frozenset[int]]:
        ids, mask, cut = _padded(self._tokenizer, texts)
        try:
            with self._lock, self._torch.inference_mode():
                states = self._model(
                    input_ids=self._torch.from_numpy(ids), attention_mask=self._torch.from_numpy(mask)
                ).last_hidden_state.numpy()
        except Exception as exc:  # PyTorch's errors share no base
            raise EngineError(
                f"The model does not run: {line(str(exc), 200)}.", "Check its config.json and its tokenizer."
            ) from exc
        rows = np.asarray(_pooled(states, mask, self._pooling), dtype=np.float32)
        return (unit(rows) if self._normalised else rows), int(mask.sum()), cut


def _padded(tokenizer: Any, texts: Sequence[str]) -> tuple[Any, Any, frozenset[int]]:
    """Token ids (n, tokens) int64 filled up with 0, which of them are there, and whose texts were cut."""
    whole = tokenizer.encode_batch(list(texts))
    cut = frozenset(place for place, each in enumerate(whole) if each.overflowing)
    ids = np.zeros((len(whole), max(len(each.ids) for each in whole)), np.int64)
    mask = np.zeros_like(ids)
    for row, each in enumerate(whole):
        ids[row, : len(each.ids)] = each.ids
        mask[row, : len(each.ids)] = 1
    return ids, mask, cut


def _pooled(states: Any, mask: Any, pooling: Pooling) -> Any:
    """(n, tokens, d) as (n, d), of the tokens that are there."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[np.arange(len(states)), mask.sum(axis=1) - 1]
    there = mask[:, :, None].astype(bool)
    if pooling == "max":
        return np.where(there, states, -np.inf).max(axis=1)
    return np.where(there, states, 0.0).sum(axis=1) / mask.sum(axis=1)[:, None]


def _pooling(path: Path) -> Pooling:
    config = _json(path, {})
    names: dict[str, Pooling] = {
        "pooling_mode_cls_token": "cls",
        "pooling_mode_mean_tokens": "mean",
        "pooling_mode_max_tokens": "max",
        "pooling_mode_lasttoken": "lasttoken",
    }
    poolings: list[Pooling] = [pooling for name, pooling in names.items() if config.get(name)]
    mode = config.get("pooling_mode")  # as later releases write it
    poolings += [pooling for pooling in names.values() if mode == pooling]
    others = [name for name, value in config.items() if name.startswith("pooling_mode_") and value is True]
    if len(poolings) != 1 or len(others) > 1:
        raise BadInput(
            "The model's pooling is not read here.", f"It may be one of {', '.join(names.values())}."
        )
    return poolings[0]


def _tokenizer(path: Path) -> Any:
    from tokenizers import Tokenizer

    raw = files.named(path / "tokenizer.json", _MOST_TOKENIZER)
    try:
        tokenizer = Tokenizer.from_str(raw.decode())
    except Exception as exc:  # tokenizers raises nothing more exact
        raise ValueError(f"tokenizer.json is no tokenizer ({exc})") from exc
    tokenizer.no_truncation()  # what is cut is to be said
    tokenizer.no_padding()
    return tokenizer


def _prompts(path: Path) -> Prompts:
    """What the folder itself says, else what its name tells."""
    prompts = _json(path / "config_sentence_transformers.json", {}).get("prompts")
    if isinstance(prompts, dict) and any(isinstance(text, str) and text for text in prompts.values()):
        document = next((prompts[name] for name in ("document", "passage") if name in prompts), "")
        query = prompts.get("query", "")
        return Prompts(query if isinstance(query, str) else "", document if isinstance(document, str) else "")
    return by_name(path.name)


def _json(path: Path, empty: Any) -> Any:
    """A small JSON file of the type of `empty`, which it is where there is no file."""
    try:
        raw = files.named(path, _MOST_CONFIG)
    except FileNotFoundError:
        return empty
    value = json.loads(raw)
    if not isinstance(value, type(empty)):
        raise ValueError(f"{path.name} is not what it should be")
    return value


def _json_of(text: str) -> dict[str, Any]:
    value = json.loads(text)
    return value if isinstance(value, dict) else {}
