"""Which server a command or the app opens."""

from __future__ import annotations

from dataclasses import replace

from memdb.cluster.engine import running_engines
from memdb.cluster.target import Iam, Target, Tls
from memdb.errors import BadSettings
from memdb.settings import Settings


def find_target(settings: Settings, url: str = "", *, writable: bool = False) -> Target:
    """The target of `url`; without one the running local engine, else the one of MEMDB_URL.

    Args:
        settings: of the environment.
        url: as the user gave it, e.g. with --url; may be empty.
        writable: allow writes to `url` (MEMDB_WRITABLE does so for MEMDB_URL). The local engine always
            takes writes.

    Raises:
        BadSettings: a URL does not parse, or there is neither.
    """
    if url:
        return _named(settings, url, writable)
    engines = running_engines(settings.home)
    if engines:
        return engines[0].target
    if settings.url:
        found = from_settings(settings)
        return replace(found, writable=found.writable or writable)
    raise BadSettings(
        "There is no server to open: no local engine runs and MEMDB_URL is not set.",
        "Start one with `memdb demo` or `memdb engine start`, or name one with --url redis://host:6379.",
    )


def app_target(settings: Settings) -> Target:
    """The target of the app: MEMDB_URL where it is set, for who starts the app says there what it opens.

    Raises:
        BadSettings: the URL does not parse, or there is neither it nor a running local engine.
    """
    return from_settings(settings) if settings.url else find_target(settings)


def from_settings(settings: Settings) -> Target:
    """The target that MEMDB_URL and its companions describe.

    Raises:
        BadSettings: it does not parse.
    """
    plain = Target.parse(
        settings.url,
        password=settings.password,
        label=settings.label,
        kind=settings.kind,
        writable=settings.writable,
    )
    iam = None
    if settings.iam_cluster or settings.iam_region:
        iam = Iam(settings.iam_cluster, settings.iam_region)
    return replace(
        plain,
        timeout_s=settings.timeout,
        colour=settings.colour,
        tls=Tls(
            ca=settings.tls_ca,
            cert=settings.tls_cert,
            key=settings.tls_key,
            verify=settings.tls_verify,
            hostname=settings.tls_hostname,
        ),
        iam=iam,
        read_from_replicas=settings.read_from_replicas,
    ).checked()


def _named(settings: Settings, url: str, writable: bool) -> Target:
    target = Target.parse(url, writable=writable)
    for entry in running_engines(settings.home):
        # Its password is random and only in the runtime file: the address names it well enough.
        if _same(target, entry.target) and target.password in ("", entry.password):
            return entry.target
    if settings.url:
        known = from_settings(settings)
        if _same(target, known):
            return replace(
                known,
                username=target.username or known.username,
                password=target.password or known.password,
                writable=known.writable or writable,
            )
    elif settings.password and not target.password:
        # So that a password need not stand on the command line. Where MEMDB_URL is set it belongs to
        # that server and is sent to no other.
        return replace(target, password=settings.password)
    return target


def _same(one: Target, other: Target) -> bool:
    return one.address.replace("//localhost", "//127.0.0.1") == other.address
