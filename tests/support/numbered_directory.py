"""A directory of numbered rows behind the client's resources: requests and JSON, but no socket and no client."""

import asyncio
import json
from urllib.parse import parse_qsl

from meitner_aio import NotFoundError
from meitner_aio._wire.messages import Headers, RawResponse
from meitner_aio.resources import RESOURCES

ROWS = {"schools": 7, "students": 25}


def row(resource, number):
    """Return the row with this number, as the API spells it."""
    made = {"id": f"00000000-0000-4000-8000-{number:012d}", "meta": {"createdAt": f"2025-01-01T00:00:00.{number:06d}Z"}}
    if resource == "grade_elementaries":
        ids = {"studentID": made["id"], "schoolID": made["id"]}
        grade = {"subjectCode": "MA", "academicYear": "2025/2026", "term": "HT", "schoolYear": "9"}
        return made | ids | grade | {"finalGrade": False, "isEnded": False}
    if resource == "schools":
        return made | {"title": f"Ekskolan {number}", "schoolType": "GR", "unitID": None}
    return made | {"identityNumber": f"20100101-{number:04d}", "firstName": "Åsa", "lastName": "Ek"}


class NumberedDirectory:
    """A directory of numbered rows. `before(resource, offset)` runs before each page, and may raise."""

    def __init__(self, rows=ROWS, page_cap=10):
        self.rows = dict(rows)
        self.page_cap = page_cap
        self.requests = []
        self.before = lambda *_: None
        for name, kind in RESOURCES.items():
            setattr(self, name, kind(self._send_for(name)))

    def _send_for(self, name):
        async def send(request):
            asked = dict(parse_qsl(request.query))
            offset, limit = int(asked["offset"]), min(int(asked["limit"]), self.page_cap)
            self.requests.append((name, limit, offset))
            await asyncio.sleep(0)
            self.before(name, offset)
            total = self.rows.get(name, 0)
            data = [row(name, number) for number in range(offset, min(offset + limit, total))]
            page = {"data": data, "pagination": {"offset": offset, "limit": limit, "total": total}}
            headers = {"Content-Type": "application/json", "Date": "Sat, 21 Nov 2026 10:00:00 GMT"}
            return RawResponse(200, Headers(headers), json.dumps(page).encode())

        return send


def refusing(*page):
    """Return what fails before one page, of a resource at an offset."""

    def before(*asked):
        if asked == page:
            raise NotFoundError("gone")

    return before
