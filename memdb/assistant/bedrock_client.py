"""A client for Bedrock, and its errors in words. Nothing of a credential is ever read here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from memdb.cluster import aws
from memdb.errors import EngineError, LoginFailed, MemDBError, ServiceUnreachable, TextTooLong, Throttled

_TOO_LONG = re.compile(r"too (many (input )?tokens|long)|max(imum)? ?length|token limit", re.IGNORECASE)


def has_credentials() -> bool:
    """Whether boto3 finds credentials and a region, without asking the network for them."""
    from botocore.exceptions import BotoCoreError

    try:
        session = aws.session()
        return bool(session.region_name and session.get_credentials())
    except BotoCoreError:
        return False


def aws_region() -> str:
    """The Region that would be asked; empty where none is configured."""
    from botocore.exceptions import BotoCoreError

    try:
        return aws.session().region_name or ""
    except BotoCoreError:
        return ""


def client() -> Any:
    """A bedrock-runtime client with short timeouts.

    Raises:
        LoginFailed: no credentials, or no region.
    """
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    config = Config(connect_timeout=5, read_timeout=60, retries={"total_max_attempts": 2})
    try:
        session = aws.with_credentials(
            "There are no AWS credentials here.",
            "Configure them as for any AWS tool (profile, role or environment), or use the local model.",
        )
        return session.client("bedrock-runtime", config=config)
    except BotoCoreError as exc:
        raise LoginFailed(
            f"Bedrock cannot be asked: {str(exc).rstrip('.')}.", "Set AWS_REGION and credentials."
        ) from exc


@contextmanager
def explained(model: str) -> Iterator[None]:
    """Errors of AWS as our own.

    Raises:
        MemDBError: with what happened and what to do.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as exc:
        raise _explained(exc, model) from exc
    except BotoCoreError as exc:
        raise ServiceUnreachable(
            f"Bedrock did not answer: {str(exc).rstrip('.')}.",
            "Check the network, the region and the credentials.",
        ) from exc


def _explained(exc: Any, model: str) -> MemDBError:
    error = exc.response.get("Error", {})
    code = str(error.get("Code", "?"))
    code = code[:1].upper() + code[1:]  # inside a stream the names begin with a small letter
    if code in ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"):
        return LoginFailed(
            f"Bedrock refused {model}: {code}.",
            "The policy must allow bedrock:InvokeModel and bedrock:InvokeModelWithResponseStream, and the "
            "account must have access to the model.",
        )
    if code in ("ThrottlingException", "ServiceQuotaExceededException", "ModelNotReadyException"):
        return Throttled(f"Bedrock is busy with {model}: {code}.", "Try again in a moment.")
    if code == "ValidationException" and _TOO_LONG.search(str(error.get("Message", ""))):
        return TextTooLong(f"{model} takes no text as long as this.", "Give a shorter one.")
    return EngineError(
        f"Bedrock could not run {model}: {code}.", "Check the model's id, and that the region offers it."
    )
