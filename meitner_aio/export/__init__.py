"""The directory on disk: every row of a resource, in a file that is whole or absent.

`report = await export(meitner, ["students"], to="out/")` writes `out/students.ndjson` and `out/manifest.json`;
`await plan(meitner)` says what an export will cost; `purge("out/", timedelta(days=30))` removes what is old;
`to` may be an object store, too (`s3://bucket/prefix`).
Knows the client only as something with resources to list;
knows nothing of terminals.
"""

from ._checked import check_options
from ._journal import is_kept, since_then
from ._names import resource_names
from ._place import check_place
from ._plan import Plan, PlannedResource, plan
from ._purge import Purged, Removed, purge
from ._report import InvalidRow, Progress, Report, ResourceReport
from ._run import FORMATS, Format, export
from .destinations._address import address_of
from .destinations._opening import local_folder

__all__ = [
    "FORMATS",
    "Format",
    "InvalidRow",
    "Plan",
    "PlannedResource",
    "Progress",
    "Purged",
    "Removed",
    "Report",
    "ResourceReport",
    "address_of",
    "check_options",
    "check_place",
    "export",
    "is_kept",
    "local_folder",
    "plan",
    "purge",
    "resource_names",
    "since_then",
]
