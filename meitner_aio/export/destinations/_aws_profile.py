"""The keys of an AWS profile, from the files that the AWS command line keeps. Blocking; writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path
from typing import TypedDict

from ...errors import DestinationError, DestinationReason

_OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
"""Variables that give credentials without a profile, or say that none are needed. obstore reads them."""


class Keys(TypedDict, total=False):
    """What a profile says, by the names that obstore has for it."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    region: str
    endpoint: str


def profile_keys(environment: Mapping[str, str]) -> Keys:
    """Return the keys of the profile AWS_PROFILE, else of the one called default.

    Empty where the environment has credentials, or where no profile is named and none is the default: a machine in AWS
    has a role of its own. `DestinationError` for a profile that is named and has no keys.
    """
    name = environment.get("AWS_PROFILE", "")
    if not name and any(environment.get(one) for one in _OTHERS):
        return {}
    if environment.get("AWS_ACCESS_KEY_ID"):
        return {}
    wanted = name or "default"
    keys = _section(environment.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials", wanted)
    config = "default" if wanted == "default" else f"profile {wanted}"
    told = _section(environment.get("AWS_CONFIG_FILE") or "~/.aws/config", config) | keys
    if told.get("aws_access_key_id") and told.get("aws_secret_access_key"):
        return _named(told, environment)
    if name:
        raise DestinationError(
            f"the AWS profile {name} has no keys in the files of the AWS command line; if it signs in or takes a role, "
            f'run: eval "$(aws configure export-credentials --profile {name} --format env)"',
            reason=DestinationReason.CREDENTIALS,
        )
    return {}


def has_credentials(environment: Mapping[str, str]) -> bool:
    """Whether variables or a profile give credentials, or say that none are needed."""
    return any(environment.get(one) for one in _OTHERS) or bool(profile_keys(environment))


def _named(told: Mapping[str, str], environment: Mapping[str, str]) -> Keys:
    keys = Keys(access_key_id=told["aws_access_key_id"], secret_access_key=told["aws_secret_access_key"])
    if told.get("aws_session_token"):
        keys["session_token"] = told["aws_session_token"]
    if told.get("region") and not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
        keys["region"] = told["region"]
    if told.get("endpoint_url") and not any(environment.get(f"AWS_ENDPOINT{end}") for end in ("", "_URL", "_URL_S3")):
        keys["endpoint"] = told["endpoint_url"]
    return keys


def _section(file: str, name: str) -> dict[str, str]:
    """Return what a file says of a profile; nothing where it does not exist, or is none."""
    found = ConfigParser(interpolation=None, default_section="\n")  # `default` is a profile like any other
    try:
        found.read(Path(file).expanduser(), encoding="utf-8")
    except (Error, OSError, UnicodeDecodeError):
        return {}
    return dict(found[name]) if found.has_section(name) else {}
