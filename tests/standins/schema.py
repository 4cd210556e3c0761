"""What FT.CREATE of valkey-search 1.2 takes, and what the engine behind it is told."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from tests.standins.resp import Refusal

PUNCTUATION = ",.<>{}[]\"':;!@#$%^&*()-+=~/\\|?"
STOP_WORDS = tuple(
    "a is the an and are as at be but by for if in into it no not of on or such that their then there these "
    "they this to was will with".split(" ")
)
MAX_M, MAX_EF, MAX_DIMENSIONS, MAX_PREFIXES, MAX_FIELDS = 2_000_000, 1_000_000, 32_768, 8, 1_000
MAX_TEXTS, MAX_NAMES = 64, {"TAG": 256, "NUMERIC": 128}  # fields; bytes of a field's name
BLOCK = 10_240


@dataclass(frozen=True)
class Field:
    """A field of an index."""

    identifier: str
    alias: str
    kind: str  # VECTOR, TAG, NUMERIC, TEXT
    separator: str = ","
    case_sensitive: bool = False
    suffixes: bool = False
    stems: bool = True
    algorithm: str = ""
    dimensions: int = 0
    metric: str = ""
    capacity: int = BLOCK
    m: int = 16
    ef_construction: int = 200
    ef_runtime: int = 10
    block_size: int = 1024


@dataclass(frozen=True)
class Index:
    """An index: what documents it has, and their fields."""

    name: str
    fields: tuple[Field, ...]
    prefixes: tuple[str, ...] = ("",)
    key_type: str = "HASH"
    stop_words: tuple[str, ...] = STOP_WORDS
    punctuation: str = PUNCTUATION
    offsets: bool = True
    min_stem: int = 4
    language: str = "english"
    scanned: bool = True

    def field(self, alias: str) -> Field | None:
        return next((known for known in self.fields if known.alias == alias), None)

    def parts_words(self, sign: str) -> bool:
        """Whether a sign ends a word: blanks and control characters do on every index."""
        return sign in self.punctuation or sign <= " " or sign == "\x7f"


class _Words:
    """The words of a command, one after the other."""

    def __init__(self, words: Iterable[bytes]) -> None:
        self.left = [word.decode("latin-1") for word in words]

    def next(self) -> str:
        if not self.left:
            raise Refusal("Missing argument")
        return self.left.pop(0)

    def takes(self, *names: str) -> str:
        """The next word, in upper case, where it is one of these."""
        if self.left and self.left[0].upper() in names:
            return self.left.pop(0).upper()
        return ""

    def number(self, name: str = "") -> int:
        what = f"Error parsing value for the parameter `{name}` - " if name else ""
        if not self.left:
            raise Refusal(f"{what}Missing argument")
        word = self.next()
        if not re.fullmatch(r"-?\d+", word, re.ASCII):
            raise Refusal(f"{what}`{word}` is not a valid numeric value")
        return int(word)

    def real(self, name: str) -> float:
        word = self.next()
        try:
            return float(word)
        except ValueError:
            what = f"Error parsing value for the parameter `{name}` - "
            raise Refusal(f"{what}`{word}` is not a valid numeric value") from None


def read_create(words: list[bytes], *, json: bool) -> Index:
    """Read FT.CREATE's words after the command's name.

    Raises:
        Refusal: In valkey-search's words.
    """
    left = _Words(words)
    index = Index(left.next(), ())
    if left.takes("ON"):
        kind = left.next().upper()
        if kind not in {"HASH", "JSON"}:
            raise Refusal(f"Error parsing value for the parameter `ON` - Unknown argument `{kind}`")
        if kind == "JSON" and not json:
            raise Refusal("JSON module is not loaded.")
        index = replace(index, key_type=kind)
    index = replace(index, prefixes=_prefixes(left, index.name))
    if left.takes("FILTER"):
        raise Refusal("The parameter `FILTER` is not supported")
    stemmed = True
    while left.left and (name := left.takes(*_OPTIONS)):
        if name == "NOSTEM":
            stemmed = False
        else:
            index = _OPTIONS[name](index, left)
    if not left.takes("SCHEMA"):
        raise Refusal(f"Unexpected parameter `{left.next()}`, expecting `SCHEMA`")
    if not left.left:
        raise Refusal("Index schema must have at least one attribute")
    fields: list[Field] = []
    while left.left:
        identifier = left.next()
        try:
            made = _field(identifier, left, stemmed)
        except Refusal as exc:
            raise Refusal(f"Invalid field type for field `{identifier}`: {exc}") from None
        if any(made.identifier == other.identifier for other in fields):
            raise Refusal(f"Duplicate field in schema - {identifier}")
        fields.append(made)
        texts = sum(known.kind == "TEXT" for known in fields)
        for number, most, what in (
            (len(fields), MAX_FIELDS, "attributes"),
            (texts, MAX_TEXTS, "text fields"),
        ):
            if number > most:
                raise Refusal(
                    f"Invalid range: Value above maximum; The maximum number of {what} cannot exceed {most}."
                )
    names = [known.alias for known in fields]
    if twice := next((name for at, name in enumerate(names) if name in names[:at]), None):
        raise Refusal(f"Index field `{twice}` already exists")
    return replace(index, fields=tuple(fields))


def _tag(name: str) -> str | None:
    match = re.search(r"{([^}]+)}", name)
    return match.group(1) if match else None


def _prefixes(left: _Words, name: str) -> tuple[str, ...]:
    if not left.takes("PREFIX"):
        if _tag(name):
            raise Refusal("PREFIX parameter is required for hash-tagged indexes")
        return ("",)
    count = left.number("PREFIX")
    if not 0 <= count <= len(left.left):
        raise Refusal(f"Bad arguments for PREFIX: `{count}` is outside acceptable bounds")
    if count > MAX_PREFIXES:
        raise Refusal(
            f"Invalid range: Value above maximum; Number of prefixes ({count}) exceeds the maximum allowed "
            f"({MAX_PREFIXES})"
        )
    prefixes = tuple(left.next() for _ in range(count))
    for prefix in prefixes:
        if _tag(name) and _tag(prefix) != _tag(name):
            raise Refusal("All PREFIX arguments must contain the same hash tag as the index")
        if not _tag(name) and _tag(prefix):
            raise Refusal("PREFIX argument(s) must not contain a hash tag")
    return prefixes


def _score(index: Index, left: _Words) -> Index:
    value = left.real("SCORE")
    if value != 1:
        raise Refusal(
            f"`SCORE` parameter with a value `{value:g}` is not supported. The only supported value is `1.0`"
        )
    return index


def _language(index: Index, left: _Words) -> Index:
    language = left.next()
    if language.upper() != "ENGLISH":
        raise Refusal(f"Error parsing value for the parameter `LANGUAGE` - Unknown argument `{language}`")
    return index


def _stop_words(index: Index, left: _Words) -> Index:
    count = left.number("STOPWORDS")
    if not 0 <= count <= len(left.left):
        raise Refusal(
            "Missing argument for STOPWORDS. The count does not match the number of arguments provided for "
            "STOPWORDS"
        )
    return replace(index, stop_words=tuple(left.next() for _ in range(count)))


def _punctuation(index: Index, left: _Words) -> Index:
    signs = left.next()
    if not signs:
        raise Refusal("PUNCTUATION string cannot be empty")
    return replace(index, punctuation=signs)


def _min_stem(index: Index, left: _Words) -> Index:
    size = left.number("MINSTEMSIZE")
    if size <= 0:
        raise Refusal("Error parsing value for the parameter `MINSTEMSIZE` - MINSTEMSIZE must be positive")
    return replace(index, min_stem=size)


def _unsupported(name: str) -> Any:
    def refuse(index: Index, left: _Words) -> Index:
        raise Refusal(f"The parameter `{name}` is not supported")

    return refuse


_OPTIONS: dict[str, Any] = {
    "SCORE": _score,
    "LANGUAGE": _language,
    "LANGUAGE_FIELD": _unsupported("LANGUAGE_FIELD"),
    "SCORE_FIELD": _unsupported("SCORE_FIELD"),
    "PAYLOAD_FIELD": _unsupported("PAYLOAD_FIELD"),
    "SKIPINITIALSCAN": lambda index, left: replace(index, scanned=False),
    "PUNCTUATION": _punctuation,
    "WITHOFFSETS": lambda index, left: replace(index, offsets=True),
    "NOOFFSETS": lambda index, left: replace(index, offsets=False),
    "NOSTEM": None,
    "NOSTOPWORDS": lambda index, left: replace(index, stop_words=()),
    "STOPWORDS": _stop_words,
    "MINSTEMSIZE": _min_stem,
}


def _field(identifier: str, left: _Words, stemmed: bool) -> Field:
    alias = left.next() if left.takes("AS") else identifier
    wrong = next((sign for sign in alias if sign in PUNCTUATION), None)
    if wrong:
        raise Refusal(f"Attribute alias `{alias}` contains invalid character `{wrong}`")
    kind = left.next()
    if kind.upper() not in {"VECTOR", "TAG", "NUMERIC", "TEXT"}:
        raise Refusal(f"Unknown argument `{kind}`")
    made = Field(identifier, alias, kind.upper(), stems=stemmed)
    if made.kind == "VECTOR":
        made = _vector(made, left)
    elif made.kind in MAX_NAMES and len(identifier) > MAX_NAMES[made.kind]:
        raise Refusal(
            f"Invalid range: Value above maximum; A {made.kind.lower()} field can have a maximum length of "
            f"{MAX_NAMES[made.kind]}."
        )
    elif made.kind == "TAG":
        while name := left.takes("SEPARATOR", "CASESENSITIVE"):
            if name == "CASESENSITIVE":
                made = replace(made, case_sensitive=True)
                continue
            separator = left.next()
            if len(separator) != 1:
                raise Refusal(f"The separator must be a single character, but got `{separator}`")
            made = replace(made, separator=separator)
    elif made.kind == "TEXT":
        while name := left.takes("WITHSUFFIXTRIE", "NOSUFFIXTRIE", "NOSTEM", "WEIGHT"):
            if name == "WEIGHT" and left.real(name) != 1:
                raise Refusal("The `WEIGHT` clause with a value other than `1.0` is not supported.")
            if name == "NOSTEM":
                made = replace(made, stems=False)
            if name.endswith("SUFFIXTRIE"):
                made = replace(made, suffixes=name == "WITHSUFFIXTRIE")
    left.takes("SORTABLE")
    return made


_HNSW = {"M": "m", "EF_CONSTRUCTION": "ef_construction", "EF_RUNTIME": "ef_runtime"}
_FLAT = {"BLOCK_SIZE": "block_size"}


def _vector(made: Field, left: _Words) -> Field:
    algorithm = left.next().upper()
    if algorithm not in {"HNSW", "FLAT"}:
        raise Refusal(f"Unknown argument `{algorithm}`")
    count = left.number()
    if not 0 <= count <= len(left.left):
        raise Refusal(f"Expected {count} parameters for {algorithm} but got {len(left.left)} parameters.")
    inner = _Words([])
    inner.left, left.left = left.left[:count], left.left[count:]
    made = replace(made, algorithm=algorithm)
    known = {"DIM": "dimensions", "INITIAL_CAP": "capacity", **(_HNSW if algorithm == "HNSW" else _FLAT)}
    typed = False
    while inner.left:
        name = inner.next()
        if name.upper() == "TYPE":
            if (kind := inner.next()).upper() != "FLOAT32":
                raise Refusal(f"Error parsing value for the parameter `TYPE` - Unknown argument `{kind}`")
            typed = True
        elif name.upper() == "DISTANCE_METRIC":
            metric = inner.next().upper()
            if metric not in {"L2", "IP", "COSINE"}:
                raise Refusal(
                    f"Error parsing value for the parameter `DISTANCE_METRIC` - Unknown argument `{metric}`"
                )
            made = replace(made, metric=metric)
        elif name.upper() in known:
            numbers: dict[str, Any] = {known[name.upper()]: inner.number(name.upper())}
            made = replace(made, **numbers)
        else:
            raise Refusal(f"Unexpected argument `{name}`")
    return _verified(made, typed)


def _verified(made: Field, typed: bool) -> Field:
    if not made.dimensions:
        raise Refusal("Missing dimensions parameter.")
    if not 1 <= made.dimensions <= MAX_DIMENSIONS:
        side = "below minimum" if made.dimensions < 1 else "above maximum"
        raise Refusal(
            f"Invalid range: Value {side}; The dimensions value must be a positive integer greater than 0 and "
            f"less than or equal to {MAX_DIMENSIONS}."
        )
    if made.capacity <= 0:
        raise Refusal("INITIAL_CAP must be a positive integer greater than 0.")
    if not typed:
        raise Refusal("Missing vector TYPE parameter.")
    if not made.metric:
        raise Refusal("Missing DISTANCE_METRIC parameter.")
    if made.algorithm == "HNSW":
        bounds = (("M", made.m, 2, MAX_M), ("EF_CONSTRUCTION", made.ef_construction, 1, MAX_EF))
        for name, value, least, most in (*bounds, ("EF_RUNTIME", made.ef_runtime, 1, MAX_EF)):
            if not least <= value <= most:
                side = "below minimum" if value < least else "above maximum"
                raise Refusal(
                    f"Invalid range: Value {side}; {name} must be a positive integer greater than "
                    f"{2 if name == 'M' else 0} and cannot exceed {most}."
                )
    return made


def told_to_engine(index: Index) -> list[bytes]:
    """FT.CREATE for the engine behind: its graph is all that is asked of it, so it gets the vectors alone."""
    vectors = [known for known in index.fields if known.kind == "VECTOR"]
    words = ["FT.CREATE", index.name, "ON", index.key_type]
    words += ["PREFIX", str(len(index.prefixes)), *index.prefixes]
    words += [] if index.scanned else ["SKIPINITIALSCAN"]
    words.append("SCHEMA")
    for known in vectors or index.fields:
        words += [known.identifier, "AS", known.alias, known.kind]
        if known.kind == "TAG":
            words += ["SEPARATOR", known.separator]
        if known.kind == "VECTOR":
            told = ["TYPE", "FLOAT32", "DIM", str(known.dimensions), "DISTANCE_METRIC", known.metric]
            if known.algorithm == "HNSW":
                # The engine's blocks of 1,024 slots would not fit into memory with the largest M.
                told += ["M", str(min(known.m, 4096)), "EF_CONSTRUCTION", str(known.ef_construction)]
                told += ["EF_RUNTIME", str(known.ef_runtime)]
            words += [known.algorithm, str(len(told)), *told]
    return [word.encode("latin-1") for word in words]


def read_engine(name: str, reply: list[Any]) -> Index:
    """An index that was made in the engine behind, as its FT.INFO tells it."""
    told = _pairs(reply)
    definition = _pairs(told["index_definition"])
    fields = []
    for entry in told["attributes"]:
        flags = {_text(word).upper() for word in entry}
        about = _pairs(entry)
        kind = _text(about["type"])
        made = Field(_text(about["identifier"]), _text(about["attribute"]), kind)
        if kind == "TAG":
            made = replace(
                made,
                separator=_text(about.get("SEPARATOR", ",")),
                case_sensitive="CASESENSITIVE" in flags,
            )
        if kind == "TEXT":
            made = replace(made, stems="NOSTEM" not in flags)
        if kind == "VECTOR":
            made = replace(
                made,
                algorithm=_text(about["algorithm"]),
                dimensions=int(about["dim"]),
                metric=_text(about["distance_metric"]),
                m=int(about.get("M", 16)),
                ef_construction=int(about.get("ef_construction", 200)),
            )
        fields.append(made)
    prefixes = tuple(_text(prefix) for prefix in definition["prefixes"])
    words = told.get("stopwords_list")
    stop_words = STOP_WORDS if words is None else tuple(_text(word) for word in words)
    return Index(name, tuple(fields), prefixes, _text(definition["key_type"]), stop_words)


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def _pairs(flat: list[Any]) -> dict[str, Any]:
    """Names and values that follow each other; a flag without a value makes the later ones shift."""
    known: dict[str, Any] = {}
    at = 0
    while at < len(flat) - 1:
        name = _text(flat[at])
        if name in _FLAGS:
            at += 1
            continue
        known[name] = flat[at + 1]
        at += 2
    return known


_FLAGS = frozenset(
    "CASESENSITIVE NOSTEM SORTABLE UNF NOINDEX WITHSUFFIXTRIE INDEXEMPTY INDEXMISSING NOOFFSETS".split(" ")
)
