"""Which server a command or the app opens."""

from __future__ import annotations

from dataclasses import replace

from memdb.cluster import targets
from memdb.cluster.engine import running_engines
from memdb.cluster.engine.runtime import Running
from memdb.cluster.target import Budget, Iam, Target, Tls
from memdb.cluster.targets import Named, Origin, Password
from memdb.errors import BadSettings
from memdb.settings import Settings


def find_target(settings: Settings, url: str = "", *, writable: bool = False) -> Target:
    """The target of `url`; without one that of MEMDB_TARGET, the running local engine, or that of MEMDB_URL.

    Args:
        settings: of the environment.
        url: as the user gave it, e.g. with --url: an address, or the name of a target in the settings file.
            May be empty.
        writable: allow writes to `url` (MEMDB_WRITABLE does so for MEMDB_URL, the settings file for its
            targets). The local engine always takes writes.

    Raises:
        BadSettings: `url` is neither an address nor a name of the settings file, or there is nothing to open.
        MemDBError: the password of a named target cannot be had.
    """
    if url and "://" not in url:
        target = by_name(settings, url)
        return replace(target, writable=target.writable or writable)
    if url:
        return _named(settings, url, writable)
    if settings.target:
        target = by_name(settings, settings.target)
        return replace(target, writable=target.writable or writable)
    engines = running_engines(settings.home)
    if engines:
        return _local(engines[0], settings)
    if settings.url:
        target = from_settings(settings)
        return replace(target, writable=target.writable or writable)
    raise BadSettings(
        "There is no server to open: no local engine runs and MEMDB_URL is not set.",
        "Start one with `memdb demo` or `memdb engine start`, or name one with --url redis://host:6379.",
    )


def by_name(settings: Settings, name: str) -> Target:
    """A target of the settings file, with its password.

    Raises:
        BadSettings: there is none of that name, or its settings are wrong.
        MemDBError: its password cannot be had.
    """
    named_targets = targets.read(settings)
    for named in named_targets:
        if named.name == name:
            return targets.resolve(named)
    names = ", ".join(n.name for n in named_targets)
    # What was given in a name's place may be an address, or a piece of one: it is not repeated.
    raise BadSettings(
        f"There is no target of that name in '{targets.file_path(settings)}', and it is no address.",
        (f"The file has: {names}. " if names else "That file has no targets yet; docs/connect.md shows one. ")
        + "An address starts with redis://, rediss:// or unix://.",
    )


def known(settings: Settings) -> tuple[Named, ...]:
    """Every target that can be chosen: the app's own first, then the settings file, local engines, MEMDB_URL.

    Targets at one address with one user are listed once. Names are unique.

    Raises:
        BadSettings: MEMDB_URL or the settings file does not parse.
    """
    listed: list[Named] = []
    if settings.url:
        password = Password("variable", "MEMDB_PASSWORD" if settings.password else "MEMDB_URL")
        own = from_settings(settings)
        origin: Origin = "environment"
        if any(_same(own, entry.target) for entry in running_engines(settings.home)):
            origin, password = "local engine", Password("engine")  # as `memdb demo` starts the app
        listed.append(Named(own.name, own, origin, password if own.password else Password()))
    for named in targets.read(settings):
        # `memdb app --url NAME` hands the app a target of the file by its address.
        if not any(_alike(named.target, other.target) for other in listed):
            listed.append(named)
    for entry in running_engines(settings.home):
        target = _local(entry, settings)
        if not any(_same(target, other.target) for other in listed):
            listed.append(Named(target.name, target, "local engine", Password("engine")))
    if settings.target:
        listed.sort(key=lambda named: named.name != settings.target or named.origin != "settings file")
    elif not settings.url:
        listed.sort(key=lambda named: named.origin != "local engine")
    unique: dict[str, Named] = {}
    for named in listed:
        name, number = named.name, 1
        while name in unique:
            number += 1
            name = f"{named.name} ({number})"
        unique[name] = replace(named, name=name)
    return tuple(unique.values())


def offered(settings: Settings) -> tuple[Named, ...]:
    """What visitors from beyond this machine are offered: what was said for the app, nothing it came upon.

    That is the settings file and the target that the app was started for. A local engine may be started for,
    but is read-only then: that this machine's user may write to it says nothing of others. The settings file
    can say so.

    Raises:
        BadSettings: MEMDB_URL or the settings file does not parse.
    """
    own = from_settings(settings) if settings.url else None
    return tuple(
        replace(named, target=named.target.read_only()) if named.origin == "local engine" else named
        for named in known(settings)
        if named.origin != "local engine" or (own is not None and _same(named.target, own))
    )


def app_target(settings: Settings) -> Target:
    """The target of the app: MEMDB_TARGET or MEMDB_URL where set, for that is said by who starts the app.

    Raises:
        MemDBError: it does not parse or cannot be had, or there is neither it nor a running local engine.
    """
    if settings.target:
        return find_target(settings)
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
    return _with_companions(plain, settings).checked()


def _with_companions(plain: Target, settings: Settings) -> Target:
    """What MEMDB_TIMEOUT, MEMDB_TLS_*, MEMDB_IAM_* and the like add to an address."""
    iam = None
    if settings.iam_cluster or settings.iam_region:
        iam = Iam(settings.iam_cluster, settings.iam_region, settings.iam_service, settings.iam_serverless)
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
        budget=_budget(settings),
    )


def _named(settings: Settings, url: str, writable: bool) -> Target:
    target = Target.parse(url, writable=writable)
    for entry in running_engines(settings.home):
        # Its password is random and only in the runtime file: the address names it well enough.
        if _same(target, entry.target) and target.password in ("", entry.password):
            return _local(entry, settings)
    if settings.url:
        configured = from_settings(settings)
        if _same(target, configured):
            return replace(
                configured,
                username=target.username or configured.username,
                password=target.password or configured.password,
                writable=configured.writable or writable,
            )
        return target
    # So that a password need not stand on the command line. Where MEMDB_URL is set it, and all else, belong
    # to that server and go to no other.
    return _with_companions(
        replace(target, password=target.password or settings.password), settings
    ).checked()


def _local(entry: Running, settings: Settings) -> Target:
    """A local engine. The budget of MEMDB_BUDGET_* belongs to it where MEMDB_URL is not set."""
    return entry.target if settings.url else replace(entry.target, budget=_budget(settings))


def _budget(settings: Settings) -> Budget:
    return Budget(settings.budget_queries, settings.budget_keys, settings.budget_slow)


def _same(target: Target, other: Target) -> bool:
    return target.address.replace("//localhost", "//127.0.0.1") == other.address


def _alike(target: Target, other: Target) -> bool:
    return (target.address, target.username, target.label) == (other.address, other.username, other.label)
