"""Addresses of servers, read strictly, and what of them may be shown.

A lenient reader takes `redis://user:12/34@host` for the host `user`, and drops what it does not understand.
Here every part is honoured or refused. A refusal repeats nothing of the address: what stops it from being a
well-formed one may be a part of a password.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from memdb.errors import BadInput, BadSettings, MemDBError

SCHEMES = ("redis", "rediss", "unix")
DEFAULT_PORT = 6379
LIKE = "Write it like redis://host:6379 or rediss://user@host:6379."
ENCODE = (
    "Leave the password out and set MEMDB_PASSWORD (or password_env, password_file or secret in the settings "
    "file); inside an address write / as %2F, ? as %3F, # as %23, @ as %40, [ as %5B, ] as %5D and % as %25."
)

_FILE = "in the settings file"
# Options that other clients read from an address → where they are said here.
_ELSEWHERE = {
    "ssl_ca_certs": f"MEMDB_TLS_CA, or tls.ca {_FILE}",
    "ssl_ca_path": f"MEMDB_TLS_CA, or tls.ca {_FILE}",
    "ssl_ca_data": f"MEMDB_TLS_CA, or tls.ca {_FILE}",
    "ssl_certfile": f"MEMDB_TLS_CERT, or tls.cert {_FILE}",
    "ssl_keyfile": f"MEMDB_TLS_KEY, or tls.key {_FILE}",
    "ssl_cert_reqs": f"MEMDB_TLS_VERIFY, or tls.verify {_FILE}",
    "ssl_check_hostname": f"MEMDB_TLS_HOSTNAME, or tls.hostname {_FILE}",
    "ssl": "rediss:// instead of redis://",
    "tls": "rediss:// instead of redis://",
    "username": "redis://user@host",
    "user": "redis://user@host",
    "password": "MEMDB_PASSWORD, or password_env, password_file or secret in the settings file",
    "timeout": "MEMDB_TIMEOUT, or timeout in the settings file",
    "socket_timeout": "MEMDB_TIMEOUT, or timeout in the settings file",
    "socket_connect_timeout": "MEMDB_TIMEOUT, or timeout in the settings file",
    "readonly": "nothing: a target is read-only unless it is declared writable",
    "read_from_replicas": "MEMDB_READ_FROM_REPLICAS, or read_from_replicas in the settings file",
}
_HOST = re.compile(r"[^\s\"'<>\\^`{|}%,;=&+()!$*~]+")
_DATABASE = re.compile(r"[0-9]{1,9}")
_PORT_AND_MORE = re.compile(r":\d{4,5}:\S")  # host:port:password, as some tools write it
_UNSENDABLE = re.compile("[\x00-\x1f\x7f\ud800-\udc7f\udd00-\udfff]")  # the others stand for bytes
# Under which people give a login, as to other clients; no command here has them.
_LOGIN = re.compile(r"-[apu].*|--(pas\w*|pwd|auth\w*|secret\w*|token|credentials?)", re.IGNORECASE)
# An address of a server, well-formed or not, or one of anything else with a login in it. A key such as
# user:ada@example.com is none.
_SERVER = re.compile(
    r"\s*((rediss?|valkeys?|unix):/|([a-z][a-z0-9+.-]*:)?//[^\s/]*:.*@)", re.IGNORECASE | re.DOTALL
)
_TOLD = 3  # characters behind the slashes, by which a message that cuts an address is known to hold it
NOT_SHOWN = "not shown, as it may be a password"  # in the place of a value of the command line
# argparse lists options, no values
_NAMES_OPTIONS = ("The following arguments are required: ", "One of the arguments ")
# memdb.cli.options repeats no value of these
_NOT_UNDERSTOOD = re.compile(r"\d+ words? (is|are) not understood")
# The part of an argparse message before what it repeats of the command line.
_HEAD = re.compile(r"(argument [^:'\"]*: )?[^:'\"]*")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address, decoded."""

    scheme: str
    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""  # of a unix socket
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)  # bytes that are no UTF-8 as lone surrogates


def read(text: str) -> Address:
    """Read `redis://[user[:password]@]host[:port][/db]`, `rediss://…` or `unix://[user[:password]@]/path`.

    The database may also stand behind a `?db=`, the only option that an address takes.

    Raises:
        BadSettings: not such an address; the message repeats nothing of it.
    """
    text = text.strip()
    if _UNSENDABLE.search(text):
        raise BadSettings("The address holds a line break, a tab or another control character.", ENCODE)
    scheme = text.partition("://")[0].lower()
    if "://" not in text or scheme not in SCHEMES:
        raise BadSettings("The address does not start with redis://, rediss:// or unix://.", LIKE)
    rest = text.partition("://")[2]
    place = re.split("[/?#]", rest, maxsplit=1)[0]  # where a login and a host stand
    if "@" in rest[len(place) :] and (scheme != "unix" or place):
        raise BadSettings(
            "The address has an '@' behind a '/', '?' or '#', as if these stood in a password.", ENCODE
        )
    if "#" in rest:
        raise BadSettings("The address has a '#', which nothing may follow.", ENCODE)
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts = None
    if parts is None:  # raised out here: the caught error repeats the address
        raise BadSettings("The address has no readable host and port (1 to 65535).", ENCODE)
    option = _options(parts.query)
    names, _, server = parts.netloc.rpartition("@")
    user, _, password = names.partition(":")
    try:
        username = unquote(user, errors="strict")
    except UnicodeDecodeError:
        username = None
    if username is None:
        raise BadSettings("The user in the address is not UTF-8.", ENCODE)
    secret = unquote(password, errors="surrogateescape")
    if scheme == "unix":
        if host or port is not None or not parts.path.strip("/"):
            raise BadSettings("The address names no socket.", "Write it like unix:///run/redis.sock.")
        path = unquote(parts.path, errors="surrogateescape")
        return Address(scheme, "", DEFAULT_PORT, path, option or 0, username, secret)
    if not host:
        raise BadSettings("The address names no host.", ENCODE if place else LIKE)
    if port == 0:
        raise BadSettings("The address has port 0, where no server listens.", "Give 1 to 65535.")
    if not _is_host(host, server):
        raise BadSettings("The host in the address is no host name.", ENCODE)
    return Address(scheme, host, port or DEFAULT_PORT, "", _database(parts.path, option), username, secret)


def written(scheme: str, host: str, port: int, path: str, db: int) -> str:
    """The address without its login: what `read` reads back."""
    if scheme == "unix":
        return f"unix://{quote(path, errors='surrogateescape')}" + (f"?db={db}" if db else "")
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{port}" + (f"/{db}" if db else "")


def login(username: str, password: str) -> str:
    """User and password as an address has them, with the '@'; empty where there is neither."""
    if not (username or password):
        return ""
    return f"{quote(username, safe='')}:{quote(password, safe='', errors='surrogateescape')}@"


def shown(text: str) -> str:
    """A setting's value for a message, in quotes; not where it could be an address."""
    return "(an address)" if may_hold_password(text) else f"'{text}'"


def is_address(text: str) -> bool:
    """Whether a name is an address, perhaps with a login; a name is shown everywhere."""
    return re.match(r"\s*([a-z][a-z0-9+.-]*:)?//|.*:\S.*@", text, re.IGNORECASE | re.DOTALL) is not None


def may_hold_password(text: str) -> bool:
    """Whether a text could be an address, or the end of one, with a password in it."""
    return "://" in text or "@" in text or _PORT_AND_MORE.search(text) is not None


def without_values(error: BadInput, words: Sequence[str]) -> BadInput:
    """A complaint about a command line that repeats nothing of it, where a password may stand in that line.

    A password with blanks, or one behind the wrong option, is several words or another option's value: none
    of them is told.
    """
    names = [word.partition("=")[0] for word in words if word.startswith("-")]
    login = any(map(_LOGIN.fullmatch, names))
    # An address of any form behind --url, of a command that takes none.
    not_understood = _NOT_UNDERSTOOD.match(str(error)) is not None
    unread = not_understood and "--url" in names and "--url" in str(error)
    repeats = not str(error).startswith(_NAMES_OPTIONS) and NOT_SHOWN not in str(error)
    if not repeats or not (login or unread or any(map(may_hold_password, words))):
        return error
    if login:
        hint = "A password is no option: set MEMDB_PASSWORD, or put it into the address, percent-encoded."
    elif unread:
        hint = "This command takes no --url."
    else:
        hint = "An address follows --url, in quotes."
    if not_understood:
        return BadInput(str(error), f"{error.hint} {hint}")
    head = _HEAD.match(str(error))
    kind = (head.group() if head else "").strip(" :")
    return BadInput(
        f"{kind or 'The command line cannot be read'}; the values are not shown, as one may hold a password.",
        f"{error.hint} {hint}",
    )


def without_addresses(error: MemDBError, words: Sequence[str]) -> MemDBError:
    """An error that repeats no address of a server that stood on the command line, behind whichever option.

    One in the place of an index's or a file's name reads like a name to what complains that there is none.
    """
    message, hint = str(error), error.hint
    for word in words:
        value = word.partition("=")[2] if word.startswith("--") else word
        if _SERVER.match(value) and not _without_login(value):
            # As the path of a file, two slashes are one.
            for form in (value, str(PurePath(value))):
                message, hint = _unsaid(message, form), _unsaid(hint, form)
    if (message, hint) == (str(error), error.hint):
        return error
    return BadInput(message, f"{hint} An address follows --url, in quotes.".strip())


def _without_login(text: str) -> bool:
    try:
        parts = read(text)
    except BadSettings:
        return False
    return not (parts.username or parts.password)


def _unsaid(text: str, address: str) -> str:
    """A text without an address, or the beginning of one that it cuts."""
    slashes = address.rfind("/", 0, address.find("/") + 2)
    for length in range(len(address), slashes + _TOLD, -1):
        if address[:length] in text:
            return text.replace(address[:length], "(an address)")
    return text


def _options(query: str) -> int | None:
    """The database of `?db=`; None without one."""
    if not query:
        return None
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        pairs = []
    names = [name.lower() for name, _ in pairs]
    for name in names:
        if name in _ELSEWHERE:
            raise BadSettings(
                f"The address has the option '{name}', which is not read there.", f"Use {_ELSEWHERE[name]}."
            )
        if name.startswith("ssl_"):
            raise BadSettings(
                "The address has an option of TLS (ssl_…), which is not read there.",
                "Use MEMDB_TLS_CA, _CERT, _KEY, _HOSTNAME and _VERIFY, or tls in the settings file.",
            )
    if not names or set(names) != {"db"}:
        raise BadSettings(
            "The address has an option behind the '?' that is not known; db is the only one.", ENCODE
        )
    values = {value for _, value in pairs}
    if len(values) > 1 or not _DATABASE.fullmatch(pairs[0][1]):
        raise BadSettings("The address has a db that is no one number.", "Write it like redis://host:6379/2.")
    return int(pairs[0][1])


def _database(path: str, option: int | None) -> int:
    number = path.strip("/")
    if number and not _DATABASE.fullmatch(number):
        raise BadSettings("What follows the host in the address is no database number.", ENCODE)
    if number and option is not None and option != int(number):
        raise BadSettings(
            "The address names two databases, one behind '?'.", "Keep one: redis://host:6379/2."
        )
    return int(number) if number else option or 0


def _is_host(host: str, server: str) -> bool:
    if server.startswith("["):
        return True  # an IP address in brackets, which urlsplit has checked
    if not _HOST.fullmatch(host):
        return False
    try:
        host.encode("idna")  # what a lookup does: no label is empty or longer than 63
    except UnicodeError:
        return False
    return True
