"""Student placements."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import UNSET, UnsetType

from .._operations.composed import Deletable, Find, Upsert
from .._operations.keys import Keys
from .._operations.operations import Archive, Get, List, Restore, Search
from .._operations.upsert_many import UpsertMany
from .._operations.writes import Create, Delete, Update
from ..query import Exact, Instant, Null, Ordered, SourcedQuery, Text
from ..records import Id, OpenEnum, SourcedFields, SourcedRecord, Timestamp

__all__ = [
    "ModernLanguageAlternative",
    "SchoolYear",
    "StudentPlacement",
    "StudentPlacementCreate",
    "StudentPlacementQuery",
    "StudentPlacementSchoolType",
    "StudentPlacementUpdate",
    "StudentPlacements",
]


class StudentPlacementSchoolType(OpenEnum):
    """The form of schooling of a placement."""

    GR = "GR"
    """Compulsory school (grundskola)."""
    GRAN = "GRAN"
    """Adapted compulsory school (anpassad grundskola)."""
    GY = "GY"
    """Upper secondary school (gymnasieskola)."""
    GYAN = "GYAN"
    """Adapted upper secondary school (anpassad gymnasieskola)."""
    FS = "FS"
    """Preschool (förskola)."""
    VUX = "VUX"
    """Adult education (komvux)."""
    VUXSFI = "VUXSFI"
    """Swedish for immigrants within adult education."""


class SchoolYear(OpenEnum):
    """The school year of a placement; 0 is the preschool class."""

    YEAR_0 = "0"
    YEAR_1 = "1"
    YEAR_2 = "2"
    YEAR_3 = "3"
    YEAR_4 = "4"
    YEAR_5 = "5"
    YEAR_6 = "6"
    YEAR_7 = "7"
    YEAR_8 = "8"
    YEAR_9 = "9"


class ModernLanguageAlternative(OpenEnum):
    """What a student reads in place of a modern language."""

    EN = "EN"
    ML = "ML"
    SV = "SV"
    SVA = "SVA"
    TN = "TN"


class StudentPlacement(SourcedRecord):
    """A student's time at a school."""

    student_id: Id
    school_id: Id
    school_type: StudentPlacementSchoolType
    school_year: SchoolYear | None = None
    has_childcare: bool = False
    childcare_max_hours: int | None = None
    mother_tongue: str | None = None
    """ISO 639-3."""
    modern_language_alternative: ModernLanguageAlternative | None = None
    swedish_as_second_language: bool = False
    mother_tongue_participates: bool = False
    modern_language_in_school_choice: str | None = None
    """ISO 639-2."""
    modern_language_in_language_choice: str | None = None
    """ISO 639-2."""
    start_date: date
    end_date: date | None = None
    archive_year: str | None = None
    """`YYYY_YYYY`: autumn_spring."""
    archived_at: Timestamp | None = None


class StudentPlacementUpdate(SourcedFields):
    """What an update says of a student placement: its student and school cannot change."""

    school_type: StudentPlacementSchoolType
    school_year: SchoolYear | None | UnsetType = UNSET
    has_childcare: bool | UnsetType = UNSET
    childcare_max_hours: int | None | UnsetType = UNSET
    mother_tongue: str | None | UnsetType = UNSET
    modern_language_alternative: ModernLanguageAlternative | None | UnsetType = UNSET
    swedish_as_second_language: bool | UnsetType = UNSET
    mother_tongue_participates: bool | UnsetType = UNSET
    modern_language_in_school_choice: str | None | UnsetType = UNSET
    modern_language_in_language_choice: str | None | UnsetType = UNSET
    start_date: date
    end_date: date | None | UnsetType = UNSET


class StudentPlacementCreate(StudentPlacementUpdate):
    """What a create says of a student placement."""

    student_id: Id
    school_id: Id


class StudentPlacementQuery(SourcedQuery):
    """Conditions on student placements."""

    student_id: Exact[Id] = UNSET
    school_id: Exact[Id] = UNSET
    school_type: Exact[StudentPlacementSchoolType] = UNSET
    school_year: Exact[SchoolYear] | Null = UNSET
    has_childcare: Exact[bool] = UNSET
    childcare_max_hours: Ordered[int] | Null = UNSET
    mother_tongue: Text | Null = UNSET
    modern_language_alternative: Exact[ModernLanguageAlternative] | Null = UNSET
    swedish_as_second_language: Exact[bool] = UNSET
    mother_tongue_participates: Exact[bool] = UNSET
    modern_language_in_school_choice: Text | Null = UNSET
    modern_language_in_language_choice: Text | Null = UNSET
    start_date: Ordered[date] = UNSET
    end_date: Ordered[date] | Null = UNSET
    archive_year: Text | Null = UNSET
    archived_at: Instant | Null = UNSET


StudentPlacementKey = Literal["source_id"] | tuple[Literal["student_id"], Literal["school_id"]]
KEYS: Keys[StudentPlacementKey] = Keys(("source_id", ("student_id", "school_id")))


class StudentPlacements(Deletable[StudentPlacement]):
    """Where students go to school, and when. Set `end_date`, wait about five days, then archive."""

    path = "/student-placement"
    model = StudentPlacement

    list = List()
    search = Search(StudentPlacementQuery)
    find = Find(StudentPlacementQuery)
    get = Get()
    create = Create(StudentPlacementCreate, key=("student_id", "school_id"), unique=False)
    upsert = Upsert(StudentPlacementCreate, KEYS)
    upsert_many = UpsertMany(upsert)
    update = Update(StudentPlacementUpdate)
    delete = Delete(audited=True)
    archive = Archive()
    restore = Restore()
