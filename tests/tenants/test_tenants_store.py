"""Many directories into one object store: a prefix for each, and no tenant's run among another's."""

from __future__ import annotations

import json
from typing import Any

from object_stores import BUCKET

from meitner_aio import Meitner
from meitner_aio.tenants import export_many


async def test_every_tenant_has_a_prefix_of_its_own(s3: Any) -> None:
    """A manifest a tenant, which names files below its own prefix only; a second run takes their places."""

    def directory(seed: int) -> Meitner:
        return Meitner.sandbox(students=20, schools=1, seed=seed)

    tenants = {"solna": lambda: directory(1), "nacka": lambda: directory(2)}
    for _ in range(2):
        report = await export_many(tenants, ["students", "schools"], to=f"s3://{BUCKET}/all")
        assert report.ok, report
    found = {key.removeprefix("all/").split("/")[0] for key in s3.objects()}
    assert found == {"solna", "nacka"}
    for name in tenants:
        manifest = json.loads(s3.get(f"all/{name}/manifest.json"))
        for resource in ("students", "schools"):
            rows = s3.get(f"all/{name}/{manifest['resources'][resource]['file']}").splitlines()
            assert len(rows) == manifest["resources"][resource]["rows"]
        runs = {key.split("/")[2] for key in s3.objects() if key.startswith(f"all/{name}/run=")}
        assert len(runs) == 2
        assert f"run={manifest['run']}" in runs
