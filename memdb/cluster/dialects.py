"""What each engine accepts and how it words things: MemoryDB, valkey-search, RediSearch.

Whatever is said to an engine depends on it here alone. What it tells of its memory, and how much it takes,
are read and modelled for each engine in operations (index_memory, memory) and sizing. Which engine it is, is
probed with COMMAND INFO, never guessed from a name alone.
"""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from memdb.cluster import replies
from memdb.errors import (
    Busy,
    EngineError,
    LoginFailed,
    MemDBError,
    NotAllowed,
    RejectedQuery,
    UnknownIndex,
    UnsupportedFeature,
    WrongType,
)
from memdb.numerals import whole_number

_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
Name = Literal["memorydb", "valkey-search", "redisearch", "none"]

# Asked in one COMMAND INFO; a nil entry means the server does not have it.
PROBED = (
    "FT.SEARCH",
    "FT.AGGREGATE",
    "FT.PROFILE",
    "FT.EXPLAIN",
    "FT.CURSOR",
    "FT.TAGVALS",
    "FT._ALIASLIST",
    "FT.HYBRID",
)
# RediSearch's and valkey-search's default list; such words are not indexed, so a phrase leaves them out.
STOP_WORDS = frozenset(
    "a is the an and are as at be but by for if in into it no not of on or such that their then there "
    "these they this to was will with".split(" ")
)
# Signs, beside blanks, at which a TEXT field is cut into words. The underscore is part of a word on both. On
# RediSearch so is a line break: words around one are glued in the index and found by neither, so texts to be
# searched should hold blanks instead. Of what a user types, a line break counts as a blank.
REDISEARCH_SPLITS = "\x00,./(){}[]:;~!@#$%^&*-=+|'`\"<>?"
VALKEY_SPLITS = ",.<>{}[]\"':;!@#$%^&*()-+=~/\\|?"  # its default, as its FT.INFO tells it
# Control characters part words of valkey-search whatever the index tells (its lexer.cc); the blanks do too.
_CONTROLS = "".join(map(chr, (*range(32), 127)))
# Of valkey-search alone (its commands.h). Described by COMMAND INFO and never sent: it is an administrator's.
ASKED = (*PROBED, "FT._DEBUG")
# Either tells which engine it is: RediSearch, MemoryDB.
TELLING = frozenset({"FT.TAGVALS", "FT.PROFILE"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Largest values an engine takes; None where it sets no bound of its own."""

    k: int
    ef_runtime: int
    ef_construction: int
    m: int
    dimensions: int
    indexes: int | None
    timeout_ms: int
    query_bytes: int | None = None  # of a whole query
    nodes: int | None = None  # of a filter: conditions, words of phrases, and what joins them
    rows: int | None = None  # that a query without a KNN clause brings


@dataclass(frozen=True, slots=True, eq=False)  # by identity: a cheap cache key on the path of every search
class Dialect:
    """One engine's abilities. Source: memorydb fact sheet §1-2 and recorded replies."""

    name: Name
    title: str
    commands: frozenset[str]
    limits: Limits
    needs_sortby: bool  # KNN hits come unordered unless FT.SEARCH is told SORTBY <distance>
    text_search: bool  # TEXT fields can be searched, not only returned
    negation: bool
    bare_star: bool  # `*` alone is a filter
    refused: str = ""  # why search is not served although the commands are there
    plain_queries: bool = True  # FT.SEARCH without a KNN clause
    json_dialect: int = 2  # DIALECT under which every value that a JSON path matches comes back
    grouped_words: bool = True  # @field:(several words); else each word is a condition of its own
    escaped_controls: bool = False  # a control character in a TAG value can be said behind a backslash
    bound_values: bool = False  # a TAG value may be a parameter: @field:{$value}
    loads: bool = True  # a document's fields come with its hit; else they are read by its key
    several_vectors: bool = False  # of a JSON document, each indexed, where the server knows JSON
    escaped_stars: bool = True  # a star behind a backslash is a character; else it still means a prefix
    escaped_names: bool = True  # a sign in a field's name can be said behind a backslash; else as it is
    empty_ranges: bool = True  # a range that holds no number finds nothing; else it is an error
    splits: str = REDISEARCH_SPLITS  # signs that part words, where the index tells none of its own
    settings: str = ""  # names of the module's own settings, which tell its limits (CONFIG GET)
    control_ends: bool = False  # control characters part words as well
    small_grammar: bool = False  # its filters can be read here (vectors/expression.py)
    later: bool = False  # a release after the one whose grammar is read: what is not read is left to it
    cursors: bool = False  # FT.CURSOR, as RediSearch answers it
    fuses: bool = False  # FT.HYBRID, as Redis 8.4 takes it
    text_leaks: bool = False  # HNSW under a TEXT condition beside another, or a phrase: hits may break it
    whole_cluster: bool = False  # a search on any node is of all shards
    every_shard: tuple[str, ...] = ()  # behind FT.SEARCH: an error, not a shard less, where one is silent
    some_shards: tuple[str, ...] = ()  # the other way
    in_keys: bool = False  # FT.SEARCH takes INKEYS: which of some documents match
    no_content: bool = False  # FT.SEARCH takes NOCONTENT
    escaped_breaks: bool = False  # FT.INFO and FT._LIST tell a line break in a name as \\n or \\r
    scores: bool = False  # FT.SEARCH tells how well a document fits the words (WITHSCORES, BM25STD)

    def attribute(self, name: str) -> str:
        """A field's name as a query takes it, with its @; what must be escaped depends on the engine.

        RediSearch reads letters, digits and the underscore as they are and any other ASCII sign behind a
        backslash. valkey-search takes no backslash in a name, not before an underscore either; an index
        may have a name with a blank there, and no query can say it (`filters.attribute`).
        """
        if not self.escaped_names:
            return f"@{name}"
        return "@" + "".join(f"\\{c}" if c.isascii() and not c.isalnum() and c != "_" else c for c in name)

    def lower(self, word: str) -> str:
        """A word as the engine compares it with its stop words.

        RediSearch lowers ASCII letters alone: beside the stop word "über" it indexes "ÜBER". A later release
        that lowers more drops such a word from the query itself.
        """
        return word.translate(_ASCII_LOWER) if self.name == "redisearch" else word.casefold()

    def stop_words(self, own: Collection[str] | None) -> frozenset[str]:
        """The words that an index leaves out, to be compared with `lower`: its own; None: the default ones.

        The engines lower ASCII letters alone of those.
        """
        return STOP_WORDS if own is None else frozenset(word.translate(_ASCII_LOWER) for word in own)

    def word_ends(self, punctuation: str | None) -> str:
        """The signs that part words, beside blanks, of an index that tells these, or none of its own."""
        return (self.splits if punctuation is None else punctuation) + _CONTROLS * self.control_ends

    @property
    def searches(self) -> bool:
        """Whether vector search is there at all."""
        return self.name != "none" and not self.refused

    def has(self, command: str) -> bool:
        """Whether the server has this command."""
        return command in self.commands

    def lacks(self, command: str) -> str:
        """Why what rests on a command is not there, as a sentence; empty where it is."""
        if self.has(command) or not self.searches:
            return ""
        return f"{self.title} has no {command}: {_INSTEAD.get(command, 'what rests on it is left out')}."

    @property
    def lacking(self) -> str:
        """What a page about this server tells it lacks, with what is done instead; "" for nothing."""
        sentences = [self.lacks(name) for name in ("FT.PROFILE", "FT.AGGREGATE", "FT.TAGVALS")]
        if self.searches and not self.loads:
            sentences.append(_UNLOADED)
        return " ".join(filter(None, sentences))


# RediSearch sets no bound for K or EF_RUNTIME; these are ours, against a slip of the finger.
_REDISEARCH = Limits(
    k=10_000,
    ef_runtime=1_000_000,
    ef_construction=1_000_000,
    m=4_096,
    dimensions=32_768,
    indexes=None,
    timeout_ms=10_000,
)
# valkey-search 1.0 and 1.1, as ElastiCache documents them for 8.2 and the source has them (fact sheet §1.3).
_VALKEY = Limits(
    k=10_000,
    ef_runtime=4_096,
    ef_construction=4_096,
    m=2_000_000,
    dimensions=32_768,
    indexes=10,
    timeout_ms=60_000,
    query_bytes=10_240,
    nodes=16,
    rows=100_000,
)
# 1.2 raised these. Where a server tells its settings, those hold (`with_settings`).
_VALKEY_12 = replace(_VALKEY, ef_runtime=1_000_000, ef_construction=1_000_000, indexes=1_000, nodes=1_000)
_INSTEAD = {
    "FT.PROFILE": "how a query runs is read from the counters of INFO SEARCH, where they tell",
    "FT.EXPLAIN": "how a filter was understood cannot be shown",
    "FT.AGGREGATE": "values of fields cannot be counted",
    "FT.TAGVALS": "values of tags are counted with FT.AGGREGATE",
    "FT.CURSOR": "vectors are read with SCAN or page by page",
    "FT._ALIASLIST": "aliases cannot be listed",
}
_UNLOADED = (
    "In cluster mode this module finds documents and cannot load them: fields and vectors are read by key, "
    "which takes longer."
)
_MEMORYDB = Limits(
    k=10_000,
    ef_runtime=4_096,
    ef_construction=4_096,
    m=512,
    dimensions=32_768,
    indexes=10,
    timeout_ms=10_000,
)


# Counters of INFO SEARCH that came with a release: how it is known where the module's version is not told.
_COUNTERS_OF_12 = ("search_nonvector_requests_count", "search_text_requests_count")


def recognise(
    commands: frozenset[str],
    *,
    shards: int = 1,
    modules: tuple[tuple[str, str], ...] = (),
    cluster: bool = False,
    counters: Collection[str] = (),
) -> Dialect:
    """The dialect of a server with these of the PROBED commands, on so many shards, in cluster mode or not.

    The release of valkey-search is read from its module's version where the server tells one. Where it does
    not (ElastiCache blocks MODULE), 1.0 is known by its lack of FT.AGGREGATE, 1.2 by `counters`, the names
    in INFO SEARCH; anything else is taken for 1.1, whose limits are the smaller ones.

    Only RediSearch has FT.TAGVALS. MemoryDB lists aliases without an argument, and has FT.PROFILE;
    valkey-search has no FT.PROFILE. Later releases of it have FT.CURSOR, and a list of aliases (its main
    branch, commands.h): neither tells RediSearch or MemoryDB where one of its own is there.
    """
    if "FT.SEARCH" not in commands:
        return Dialect(
            "none",
            "no vector search",
            commands,
            _REDISEARCH,
            needs_sortby=False,
            text_search=False,
            negation=False,
            bare_star=False,
        )
    if "FT.TAGVALS" in commands:
        # valkey-search asks all shards; this module would answer with the documents of one, and not say so.
        number = next((replies.integer(number) for name, number in modules if name == "search"), 0)
        release = f" {number // 10_000}.{number // 100 % 100}" if number >= 10_000 else ""
        why = f"RediSearch as a module serves an index within one shard, and this cluster has {shards}"
        return Dialect(
            "redisearch",
            f"RediSearch{release}",
            commands,
            _REDISEARCH,
            needs_sortby=True,
            text_search=True,
            negation=True,
            bare_star=True,
            refused=why if shards > 1 else "",
            json_dialect=3,
            bound_values=True,
            # A server in cluster mode looks for keys in the slot of the command's own key, which for
            # FT.SEARCH is the name of the index: rows of documents in other slots come empty.
            loads=not cluster,
            several_vectors=True,
            in_keys=True,
            no_content=True,
            scores=True,
            escaped_breaks=True,
            cursors="FT.CURSOR" in commands,
            fuses="FT.HYBRID" in commands,
        )
    aliases = "FT._ALIASLIST" in commands and not {"FT._DEBUG", "FT.CURSOR"} & commands
    if "FT.PROFILE" in commands or aliases:
        return Dialect(
            "memorydb",
            "MemoryDB",
            commands,
            _MEMORYDB,
            needs_sortby=False,
            text_search=False,
            negation=False,
            bare_star=True,
            empty_ranges=False,  # not known: a relative refuses them, and nobody means one
        )
    version = next((replies.integer(number) for name, number in modules if name == "search"), 0) >> 8
    if not version:
        later = any(name in _COUNTERS_OF_12 for name in counters)
        version = 0x0102 if later else 0 if "FT.AGGREGATE" in commands else 0x0100
    release = f" {version >> 8}.{version & 255}" if version >> 8 else ""
    spread = shards > 1 and version >= 0x0102  # 1.0 refuses the words; whether 1.1 takes them is not known
    return Dialect(
        "valkey-search",
        f"valkey-search{release}",
        commands,
        _VALKEY_12 if version >= 0x0102 else _VALKEY,
        needs_sortby=False,
        text_search=version >= 0x0102 or not release,
        negation=True,
        bare_star=False,
        plain_queries="FT.AGGREGATE" in commands,
        grouped_words=False,
        escaped_controls=True,
        escaped_stars=False,
        escaped_names=False,
        empty_ranges=False,
        splits=VALKEY_SPLITS,
        settings="search.*",
        control_ends=True,
        small_grammar=True,
        later=version >= 0x0103,
        text_leaks=True,
        whole_cluster=True,
        every_shard=("ALLSHARDS",) if spread else (),
        some_shards=("SOMESHARDS",) if spread else (),
        no_content=True,
    )


# A limit of valkey-search, and the setting that tells what this server holds it to.
_TOLD_LIMITS = {
    "k": "search.max-vector-knn",
    "ef_runtime": "search.max-vector-ef-runtime",
    "ef_construction": "search.max-vector-ef-construction",
    "m": "search.max-vector-m",
    "dimensions": "search.max-vector-dimensions",
    "indexes": "search.max-indexes",
    "query_bytes": "search.query-string-bytes",
    "nodes": "search.query-string-terms-count",
    "rows": "search.max-nonvector-search-results-fetched",
}


def with_settings(dialect: Dialect, settings: Mapping[str, str]) -> Dialect:
    """The dialect with the limits that the server's own settings tell, whatever its release.

    Args:
        settings: as CONFIG GET tells them; what is missing, or no whole number, changes nothing.
    """
    numbers = {
        limit: number
        for limit, name in _TOLD_LIMITS.items()
        if (number := whole_number(settings.get(name, ""))) is not None
    }
    return replace(dialect, limits=replace(dialect.limits, **numbers))


# Lower-case pieces of "there is no such index", by engine: RediSearch 2.10 and 8, valkey-search, MemoryDB.
_MISSING_INDEX = re.compile(
    r"(unknown index name|no such index|index with name .* not found|index not found|"
    r"index (?!field\b).* does not exist)",
    re.IGNORECASE,
)
_MISSING_COMMAND = re.compile(r"unknown (sub)?command", re.IGNORECASE)
_QUERY_WORDS = re.compile(
    r"(syntax error|error parsing|invalid (filter|query|range|argument|option)|unknown field|expected|"
    r"query syntax|missing|bad arguments|could not|field .* not|`|blob size|dialect|property)",
    re.IGNORECASE,
)


def explain_refusal(reply: str, command: tuple[object, ...] = ()) -> MemDBError:
    """The server's error reply as one of our errors.

    Args:
        reply: the server's words, with or without the leading code.
        command: what was sent; names the index in messages.
    """
    low = reply.lower()
    name = _text(command[0]).upper() if command else ""
    if _MISSING_INDEX.search(reply):
        return UnknownIndex(_text(command[1]) if name.startswith("FT.") and len(command) > 1 else "?")
    if low.startswith("loading") or "is loading the dataset" in low:
        return Busy(
            "The server is loading its data into memory.", "Wait a moment; the page goes on by itself."
        )
    if name.startswith("FT.") and ("backfill" in low or "being built" in low):  # MemoryDB, per node
        return Busy(
            "The index is being built, and the server refuses searches until it is complete.",
            "The Indexes page shows how far it is; this page goes on by itself.",
        )
    if low.startswith(("noauth", "wrongpass")) or "invalid username-password" in low:
        return LoginFailed("The server refused the login.", "Check user and password of this target.")
    if low.startswith("noperm") or "no permissions" in low:
        return NotAllowed(
            f"The user may not run {name or 'this command'} here: {reply.rstrip('.')}.",
            _permission(name, low),
        )
    if _MISSING_COMMAND.search(reply):
        return UnsupportedFeature(name or "The command", "the server does not have it")
    if low.startswith("moved"):
        return EngineError(
            f"The cluster sent the command elsewhere: {reply}.",
            "Use the cluster's endpoint, or the primary's; a replica answers reads after READONLY.",
        )
    if low.startswith(("clusterdown", "tryagain", "masterdown")):
        return Busy(
            f"The cluster does not serve this now: {reply}.",
            "A failover or a move of slots takes seconds; the page goes on by itself.",
        )
    if low.startswith("crossslot"):
        return EngineError(
            "These keys lie in different slots, and a cluster runs such a command within one.",
            "Give the keys a common {hash tag}, or ask for them one by one.",
        )
    if low.startswith("readonly"):
        return EngineError("This node is a replica and takes no writes.", "Use the primary's endpoint.")
    if low.startswith("oom"):
        return EngineError(
            "The server is out of memory and refuses writes.", "Free memory or use a larger node."
        )
    if low.startswith("wrongtype") or "wrong redis type" in low:  # the second is RedisJSON's
        return WrongType(
            f"The key '{_text(command[1]) if len(command) > 1 else '?'}' holds another type of value.",
            "Choose another key.",
        )
    message = reply.removeprefix("ERR ").strip().rstrip(".")
    if name == "FT.CREATE":
        return _not_created(message, tuple(map(_text, command)))
    if name in {"FT.SEARCH", "FT.AGGREGATE", "FT.PROFILE", "FT.EXPLAIN"} or _QUERY_WORDS.search(low):
        return RejectedQuery(
            f"The server could not run the query: {message}.", _query_hint(low, command), reply=reply
        )
    return EngineError(f"The server refused {name or 'the command'}: {message}.", "")


_NEGATED = re.compile(r"-\s*[@(]")


def _query_hint(reply: str, command: tuple[object, ...]) -> str:
    """What to look at, by the words of a refusal."""
    if "blob size" in reply:
        return "Give a vector of the field's dimension and type."
    if "must be" in reply or "invalid range" in reply:
        return "Choose a value within these limits."
    if "`-`" in reply and any(_NEGATED.search(_text(query)) for query in command[2:3]):
        return "If the engine knows no negation, as MemoryDB does not: list the values that should match."
    return "Check the filter's field names, brackets and escapes."


_SIGN = re.compile(r"[Aa]lias `(?P<name>.*)` contains invalid character `(?P<sign>.)`")
_LONG = re.compile(
    r"for field `(?P<name>.*)`: .*[Aa] (?P<kind>\w+) field can have a maximum length of (?P<most>\d+)",
    re.DOTALL,
)
_TWICE = re.compile(
    r"(?:[Ii]ndex field `(?P<alias>.*)` already exists|[Dd]uplicate field in schema - (?P<name>.*))"
)
_OPTION = re.compile(
    r"(?:[Uu]nexpected (?:argument|parameter)|[Uu]nknown argument|parameter) `(?P<word>[^`]+)`"
)
_VALUE = re.compile(r"parameter `(?P<word>[^`]+)` - [Uu]nknown argument `(?P<value>[^`]+)`")
_FIELD_REFUSED = re.compile(
    r"[Ii]nvalid field type for field `(?P<name>[^`]+)`: (?:Unknown|Missing) argument"
)
_FIELD_TYPES = frozenset({"TAG", "NUMERIC", "TEXT", "VECTOR", "GEO", "GEOSHAPE"})
_FIELD_OPTIONS = frozenset(
    "CASESENSITIVE INDEXEMPTY INDEXMISSING NOINDEX NOSTEM PHONETIC SEPARATOR SORTABLE UNF WEIGHT "
    "WITHSUFFIXTRIE".split()
)


def _not_created(message: str, command: tuple[str, ...]) -> EngineError:
    """A refusal of FT.CREATE with what it was about: a type, a name, an option."""
    words = [word.upper() for word in command]
    start = f"The index '{command[1] if len(command) > 1 else '?'}' was not created"
    if match := _SIGN.search(message):
        return EngineError(
            f"{start}: this server takes no '{match['sign']}' in the name of a field, and one is called "
            f"'{match['name']}'.",
            "Give it a name of letters, digits and _ (AS in FT.CREATE); the hash's own field may stay.",
        )
    if match := _LONG.search(message):
        size = len(match["name"].encode())
        return EngineError(
            f"{start}: this server takes at most {match['most']} bytes for the name of a "
            f"{match['kind'].upper()} field, and one has {size}.",
            "Store the value in a field with a shorter name.",
        )
    if match := _TWICE.search(message):
        return EngineError(
            f"{start}: two fields are called '{match['alias'] or match['name']}'.",
            "Give each a name of its own (AS in FT.CREATE).",
        )
    if "TYPE" in words and "unknown argument" in message.lower():
        kind = words[words.index("TYPE") + 1] if words.index("TYPE") + 1 < len(words) else ""
        if f"`{kind}`" in message or message.lower().endswith("index type: unknown argument"):
            return EngineError(
                f"{start}: this server has no vectors of type {kind} ({message}).",
                "Store them as FLOAT32, or use a server whose search has this type.",
            )
    if match := _VALUE.search(message):
        return EngineError(
            f"{start}: this server's search takes no {match['value']} for {match['word']} ({message}).",
            "Give another value, or use a server whose search takes it.",
        )
    option = _taken_for_a_field(message, words)
    if not option and (match := _OPTION.search(message)) and match["word"].upper() in words:
        option = match["word"]
    if option:
        return EngineError(
            f"{start}: this server's search has no {option} there ({message}).",
            "Leave it out, or use a server whose search has it.",
        )
    return EngineError(f"{start}: {message}.", "Check its fields and options against what this server takes.")


def _taken_for_a_field(message: str, words: list[str]) -> str:
    """The option of a field that valkey-search does not know; "" where the refusal is of something else.

    It reads such a word as the name of the next field and refuses what follows as its type. Where that is
    one, the word after it is the next name.
    """
    match = _FIELD_REFUSED.search(message)
    if match is None or "SCHEMA" not in words:
        return ""
    schema = words[words.index("SCHEMA") + 1 :]
    name = match["name"].upper()
    for at in (at for at, word in enumerate(schema) if word == name and at):
        following = schema[at + 1] if at + 1 < len(schema) else ""
        if name in _FIELD_OPTIONS and following not in {*_FIELD_TYPES, "AS"}:
            return name
        if name in _FIELD_TYPES and following not in _FIELD_TYPES and at > 1:
            return schema[at - 2] if schema[at - 2] in _FIELD_OPTIONS else ""
    return ""


def _permission(name: str, reply: str) -> str:
    """What to ask the owner of the ACL for."""
    if "key" in reply.partition("permissions")[2] or "access" in reply:
        return "The user's ACL hides these keys: ask for read permission on their prefix (e.g. %R~prefix:*)."
    if name.startswith("FT."):
        return (
            "Ask for +@search; on MemoryDB also for read permission on the whole prefix of the index. "
            "Sessions and keys can be looked at without it."
        )
    return "Ask for the permission, or use another user."


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
