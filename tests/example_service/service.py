"""A school's roll over HTTP: one client for the life of the service, and its errors as statuses."""

import hmac
import math
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from meitner_aio import Meitner, MeitnerError, NotFoundError, QuotaExhausted, RateLimitError, Student


@dataclass
class Pupil:
    id: str
    name: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    if len(os.environ["ROLL_API_KEY"]) < 32:
        raise ValueError("ROLL_API_KEY must have at least 32 characters")
    async with Meitner() as app.state.meitner:  # one for all requests: connections, quota and retry budget are shared
        yield


def directory(request: Request) -> Meitner:
    meitner: Meitner = request.app.state.meitner
    return meitner


Bearer = Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]


def caller(bearer: Bearer) -> None:
    """Refuse who does not have the key: what this service shows is about children."""
    if not hmac.compare_digest(bearer.credentials.encode(), os.environ["ROLL_API_KEY"].encode()):
        raise HTTPException(401, "unknown key", {"WWW-Authenticate": "Bearer"})


Directory = Annotated[Meitner, Depends(directory)]
app = FastAPI(lifespan=lifespan, dependencies=[Depends(caller)])


@app.get("/schools/{school_id}/students")
async def roll(school_id: UUID, meitner: Directory) -> list[Pupil]:
    school = await meitner.schools.get(str(school_id))
    placements = await meitner.student_placements.search(school_id=school.id).all()
    students = await meitner.students.get_many({placement.student_id for placement in placements})
    return sorted((pupil(student) for student in students.values()), key=lambda one: one.name)


@app.get("/students/{student_id}")
async def student(student_id: UUID, meitner: Directory) -> Pupil:
    return pupil(await meitner.students.get(str(student_id)))


def pupil(record: Student) -> Pupil:
    return Pupil(record.id, f"{record.first_name} {record.last_name}")


@app.exception_handler(NotFoundError)
async def not_found(_: Request, error: NotFoundError) -> JSONResponse:
    return JSONResponse({"detail": "not in the directory", "request": error.request_id}, 404)


@app.exception_handler(QuotaExhausted)
@app.exception_handler(RateLimitError)
async def busy(_: Request, error: QuotaExhausted | RateLimitError) -> JSONResponse:
    wait = (isinstance(error, RateLimitError) and error.retry_after) or 1.0
    if error.reset_at is not None:
        wait = max(wait, (error.reset_at - datetime.now(UTC)).total_seconds())
    return JSONResponse({"detail": "the directory is busy"}, 503, {"Retry-After": str(math.ceil(wait))})


@app.exception_handler(MeitnerError)
async def unavailable(_: Request, error: MeitnerError) -> JSONResponse:
    return JSONResponse({"detail": "the directory does not answer", "request": error.request_id}, 502)
