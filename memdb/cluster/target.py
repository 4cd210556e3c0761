"""Where a server is, how to log in, and what may be done there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Literal

from memdb.cluster import address as addresses
from memdb.errors import BadSettings

Kind = Literal["local", "development", "production"]
KINDS: tuple[Kind, ...] = ("local", "development", "production")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Names and not values: the app draws them in tones that hold in light and dark. The kind has its own mark,
# so that the colour may be left out, or differ between two targets of one kind.
COLOURS = ("blue", "green", "orange", "red", "violet", "yellow", "gray")


@dataclass(frozen=True, slots=True)
class Tls:
    """How a `rediss://` server is verified, and how it may verify us. Paths are of PEM files here."""

    ca: str = ""  # certificates of the authorities to trust; empty: the system's
    cert: str = ""  # our own certificate, with its chain
    key: str = ""  # its private key, without a passphrase; may stand in the same file as the certificate
    verify: bool = True
    hostname: str = ""  # the name in the server's certificate, where a tunnel makes the address another


IAM_SERVICES = ("memorydb", "elasticache")  # a token can be signed for


@dataclass(frozen=True, slots=True)
class Iam:
    """Login by a token that AWS credentials sign, instead of a password."""

    cluster: str  # AWS's name of the cluster, replication group or serverless cache, not its endpoint
    region: str
    service: str = "memorydb"  # or elasticache: what the token is signed for
    serverless: bool = False  # of ElastiCache


@dataclass(frozen=True, slots=True)
class Budget:
    """What heavy reads (sweeps, scans) may ask of this server. 0: no bound from the target.

    Raises:
        BadSettings: a bound is below 0, or no finite number, which would bound nothing.
    """

    queries_per_s: float = 0.0
    keys_scanned: int = 0
    slow_factor: float = 0.0  # stop where the server's latency rises above this multiple of the first one

    def __post_init__(self) -> None:
        for bound in (self.queries_per_s, self.keys_scanned, self.slow_factor):
            if not 0 <= bound < math.inf:
                raise BadSettings(f"A bound of the budget is {bound}.", "Give 0 or more; 0 is none.")


@dataclass(frozen=True, slots=True)
class Target:
    """One server as the user named it. Hashable: it is part of every cache key.

    The password takes part in equality but never in repr, str or `address`.
    """

    scheme: Literal["redis", "rediss", "unix"] = "redis"
    host: str = "127.0.0.1"
    port: int = 6379
    path: str = ""  # of a unix socket
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    label: str = ""
    kind: Kind = "development"
    writable: bool = False
    timeout_s: float = 15.0
    colour: str = ""  # one of COLOURS; empty: that of the kind
    tls: Tls = Tls()
    iam: Iam | None = None
    read_from_replicas: bool = False
    budget: Budget = Budget()

    @property
    def unverified(self) -> bool:
        """Whether the connection is encrypted, but with whoever answers: shown wherever the target is."""
        return self.scheme == "rediss" and not self.tls.verify

    @property
    def address(self) -> str:
        """Scheme, host, port and database: safe to show, log and compare."""
        return addresses.written(self.scheme, self.host, self.port, self.path, self.db)

    @property
    def name(self) -> str:
        """The label, or the address where there is none."""
        return self.label or self.address

    @property
    def url(self) -> str:
        """With user and password: to hand to a child's environment, never to show."""
        scheme, rest = self.address.split("://", 1)
        return f"{scheme}://{addresses.login(self.username, self.password)}{rest}"

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        password: str = "",
        label: str = "",
        kind: str = "",
        writable: bool = False,
    ) -> Target:
        """Read an address, as `memdb.cluster.address.read` does.

        A kind left out is "local" on this machine's own address, else "development".

        Raises:
            BadSettings: no such address, or no such kind; the message repeats nothing of the address.
        """
        parts = addresses.read(url)
        if kind and kind not in KINDS:
            raise BadSettings(
                f"{addresses.shown(kind)} is not a kind of target.", f"Use one of: {', '.join(KINDS)}."
            )
        default: Kind = "local" if parts.scheme == "unix" or parts.host in LOOPBACK else "development"
        return cls(
            scheme=parts.scheme,  # type: ignore[arg-type]  # one of SCHEMES
            host=parts.host,
            port=parts.port,
            path=parts.path,
            db=parts.db,
            username=parts.username,
            password=password or parts.password,
            label=label,
            kind=kind or default,
            writable=writable,
        )

    def checked(self) -> Target:
        """Itself, once its settings agree with each other.

        Raises:
            BadSettings: they contradict each other; the hint says which to change.
        """
        if addresses.is_address(self.label):
            raise BadSettings("The label is an address.", "Give a name, which is shown on every page.")
        if self.colour and self.colour not in COLOURS:
            raise BadSettings(
                f"{addresses.shown(self.colour)} is not a colour here.", f"Use one of: {', '.join(COLOURS)}."
            )
        if self.kind not in KINDS:
            raise BadSettings(
                f"{addresses.shown(self.kind)} is not a kind of target.", f"Use one of: {', '.join(KINDS)}."
            )
        if self.tls != Tls() and self.scheme != "rediss":
            raise BadSettings(
                f"TLS settings are given, but {self.address} is a plain address.", "Use rediss:// for TLS."
            )
        if self.iam is not None:
            if self.iam.service not in IAM_SERVICES:
                raise BadSettings(
                    f"IAM tokens are made for memorydb or elasticache, not for '{self.iam.service}'.",
                    "Correct iam.service or MEMDB_IAM_SERVICE.",
                )
            if not (self.iam.cluster and self.iam.region and self.username):
                raise BadSettings(
                    f"IAM login to {self.name} needs user, cluster name and region.",
                    "Give the user in the URL (rediss://user@host:6379), cluster name and region beside it.",
                )
            if self.password:
                raise BadSettings(
                    f"{self.name} has a password and IAM login.",
                    "Keep one: IAM makes its own tokens.",
                )
            if self.scheme == "redis" and self.host not in LOOPBACK:
                raise BadSettings(
                    f"IAM login over {self.address} would send the token unencrypted.", "Use rediss://."
                )
        return self

    def read_only(self) -> Target:
        """The same server, without the permission to write."""
        return replace(self, writable=False)
