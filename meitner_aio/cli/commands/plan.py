"""What an export would cost, before it costs anything."""

from __future__ import annotations

from ...export import Plan
from ..rendering.amounts import amount_left, duration
from ..rendering.output import write_json, write_table


def show_plan(plan: Plan, *, json: bool) -> None:
    """Write a plan to stdout: a table and what it comes to, or all of it as JSON."""
    if json:
        write_json(
            {
                "resources": plan.resources,
                "rows": plan.rows,
                "requests": plan.requests,
                "share": plan.share,
                "quota": plan.quota,
                "wait": plan.wait,
                "seconds": plan.seconds,
            }
        )
        return
    rows = [["resource", "rows", "requests", "rows per page"]]
    rows += ([one.resource, f"{one.rows:,}", f"{one.requests:,}", f"{one.page_size:,}"] for one in plan.resources)
    rows.append(["all", f"{plan.rows:,}", f"{plan.requests:,}", ""])
    write_table(rows, numbers=frozenset({1, 2, 3}), note="\n".join(_costs(plan)))


def _costs(plan: Plan) -> list[str]:
    """Return a line on the quota and one on the time."""
    quota, share = plan.quota, plan.share
    if quota is None or share is None:
        spent = "share of the hourly quota: unknown, because the answers do not tell"
    else:
        spent = f"share of the hourly quota: {_percent(share)} ({amount_left(quota)})"
    expected = f"expected duration: {duration(plan.seconds)}"
    if quota is not None and plan.wait:
        expected += f" at {quota.limit:,} an hour, {duration(plan.wait)} of it waiting for the quota"
    return [spent, expected]


def _percent(share: float) -> str:
    """Return a share as people say it: 0.4 %, 12 %, 250 %."""
    percent = 100 * share
    return f"{percent:.1f} %" if percent < 10 else f"{percent:,.0f} %"  # under ten, a decimal says more
