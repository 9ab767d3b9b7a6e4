"""What was counted: a dashboard, metrics of any range, their history as JSON or CSV, and alerts."""

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response

from agent.resources import Resources
from agent.scoring.calibration import load_answer_calibration, load_calibration
from api import PREFIX
from api.dependencies import Colleague, Res, trace
from api.errors import responses
from api.idempotency import IdempotentRoute
from api.schemas.analytics import (
    AlertOut,
    AnalyticsSummaryOut,
    CalibrationOut,
    CurveOut,
    DashboardOut,
    GuardrailsOut,
    HistoryOut,
    RangeOut,
    SourcesOut,
)
from api.schemas.common import Cursor, Limit, Page, page_of
from memory.tenancy import Principal
from tools.analytics import alerts
from tools.analytics.counting import Figure, read_figures
from tools.analytics.summing import TRENDS, Sums, line, sources, summary
from tools.analytics.system import system

router = APIRouter(prefix=f"{PREFIX}/analytics", tags=["analytics"], route_class=IdempotentRoute)
USUAL = timedelta(days=29)
Day = Annotated[date | None, Query(ge=date(2000, 1, 1), le=date(2199, 12, 31), description="UTC day, included")]
By = Annotated[Literal["day", "week"], Query()]


async def asked_range(first: Day = None, last: Day = None) -> RangeOut:
    """The days asked for; thirty up to today without any."""
    last = last or (first + USUAL if first else datetime.now(UTC).date())
    return RangeOut(first=first or last - USUAL, last=last)


Range = Annotated[RangeOut, Depends(asked_range)]


@router.get("/dashboard", responses=responses(401, 403))
async def dashboard(principal: Colleague, resources: Res, days: Range) -> DashboardOut:
    """Everything of a range at once, day by day too, the open alerts, and what there is and what waits now."""
    figures, before = await _figures(resources, principal, days)
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await alerts.list_alerts(connection, alerts.AlertFilters())
    now = await system(resources.database, resources.knowledge, principal.tenant_id)
    return DashboardOut(
        range=days, **summary(Sums.of(figures), Sums.of(before), resources.settings.models.prices),
        daily=_history(resources, figures, days, "day"), alerts=[AlertOut.model_validate(alert) for alert in found],
        system=now,
    )  # fmt: skip


@router.get("/metrics", responses=responses(401, 403))
async def metrics(principal: Colleague, resources: Res, days: Range) -> AnalyticsSummaryOut:
    figures, before = await _figures(resources, principal, days)
    return AnalyticsSummaryOut(
        range=days, **summary(Sums.of(figures), Sums.of(before), resources.settings.models.prices)
    )


@router.get(
    "/history",
    response_model=HistoryOut,
    responses={200: {"content": {"text/csv": {}}, "description": "by day or week"}, **responses(401, 403)},
)
async def history(
    principal: Colleague, resources: Res, days: Range, by: By = "day",
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Any:  # fmt: skip
    """The curves: one row per day or week; with `format=csv` as a table for a spreadsheet."""
    figures, _ = await _figures(resources, principal, days, before=False)
    items = _history(resources, figures, days, by)
    if format == "json":
        return HistoryOut(range=days, by=by, items=items)
    name = f"attachment; filename=history-{days.first}-{days.last}.csv"
    return Response(_csv(items), media_type="text/csv", headers={"Content-Disposition": name})


@router.get("/guardrails", responses=responses(401, 403))
async def guardrails(principal: Colleague, resources: Res, days: Range) -> GuardrailsOut:
    """What the guard refused or handed over, by category and by day."""
    figures, _ = await _figures(resources, principal, days, before=False)
    mine = [each for each in figures if each.name == "guardrails"]
    categories: dict[str, int] = {}
    actions: dict[str, int] = {}
    daily: dict[date, int] = {}
    for each in mine:
        category, _, action = each.key.rpartition(":")
        categories[category] = categories.get(category, 0) + each.times
        actions[action] = actions.get(action, 0) + each.times
        daily[each.day] = daily.get(each.day, 0) + each.times
    return GuardrailsOut(
        range=days, total=sum(each.times for each in mine), by_category=categories, by_action=actions,
        daily=[{"day": day, "count": count} for day, count in sorted(daily.items())],
    )  # fmt: skip


@router.get("/sources", responses=responses(401, 403))
async def effectiveness(principal: Colleague, resources: Res, days: Range) -> SourcesOut:
    """How much each source of knowledge was relied on, and how that went."""
    figures, _ = await _figures(resources, principal, days, before=False)
    return SourcesOut(range=days, items=sources(Sums.of(figures)))


@router.get("/calibration", responses=responses(401, 403))
async def calibration(principal: Colleague, resources: Res) -> CalibrationOut:
    """How probable it is that a draft, and that an answer, of some confidence is good."""
    async with resources.database.connection(principal.tenant_id) as connection:
        drafts = await load_calibration(connection, principal.tenant_id)
        answers = await load_answer_calibration(connection, principal.tenant_id)
    return CalibrationOut(drafts=CurveOut.model_validate(drafts), answers=CurveOut.model_validate(answers))


@router.get("/alerts", responses=responses(401, 403))
async def list_alerts(
    principal: Colleague, resources: Res, limit: Limit = 50, cursor: Cursor = None,
    state: Annotated[Literal["open", "new", "acknowledged", "all"], Query()] = "open", kind: alerts.Kind | None = None,
) -> Page[AlertOut]:  # fmt: skip
    """Those whose condition holds, newest first: `new` ones that nobody sees to yet, `acknowledged` ones; `all` also tells
    of those that are over."""
    acknowledged = {"new": False, "acknowledged": True}.get(state)
    filters = alerts.AlertFilters(
        open_only=state != "all", acknowledged=acknowledged, kind=kind, before=cursor, limit=limit
    )
    async with resources.database.connection(principal.tenant_id) as connection:
        found = await alerts.list_alerts(connection, filters)
    return page_of([AlertOut.model_validate(alert) for alert in found], limit, found[-1].id if found else None)


@router.post("/alerts/{alert_id}/acknowledge", responses=responses(401, 403, 404, 409))
async def acknowledge(alert_id: UUID, principal: Colleague, resources: Res, request: Request) -> AlertOut:
    """Say that you see to it; it ends by itself once its condition no longer holds."""
    found = await alerts.acknowledge(resources.database, principal, alert_id, **trace(request))
    return AlertOut.model_validate(found)


async def _figures(
    resources: Resources, principal: Principal, days: RangeOut, *, before: bool = True
) -> tuple[list[Figure], list[Figure]]:
    """Those of the range, and those that trends need of the one of the same length before it."""
    length = days.last - days.first + timedelta(days=1)
    async with resources.database.connection(principal.tenant_id) as connection:
        figures = await read_figures(connection, days.first, days.last)
        if not before:
            return figures, []
        since, until = days.first - length, days.first - timedelta(days=1)
        return figures, await read_figures(connection, since, until, names=TRENDS)


def _history(resources: Resources, figures: list[Figure], days: RangeOut, by: str) -> list[dict[str, Any]]:
    buckets: dict[date, list[Figure]] = {}
    for number in range((days.last - days.first).days + 1):
        buckets.setdefault(_bucket(days.first + timedelta(days=number), by), [])
    for each in figures:
        buckets[_bucket(each.day, by)].append(each)
    prices = resources.settings.models.prices
    return [{"since": since, **line(Sums.of(part), prices)} for since, part in sorted(buckets.items())]


def _bucket(day: date, by: str) -> date:
    return day - timedelta(days=day.weekday()) if by == "week" else day


def _csv(items: list[dict[str, Any]]) -> str:
    table = io.StringIO()
    writer = csv.DictWriter(table, fieldnames=list(items[0]) if items else ["since"])
    writer.writeheader()
    writer.writerows(items)
    return table.getvalue()
