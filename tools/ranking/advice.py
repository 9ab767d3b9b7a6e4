"""Weights from what became of answers: recommended to whoever asks, applied by an admin who has seen them."""

import hashlib
from dataclasses import dataclass
from typing import Any

from kbs.passages import Source
from memory.database import Connection, Database
from memory.errors import Conflict
from memory.tenancy import Principal
from tools.ranking.effectiveness import Recommendation, recommend
from tools.ranking.outcomes import load_outcomes
from tools.ranking.settings import Ranking, change_ranking, read_ranking


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A recommendation beside what holds now; `id` names exactly this one."""

    id: str
    current: Ranking
    recommendation: Recommendation


async def advise(connection: Connection, tenant_id: Any) -> Advice:
    """What the outcomes so far speak for."""
    current = await read_ranking(connection, tenant_id)
    found = recommend(await load_outcomes(connection), current.options.weights)
    amounts = [f"{found.weights.of(source):.4f}" for source in Source]
    named = "|".join([str(current.version), str(found.change), *amounts])
    return Advice(id=hashlib.sha256(named.encode()).hexdigest()[:16], current=current, recommendation=found)


async def apply_advice(database: Database, principal: Principal, advice_id: str | None, **who: Any) -> Ranking:
    """Set the recommended weights. Raises Conflict where nothing is recommended, or no longer what `advice_id` names."""
    async with database.connection(principal.tenant_id) as connection:
        advice = await advise(connection, principal.tenant_id)
    found = advice.recommendation
    if advice_id is not None and advice_id != advice.id:
        raise Conflict("the recommendation has changed since; read it again")
    if not found.change:
        raise Conflict("nothing is recommended now")
    weights = {source.value: found.weights.of(source) for source in Source}
    return await change_ranking(
        database, principal, {"weights": weights}, version=advice.current.version, reason=found.reason[:500],
        kind="recommended", **who,
    )  # fmt: skip
