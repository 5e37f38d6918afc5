"""The names that users import from the package, each from the module that defines it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import __version__ as __version__
from ._listing.completeness import ListingReport as ListingReport
from ._listing.listing import Listing as Listing
from ._listing.page import Page as Page, PageInfo as PageInfo
from ._operations.bulk import Outcome as Outcome
from ._operations.composed import Upserted as Upserted
from ._pipeline.admission import QuotaPolicy as QuotaPolicy
from ._pipeline.credentials import ApiKey as ApiKey, Auth as Auth, OAuth2 as OAuth2
from ._pipeline.retry_policy import RetryPolicy as RetryPolicy
from ._pipeline.server_limiter import Quota as Quota
from ._pipeline.smoothing import Rate as Rate
from ._wire.messages import RawResponse as RawResponse
from .client import Meitner as Meitner
from .error_response import ErrorResponse as ErrorResponse
from .errors import (
    AmbiguousWriteError as AmbiguousWriteError,
    APIConnectionError as APIConnectionError,
    APIStatusError as APIStatusError,
    APITimeoutError as APITimeoutError,
    AuthenticationError as AuthenticationError,
    BadRequestError as BadRequestError,
    ConfigurationError as ConfigurationError,
    ConflictError as ConflictError,
    ConnectionReason as ConnectionReason,
    DestinationError as DestinationError,
    DestinationReason as DestinationReason,
    IncompleteListing as IncompleteListing,
    InternalServerError as InternalServerError,
    MeitnerError as MeitnerError,
    MultipleFound as MultipleFound,
    NotFoundError as NotFoundError,
    PermissionDeniedError as PermissionDeniedError,
    QuotaExhausted as QuotaExhausted,
    RateLimitError as RateLimitError,
    ResponseValidationError as ResponseValidationError,
    ResyncReason as ResyncReason,
    ResyncRequired as ResyncRequired,
    TooManyDeletions as TooManyDeletions,
    UnprocessableEntityError as UnprocessableEntityError,
)
from .events import (
    Event as Event,
    QuotaWait as QuotaWait,
    RequestSent as RequestSent,
    ResponseReceived as ResponseReceived,
    RetryScheduled as RetryScheduled,
)
from .plain import to_dict as to_dict, to_json as to_json
from .portal import Portal as Portal
from .query import (
    AddressQuery as AddressQuery,
    ExternalQuery as ExternalQuery,
    MetaQuery as MetaQuery,
    above as above,
    at_least as at_least,
    at_most as at_most,
    below as below,
    between as between,
    equals as equals,
    like as like,
    null as null,
    one_of as one_of,
)
from .records import (
    Address as Address,
    AddressDict as AddressDict,
    DirectoryRecord as DirectoryRecord,
    Error as Error,
    ErrorCode as ErrorCode,
    External as External,
    ExternalDict as ExternalDict,
    ExternalRequest as ExternalRequest,
    Meta as Meta,
    Pagination as Pagination,
    SourcedFields as SourcedFields,
    SourcedRecord as SourcedRecord,
)
from .resources import *

_NOT_OURS = {"TYPE_CHECKING", "annotations"}

if not TYPE_CHECKING:  # to type checkers, what is imported as itself or by a star is exported
    from types import ModuleType as _ModuleType

    __all__ = [
        name
        for name, value in sorted(vars().items())
        if name == "__version__" or not (name.startswith("_") or isinstance(value, _ModuleType) or name in _NOT_OURS)
    ]
