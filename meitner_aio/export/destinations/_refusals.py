"""What a store's refusal means, and what to do about it. Pure.

What a store says may quote the request, its signature and its key: of that, only the machine-readable code is shown.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from ...errors import DestinationError, DestinationReason
from ._address import Address

_CODE = re.compile(r"<Code>([A-Za-z]\w{1,60})</Code>|\"code\": ?\"([A-Za-z]\w{1,60})\"")
_ROLES = re.compile(r"169\.254\.169\.254|169\.254\.170\.2|metadata\.google\.internal|login\.microsoftonline\.com")
"""Where a machine asks for its role: who gets no answer there has neither a role nor credentials."""
_UNKNOWN_KEYS = frozenset(
    (
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthenticationFailed",
        "InvalidAuthenticationInfo",
        "NoAuthenticationInformation",
    )
)
_NO_BUCKETS = frozenset(("NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "InvalidBucketName"))
_ELSEWHERE = re.compile(
    r"\b(BareRedirect|PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint\w*)\b"
)
"""What a store in one region says of a bucket in another; the first is the library's word for a redirect to nowhere."""
_BUSY = frozenset(
    (
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "RequestTimeout",
        "ServerBusy",
        "OperationTimedOut",
        "OperationAborted",
        "ConditionalRequestConflict",
        "NoSuchUpload",
        "InvalidBlockList",
    )
)
_CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY (or AZURE_STORAGE_SAS_TOKEN)",
}


class Kind(Enum):
    """What the store's library makes of a refusal."""

    MISSING = auto()
    CONFLICT = auto()
    UNAUTHENTICATED = auto()
    FORBIDDEN = auto()
    FAILED = auto()
    """The request did not succeed, in spite of being tried again."""
    OTHER = auto()


def code_of(text: str) -> str:
    """Return the code in what a store said; empty where there is none."""
    found = _CODE.search(text)
    return "" if found is None else found[1] or found[2]


def is_no_bucket(text: str) -> bool:
    """Whether a store said that the bucket itself is missing."""
    return code_of(text) in _NO_BUCKETS


def meaning(address: Address, kind: Kind, text: str, doing: str) -> DestinationError:
    """Return the error of a call that was `doing` something, such as to read."""
    code, reason = code_of(text), DestinationReason.REFUSED
    if code in _NO_BUCKETS:
        what = "container" if address.scheme == "az" else "bucket"
        reason = DestinationReason.NO_BUCKET
        line = f"{address.store} has no {what} {address.bucket} for these credentials: make it, or correct {address}"
    elif _ELSEWHERE.search(text):
        line = (
            f"{address.store} has {address.bucket} in another region: set AWS_REGION to that of the bucket of {address}"
        )
    elif kind is Kind.CONFLICT:
        reason = DestinationReason.OVERTAKEN
        line = f"{address} holds another manifest already"
    elif kind is Kind.MISSING:
        reason = DestinationReason.UNAVAILABLE
        line = f"{address} lacks an object that was there: try again later"
    elif kind is Kind.UNAUTHENTICATED or code in _UNKNOWN_KEYS or _ROLES.search(text):
        return no_credentials(address, code)
    elif kind is Kind.FORBIDDEN:
        reason = DestinationReason.FORBIDDEN
        line = (
            f"{address.store} does not let these credentials {doing} in {address}: allow it there; "
            "docs/object-stores.md lists the rights that an export needs"
        )
    elif kind is Kind.FAILED and (not code or code in _BUSY):
        reason = DestinationReason.UNAVAILABLE
        line = f"{address.store} could not be reached for {address}, or failed there: try again later"
    else:
        line = f"{address.store} refused to {doing} in {address}" + (f": {code}" if code else "")
    return DestinationError(line, reason=reason)


def no_credentials(address: Address, code: str = "") -> DestinationError:
    """Return the error of credentials that are missing or unknown to the store."""
    why = f" ({code})" if code else ""
    return DestinationError(
        f"{address.store} gets no credentials for {address} that it accepts{why}: set {_CREDENTIALS[address.scheme]}",
        reason=DestinationReason.CREDENTIALS,
    )
