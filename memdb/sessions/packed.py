"""Stored bytes as a document: JSON, or JSON that was packed. What cannot or must not be opened is named.

gzip, zlib, zstd, lz4, bzip2 and xz are told by their first bytes and unpacked up to a bound, in base64 too.
MessagePack is read; class names in it are not followed. UTF-16 and UTF-32 are read.

Pickle, Java's and PHP's own formats are never loaded: loading runs
code. What is encrypted stays so.
"""

from __future__ import annotations

import base64
import bz2
import json
import lzma
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgpack

from memdb.cluster import replies
from memdb.display import bytes_text
from memdb.sessions import python_text, stored_json
from memdb.sessions.transcripts import messages_in

MOST_BYTES = 32 * 2**20  # of an unpacked value; a larger one is named
UNKNOWN, TOO_DEEP = "bytes of no kind that is known", "JSON nested too deeply"
_DEEPEST = 2  # packings within one another
_NAMED = (
    (b"\xac\xed\x00\x05", "an object of Java's own serialisation"),
    (b"Salted__", "encrypted (OpenSSL)"),
    (b"U2FsdGVkX1", "encrypted (OpenSSL, in base64)"),
    (b"age-encryption.org/", "encrypted (age)"),
    (b"-----BEGIN PGP MESSAGE", "encrypted (PGP)"),
    (b"-----BEGIN AGE ENCRYPTED", "encrypted (age)"),
    (b"vault:v", "encrypted (Vault's transit engine)"),
)
_SEALED = ("gAAAAA", "eyJ", "U2FsdGVkX1", "age-encryption.org/", "-----BEGIN ", "vault:v")
_FERNET = re.compile(rb"gAAAAA[A-Za-z0-9_-]{50,}={0,2}\s*")
_JWE = re.compile(rb"eyJ[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*){4}\s*")
_PHP = re.compile(rb'a:\d+:\{(?:i|s):|O:\d+:"|s:\d+:"')
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\s-]+={0,2}\s*")
# gzip, zstd, lz4, and JSON: {" and [{" and [[" and what is indented.
_BASE64_STARTS = (b"H4sI", b"KLUv", b"BCJNGG", b"eyJ", b"ewog", b"W3si", b"Wwog", b"W1si")
_OLD_PICKLES = (b"(lp0\n", b"(dp0\n", b"]q\x00", b"}q\x00", b"ccopy_reg\n", b"c__builtin__\n")
_PRINTABLE = bytes(range(32, 127))
_ODD = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """Bytes as they were understood."""

    document: Any  # None where `readable` is false; JSON's null is None too
    readable: bool
    problems: tuple[str, ...]  # sentences: what is wrong, or how it was packed


def unpacked(raw: bytes, what: str = "The value", depth: int = 0) -> Unpacked:
    """What bytes hold. Never raises.

    Args:
        raw: as stored.
        what: begins the sentences of `problems`.
        depth: of packings that were opened already.
    """
    for name, magic, unpack in _PACKINGS:
        if magic(raw):
            try:
                inner = unpack(raw)
            except (ValueError, OSError, EOFError, zlib.error, lzma.LZMAError) as exc:
                if name in ("zlib", "base64"):  # text or MessagePack can begin so too
                    break
                return Unpacked(None, False, (f"{what} is compressed ({name}) and damaged: {exc}.",))
            if len(inner) > MOST_BYTES or depth >= _DEEPEST:
                limit = (
                    f"unpacks to more than {bytes_text(MOST_BYTES)}"
                    if depth < _DEEPEST
                    else "is packed again"
                )
                return Unpacked(
                    None, False, (f"{what} is compressed ({name}) and {limit}; it was not read.",)
                )
            within = unpacked(inner, what, depth + 1)
            if name == "base64" and not within.readable and not named(inner) and len(within.problems) == 1:
                break  # a word that only looks so
            problem = f"{what} is compressed ({name}, {bytes_text(len(inner))} unpacked)."
            if name == "base64":
                problem = f"{what} is in base64."
            return Unpacked(within.document, within.readable, (problem, *within.problems))
    if (kind := named(raw)) != "":
        return Unpacked(None, False, (f"{what} is {kind}; it is not opened here.",))
    return _document(raw, what)


def named(raw: bytes) -> str:
    """What bytes are that are not opened: pickle, encrypted and others; empty for anything else."""
    if _is_pickle(raw):
        return "a pickle of Python, which runs code when it is loaded"
    if (kind := next((kind for magic, kind in _NAMED if raw.startswith(magic)), "")) != "":
        return kind
    if _FERNET.fullmatch(raw):
        return "encrypted (Fernet)"
    if _JWE.fullmatch(raw):
        return "encrypted (JWE)"
    return "an array or object of PHP's own serialisation" if _PHP.match(raw) else ""


def sealed(text: str) -> str:
    """What a text is that is encrypted; empty for anything else."""
    if not text.startswith(_SEALED):
        return ""
    kind = named(text.encode("utf-8", "surrogatepass"))
    return kind if kind.startswith("encrypted") else ""


def _document(raw: bytes, what: str) -> Unpacked:
    encoded: tuple[str, ...] = ()
    if (wide := wide_text(raw)) is not None:
        raw, encoded = wide.encode("utf-8", "surrogatepass"), (f"{what} is in UTF-16 or UTF-32.",)
    text = replies.key(raw).removeprefix("\ufeff")
    odd = not text.isascii() and _ODD.search(text) is not None
    not_utf8 = (f"{what} is not all UTF-8; such bytes are shown as \\xNN.",) if odd else ()
    try:
        loaded = stored_json.loads(text)
    except json.JSONDecodeError as exc:
        if odd and (message := _message_pack(raw)) is not None:
            return Unpacked(message, True, (f"{what} is MessagePack.",))
        if not odd and (lines := _json_lines(text)) is not None:
            return Unpacked(lines, True, encoded)
        if not odd and (plain := _said(text, what)) is not None:
            return replace(plain, problems=(*plain.problems, *encoded))
        where = f"{exc.msg.removesuffix(' at')} at character {exc.pos + 1:,} of {len(text):,}"
        salvaged, read = stored_json.salvaged(text)
        if salvaged is not None:
            whole = not text[read:].strip()
            rest = f"{what} is not JSON: {where}; what stands before character {read + 1:,} is read."
            problem = f"{what} is several documents of JSON, one behind the other." if whole else rest
            return Unpacked(salvaged, True, (problem, *encoded, *not_utf8))
        odd_bytes = len(raw[:2_000].translate(None, _PRINTABLE))
        binary = odd and len(raw) >= 16 and odd_bytes > len(raw[:2_000]) * 0.3
        if binary:
            return Unpacked(None, False, (f"{what} is {UNKNOWN}; it may be encrypted.",))
        if not text.strip():
            return Unpacked(None, False, (f"{what} is empty.",))
        return Unpacked(None, False, (f"{what} is not JSON: {where}.", *encoded, *not_utf8))
    document = loaded.value
    if loaded.cut:
        deep = f"{what} is {TOO_DEEP}: what lies deeper than {stored_json.DEEPEST} is left out."
        return Unpacked(document, True, (deep, *encoded, *not_utf8))
    if isinstance(document, str) and (kind := named(document.encode("utf-8", "surrogatepass"))) != "":
        return Unpacked(None, False, (f"{what} is {kind}; it is not opened here.",))
    return Unpacked(document, True, (*encoded, *not_utf8))


def _said(text: str, what: str) -> Unpacked | None:
    """What a text that is no JSON is: as Python prints it, or a conversation; None where neither."""
    try:
        return Unpacked(
            python_text.loads(text), True, (f"{what} is written as Python prints it, not as JSON.",)
        )
    except ValueError:
        messages = messages_in(text)
    return Unpacked(messages, True, ()) if messages else None


def wide_text(raw: bytes) -> str | None:
    """Bytes of UTF-16 or UTF-32 as the text they are; None for anything else.

    Told by a byte order mark, or by the zeros beside the first sign of JSON: a vector can have zeros too.
    """
    if len(raw) < 4 or (b"\0" not in raw[:4] and raw[:2] not in (b"\xff\xfe", b"\xfe\xff")):
        return None
    marked = raw[:2] in (b"\xff\xfe", b"\xfe\xff") or raw[:4] == b"\0\0\xfe\xff"
    encoding = json.detect_encoding(raw)
    if encoding.startswith("utf-8"):
        return None
    try:
        text = raw.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError:
        return None
    if not text or "\0" in text or not (marked or text[0] in '{["'):
        return None
    return text if all(sign.isprintable() or sign.isspace() for sign in text[:1_000]) else None


def _json_lines(text: str) -> list[str] | None:
    """The lines of a text of which each is a JSON object, some perhaps damaged; None where it is none."""
    lines = [line_ for line_ in text.splitlines() if line_.strip()]
    if len(lines) < 2 or sum(line_.lstrip().startswith("{") for line_ in lines) * 2 < len(lines):
        return None
    for line_ in lines[:2]:  # the first may be damaged
        try:
            if isinstance(stored_json.loads(line_).value, dict):
                return lines
        except json.JSONDecodeError:
            continue
    return None


def _message_pack(raw: bytes) -> Any:
    """The list or map that MessagePack says; None where the bytes are none."""
    first = raw[0] if raw else 0
    if not (0x80 <= first <= 0x9F or first in (0xDC, 0xDD, 0xDE, 0xDF)):
        return None
    try:
        unpacked_ = msgpack.unpackb(
            raw,
            strict_map_key=False,
            unicode_errors="surrogateescape",
            ext_hook=lambda code, _: f"(extension {code})",
        )
    except (ValueError, TypeError, msgpack.UnpackException, RecursionError):  # a list as a name among them
        return None
    return _plain(unpacked_) if isinstance(unpacked_, list | dict) else None


def _plain(value: Any, depth: int = 0) -> Any:
    """MessagePack's values in JSON's types."""
    if depth > 100:
        return "(nested too deeply)"
    if isinstance(value, dict):
        return {
            k if isinstance(k, str) else replies.key(k) if isinstance(k, bytes) else str(k): _plain(
                v, depth + 1
            )
            for k, v in value.items()
        }
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, bytes):
        return replies.key(value)
    return value if isinstance(value, str | int | float | None) else str(value)


def _is_pickle(raw: bytes) -> bool:
    """By the first bytes of its protocols, and the stop at its end or the frame that 4 and 5 begin with."""
    if raw[:1] == b"\x80" and raw[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return raw.endswith(b".") or raw[2:3] == b"\x95"
    return raw.endswith(b".") and raw.startswith(_OLD_PICKLES)


def _inflated(raw: bytes) -> bytes:
    stream = zlib.decompressobj(wbits=47)
    data = stream.decompress(raw, MOST_BYTES + 1)
    if not stream.eof and len(data) <= MOST_BYTES:
        raise ValueError("it ends too early")
    return data


def _arrow(codec: str) -> Callable[[bytes], bytes]:
    def unpack(raw: bytes) -> bytes:
        import pyarrow as pa  # only where such a value is met: it takes a tenth of a second to load

        with pa.input_stream(pa.BufferReader(raw), compression=codec) as stream:
            return bytes(stream.read(MOST_BYTES + 1))

    return unpack


def _in_base64(raw: bytes) -> bool:
    """Whether bytes are base64 of something that begins as packed bytes or JSON do."""
    return raw.startswith(_BASE64_STARTS) and len(raw) >= 16 and _BASE64.fullmatch(raw) is not None


def _from_base64(raw: bytes) -> bytes:
    text = raw.translate(bytes.maketrans(b"-_", b"+/"), b" \r\n\t=")
    return base64.b64decode(text + b"=" * (-len(text) % 4))


def _starts(magic: bytes) -> Callable[[bytes], bool]:
    return lambda raw: raw.startswith(magic)


_PACKINGS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], bytes]], ...] = (
    ("gzip", _starts(b"\x1f\x8b"), _inflated),
    ("zstd", _starts(b"\x28\xb5\x2f\xfd"), _arrow("zstd")),
    ("lz4", _starts(b"\x04\x22\x4d\x18"), _arrow("lz4")),
    ("bzip2", _starts(b"BZh"), lambda raw: bz2.BZ2Decompressor().decompress(raw, MOST_BYTES + 1)),
    ("xz", _starts(b"\xfd7zXZ\x00"), lambda raw: lzma.LZMADecompressor().decompress(raw, MOST_BYTES + 1)),
    (
        "zlib",
        lambda raw: raw[:1] == b"\x78" and len(raw) > 2 and (raw[0] * 256 + raw[1]) % 31 == 0,
        _inflated,
    ),
    ("base64", _in_base64, _from_base64),
)
