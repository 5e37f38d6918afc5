"""What students, employees and guardians have in common."""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import UNSET, UnsetType

from .._operations.keys import Keys
from ..query import AddressQuery, Exact, Null, Ordered, SourcedQuery, Text
from ..records import Address, AddressDict, OpenEnum, OrAbsent, Personal, SourcedFields, SourcedRecord

PersonKey = Literal["identity_number", "source_id"]
PERSON_KEYS: Keys[PersonKey] = Keys(("identity_number", "source_id"))
"""What tells a person from others."""


class Gender(OpenEnum):
    """The gender of a person."""

    FEMALE = "Female"
    MALE = "Male"
    OTHER = "Other"


class Person(SourcedRecord):
    """Someone with an identity number (`YYYYMMDD-NNNN`, unique within the organisation for each resource)."""

    identity_number: Personal[str]
    identity_temporary: bool = False
    first_name: Personal[str]
    last_name: Personal[str]
    address: OrAbsent[Address] = None
    email_address1: Personal[str | None] = None
    email_address2: Personal[str | None] = None
    phone_number1: Personal[str | None] = None
    phone_number2: Personal[str | None] = None


class PersonFields(SourcedFields):
    """What a write says of a person. The e-mail address 1 is unique within the organisation for each resource."""

    identity_number: Personal[str]
    identity_temporary: bool | UnsetType = UNSET
    first_name: Personal[str]
    last_name: Personal[str]
    address: Address | AddressDict | UnsetType = UNSET
    email_address1: Personal[str | None | UnsetType] = UNSET
    email_address2: Personal[str | None | UnsetType] = UNSET
    phone_number1: Personal[str | None | UnsetType] = UNSET
    phone_number2: Personal[str | None | UnsetType] = UNSET


class PersonQuery(SourcedQuery):
    """Conditions on a person."""

    identity_number: Text = UNSET
    identity_temporary: Exact[bool] = UNSET
    first_name: Text = UNSET
    last_name: Text = UNSET
    address: AddressQuery | UnsetType = UNSET
    email_address1: Text | Null = UNSET
    email_address2: Text | Null = UNSET
    phone_number1: Text | Null = UNSET
    phone_number2: Text | Null = UNSET


class SchoolPerson(Person):
    """A person who goes to or works at a school."""

    gender: Gender | None = None
    date_of_birth: Personal[date | None] = None
    edu_person_principal_name: Personal[str | None] = None
    """`localpart@domain` (SS12000:2020)."""


class SchoolPersonFields(PersonFields):
    """What a write says of a person who goes to or works at a school."""

    gender: Gender | None | UnsetType = UNSET
    date_of_birth: Personal[date | None | UnsetType] = UNSET
    edu_person_principal_name: Personal[str | None | UnsetType] = UNSET


class SchoolPersonQuery(PersonQuery):
    """Conditions on a person who goes to or works at a school."""

    gender: Exact[Gender] | Null = UNSET
    date_of_birth: Ordered[date] | Null = UNSET
    edu_person_principal_name: Text | Null = UNSET
