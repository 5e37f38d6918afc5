"""An async client for the Meitner Directory API: schools, groups, employees, guardians, students and their placements.

```python
async with Meitner() as meitner:
    async for student in meitner.students.list():
        print(student.id)
```
"""

from __future__ import annotations

__version__ = "0.1.0"

from ._listing.completeness import ListingReport
from ._listing.listing import Listing
from ._listing.page import Page, PageInfo
from ._operations.bulk import Outcome
from ._operations.composed import Upserted
from ._pipeline.admission import QuotaPolicy
from ._pipeline.credentials import ApiKey, Auth, OAuth2
from ._pipeline.retry_policy import RetryPolicy
from ._pipeline.server_limiter import Quota
from ._pipeline.smoothing import Rate
from ._wire.messages import RawResponse
from .client import Meitner
from .errors import (
    AmbiguousWriteError,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    ConnectionReason,
    IncompleteListing,
    InternalServerError,
    MeitnerError,
    MultipleFound,
    NotFoundError,
    PermissionDeniedError,
    QuotaExhausted,
    RateLimitError,
    ResponseValidationError,
    ResyncReason,
    ResyncRequired,
    TooManyDeletions,
    UnprocessableEntityError,
)
from .events import Event, QuotaWait, RequestSent, ResponseReceived, RetryScheduled
from .portal import Portal
from .query import (
    AddressQuery,
    ExternalQuery,
    MetaQuery,
    above,
    at_least,
    at_most,
    below,
    between,
    equals,
    like,
    null,
    one_of,
)
from .records import (
    Address,
    DirectoryRecord,
    Error,
    ErrorCode,
    External,
    ExternalRequest,
    Meta,
    Pagination,
    SourcedFields,
    SourcedRecord,
    to_dict,
)
from .resources import RESOURCES
from .resources._grade import Grade
from .resources._person import Gender
from .resources.audit_events import AuditEvent, AuditEventQuery, AuditEventResource, AuditEventType
from .resources.employee_placements import (
    EmployeePlacement,
    EmployeePlacementCreate,
    EmployeePlacementQuery,
    EmployeePlacementRole,
    EmployeePlacementUpdate,
)
from .resources.employees import Employee, EmployeeFields, EmployeeQuery
from .resources.grade_elementaries import (
    GradeElementary,
    GradeElementaryCreate,
    GradeElementarySchoolYear,
    GradeElementaryUpdate,
    GradeTerm,
)
from .resources.grade_upper_secondaries import (
    GradeUpperSecondary,
    GradeUpperSecondaryCourseExtent,
    GradeUpperSecondaryCourseSection,
    GradeUpperSecondaryCreate,
    GradeUpperSecondarySchoolYear,
    GradeUpperSecondaryUpdate,
)
from .resources.groups import Group, GroupCategory, GroupCreate, GroupQuery, GroupType, GroupUpdate
from .resources.guardians import Guardian, GuardianFields, GuardianQuery
from .resources.schools import School, SchoolCreate, SchoolQuery, SchoolType, SchoolUpdate
from .resources.student_placements import (
    ModernLanguageAlternative,
    SchoolYear,
    StudentPlacement,
    StudentPlacementCreate,
    StudentPlacementQuery,
    StudentPlacementSchoolType,
    StudentPlacementUpdate,
)
from .resources.students import Student, StudentFields, StudentQuery
from .resources.units import Unit, UnitFields, UnitQuery

__all__ = [
    "RESOURCES",
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "Address",
    "AddressQuery",
    "AmbiguousWriteError",
    "ApiKey",
    "AuditEvent",
    "AuditEventQuery",
    "AuditEventResource",
    "AuditEventType",
    "Auth",
    "AuthenticationError",
    "BadRequestError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionReason",
    "DirectoryRecord",
    "Employee",
    "EmployeeFields",
    "EmployeePlacement",
    "EmployeePlacementCreate",
    "EmployeePlacementQuery",
    "EmployeePlacementRole",
    "EmployeePlacementUpdate",
    "EmployeeQuery",
    "Error",
    "ErrorCode",
    "Event",
    "External",
    "ExternalQuery",
    "ExternalRequest",
    "Gender",
    "Grade",
    "GradeElementary",
    "GradeElementaryCreate",
    "GradeElementarySchoolYear",
    "GradeElementaryUpdate",
    "GradeTerm",
    "GradeUpperSecondary",
    "GradeUpperSecondaryCourseExtent",
    "GradeUpperSecondaryCourseSection",
    "GradeUpperSecondaryCreate",
    "GradeUpperSecondarySchoolYear",
    "GradeUpperSecondaryUpdate",
    "Group",
    "GroupCategory",
    "GroupCreate",
    "GroupQuery",
    "GroupType",
    "GroupUpdate",
    "Guardian",
    "GuardianFields",
    "GuardianQuery",
    "IncompleteListing",
    "InternalServerError",
    "Listing",
    "ListingReport",
    "Meitner",
    "MeitnerError",
    "Meta",
    "MetaQuery",
    "ModernLanguageAlternative",
    "MultipleFound",
    "NotFoundError",
    "OAuth2",
    "Outcome",
    "Page",
    "PageInfo",
    "Pagination",
    "PermissionDeniedError",
    "Portal",
    "Quota",
    "QuotaExhausted",
    "QuotaPolicy",
    "QuotaWait",
    "Rate",
    "RateLimitError",
    "RawResponse",
    "RequestSent",
    "ResponseReceived",
    "ResponseValidationError",
    "ResyncReason",
    "ResyncRequired",
    "RetryPolicy",
    "RetryScheduled",
    "School",
    "SchoolCreate",
    "SchoolQuery",
    "SchoolType",
    "SchoolUpdate",
    "SchoolYear",
    "SourcedFields",
    "SourcedRecord",
    "Student",
    "StudentFields",
    "StudentPlacement",
    "StudentPlacementCreate",
    "StudentPlacementQuery",
    "StudentPlacementSchoolType",
    "StudentPlacementUpdate",
    "StudentQuery",
    "TooManyDeletions",
    "Unit",
    "UnitFields",
    "UnitQuery",
    "UnprocessableEntityError",
    "Upserted",
    "__version__",
    "above",
    "at_least",
    "at_most",
    "below",
    "between",
    "equals",
    "like",
    "null",
    "one_of",
    "to_dict",
]
