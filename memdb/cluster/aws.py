"""Clients of AWS's own services, with the credentials of this machine, and their failures in our words."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from memdb.errors import BadSettings, LoginFailed, MemDBError, Unreachable
from memdb.settings import variable

_ACCOUNT = re.compile(r"\b\d{12}\b")
_ARN = re.compile(r"\barn:[\w-]+:[^\s,'\"]*")


def session() -> Any:
    """A boto3 session, in the Region of AWS_REGION where that is set: boto3 reads AWS_DEFAULT_REGION."""
    import boto3  # 0.3 s, and few need it
    from botocore.session import Session

    inner = Session()
    inner.register_component("data_loader", _models(inner.get_config_variable("data_path")))
    return boto3.Session(botocore_session=inner, region_name=variable("AWS_REGION") or None)


def with_credentials(without: str, hint: str) -> Any:
    """A boto3 session that has credentials.

    Args:
        without: the message where there are none.
        hint: what to do then.

    Raises:
        LoginFailed: there are none.
        BotoCoreError: what is configured cannot be read.
    """
    opened = session()
    if opened.get_credentials() is None:
        raise LoginFailed(without, hint)
    return opened


@cache
def _models(paths: str | None) -> Any:
    """botocore's models of the services, read once in a process: each session has credentials of its own, but
    would also read these anew, which is most of what a client costs.

    Args:
        paths: AWS_DATA_PATH, where one looks for more of them.
    """
    from botocore.loaders import Loader

    class Models(Loader):  # type: ignore[misc]  # botocore tells no types
        """Each boto3 session appends a folder here, of resources, which nothing uses."""

        @property
        def search_paths(self) -> list[str]:
            return list(self._search_paths)

    folders = [os.path.expandvars(path) for path in paths.split(os.pathsep)] if paths else []
    return Models(extra_search_paths=[str(Path(folder).expanduser()) for folder in folders])


def client(service: str, region: str = "") -> Any:
    """A boto3 client with short timeouts: a page waits for it.

    Args:
        service: e.g. "memorydb".
        region: empty takes the one of the environment or the AWS profile.

    Raises:
        BadSettings: no region is named anywhere, or the profile does not exist.
        LoginFailed: there are no credentials.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        opened = with_credentials(
            "There are no AWS credentials on this machine.",
            "Log in with the AWS CLI, set AWS_PROFILE, or run where a role gives them.",
        )
        # Throttled calls are tried again with growing pauses; accounts with hundreds of clusters meet them.
        retries = {"total_max_attempts": 4, "mode": "standard"}
        config = Config(connect_timeout=3, read_timeout=10, retries=retries)
        return opened.client(service, region_name=region or None, config=config)
    except (BotoCoreError, ValueError) as exc:
        raise explain(exc) from exc


def secret(name: str, region: str = "", *, secrets: Any = None) -> str:
    """A password in AWS Secrets Manager.

    Args:
        name: name or ARN of the secret; `name#key` takes one value of a JSON secret. Without a key, the
            value `password` of a JSON secret, else the whole text.
        region: empty takes that of an ARN, else the environment's.
        secrets: a boto3 client of Secrets Manager.

    Raises:
        BadSettings: no such secret, it is binary, or it has no such key.
        MemDBError: AWS does not answer, or refuses.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    name, _, key = name.partition("#")
    if name.startswith("arn:") and name.count(":") >= 6:
        region = region or name.split(":")[3]
    secrets = secrets or client("secretsmanager", region)
    try:
        text = secrets.get_secret_value(SecretId=name).get("SecretString")
    except ClientError as exc:
        if _code(exc) == "ResourceNotFoundException":
            raise BadSettings(
                f"There is no secret '{name}' in this AWS account and Region.",
                "Check its name, the Region (secret_region) and the account of the AWS credentials.",
            ) from exc
        raise explain(exc) from exc
    except BotoCoreError as exc:
        raise explain(exc) from exc
    if not text:
        raise BadSettings(f"The secret '{name}' holds no text.", "Store the password as text or JSON.")
    try:
        values = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        if key:
            raise BadSettings(f"The secret '{name}' is no JSON object: no '{key}'.", "Leave #… out.")
        return str(text)
    value = values.get(key or "password")
    if not isinstance(value, str) or not value:
        raise BadSettings(
            f"The secret '{name}' has no text under '{key or 'password'}'.",
            f"Name one of its keys after a #: {', '.join(map(str, values)) or 'it has none'}.",
        )
    return value


def without_ids(text: str) -> str:
    """A message of AWS without ARNs and account ids: they need not be on a screen."""
    return _ACCOUNT.sub("…", _ARN.sub("…", text))


def explain(exc: Exception) -> MemDBError:
    """A failed AWS call in words of ours, without account ids: what failed, and what to do."""
    explained = _explained(exc)
    return type(explained)(without_ids(str(explained)), without_ids(explained.hint))


def _explained(exc: Exception) -> MemDBError:
    from botocore import exceptions

    if isinstance(exc, exceptions.NoRegionError):
        return BadSettings("No AWS Region is named.", "Name one, or set AWS_REGION.")
    if isinstance(exc, exceptions.ProfileNotFound | exceptions.InvalidRegionError | ValueError):
        return BadSettings(f"AWS settings cannot be used: {exc}.", "Check AWS_PROFILE and the Region.")
    if isinstance(exc, exceptions.ClientError):
        code, message = _code(exc), str(exc.response.get("Error", {}).get("Message", "")).strip()
        if code.startswith(("Expired", "RequestExpired")):
            return LoginFailed("The AWS credentials have expired.", "Log in again, e.g. `aws sso login`.")
        if throttled(code):
            return Unreachable(f"AWS throttled {exc.operation_name}.", "Ask again in a minute.")
        if "Denied" in code or "Unauthorized" in code or "UnrecognizedClient" in code or "Signature" in code:
            return LoginFailed(
                f"AWS refused {exc.operation_name}: {message or code}", "Ask for the permission of that call."
            )
        return Unreachable(f"AWS failed at {exc.operation_name}: {message or code}", "Try again later.")
    if type(exc).__name__ == "ResponseParserError":
        return Unreachable(
            "What answered is not AWS: the reply cannot be read.", "Look for a proxy or a wrong endpoint."
        )
    if isinstance(exc, exceptions.EndpointConnectionError):
        return Unreachable(
            f"AWS has no such endpoint, or it does not answer: {exc}",
            "Not every Region has every service: check the Region, the network, and a proxy.",
        )
    if isinstance(exc, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return LoginFailed(
            "There are no complete AWS credentials on this machine.", "Log in with the AWS CLI."
        )
    if "Token" in type(exc).__name__ or "SSO" in type(exc).__name__:
        return LoginFailed(f"The AWS login cannot be used: {exc}", "Log in again, e.g. `aws sso login`.")
    return Unreachable(
        f"AWS does not answer: {exc}", "Check the network, the Region, and a proxy that may be needed."
    )


def failures() -> tuple[type[Exception], ...]:
    """What a call to AWS may raise, for `explain`."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError  # no BotoCoreError: what answers is not AWS

    return BotoCoreError, ClientError, ResponseParserError


def throttled(code: str) -> bool:
    """Whether an error code of AWS means: too many calls."""
    return any(part in code for part in ("Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"))


def _code(exc: Any) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))
