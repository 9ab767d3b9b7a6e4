"""A tenant's own intents beside the packs': taught by examples in its settings, and known from the next message on.

    intents  [{"name": "loyalty_card", "examples": ["Where do I see my points?", "My card was not scanned"]}]

They stand as one more pack without keywords, so that whatever asks about an intent (is it sensitive, does it need the
tenant's own knowledge) finds an answer, and their examples join the prototypes of the others.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from pydantic import Field, StringConstraints

from tools.business_hours import Choice
from tools.classification.prototypes import Prototypes, make_prototypes
from tools.classification.taught import Embeds
from tools.intents import Intent, Pack, Packs, in_force
from tools.phrases import NO_PHRASES, PhraseBook

OWN = "own"
BASE = 0.6
"""Certainty that a keyword would give; there is none yet that a tenant could name."""
MOST_INTENTS, MOST_EXAMPLES = 50, 30
KEPT = 64
"""Tenants whose prototypes a process keeps."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Text = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f-\x9f]+$", min_length=2, max_length=300)]

_prototypes: OrderedDict[tuple[int, str], Prototypes] = OrderedDict()


class OwnIntent(Choice):
    """One intent that a tenant teaches."""

    name: Name
    examples: list[Text] = Field(min_length=2, max_length=MOST_EXAMPLES, description="messages of this kind")
    needs_tenant_knowledge: bool = Field(default=False, description="only the tenant's own articles can answer")
    sensitive: bool = Field(default=False, description="unanswered, it goes to a person")
    technical: bool = False


def packs_with(packs: Packs, own: Sequence[OwnIntent]) -> Sequence[Pack]:
    """The packs in force, the tenant's own intents as the last of them."""
    if not own:
        return in_force(packs)
    intents = tuple(
        Intent(
            name=each.name, pack=OWN, base=BASE, needs_tenant_knowledge=each.needs_tenant_knowledge,
            sensitive=each.sensitive, technical=each.technical, keywords=NO_PHRASES, examples=tuple(each.examples),
        )
        for each in own
    )  # fmt: skip
    return [*in_force(packs), Pack(name=OWN, intents=intents, book=PhraseBook(()))]


async def prototypes_with(embedder: Embeds, prototypes: Prototypes, own: Sequence[OwnIntent]) -> Prototypes:
    """The prototypes with the tenant's examples; made once for the same examples."""
    if not own:
        return prototypes
    examples = [(each.name, text) for each in own for text in each.examples]
    key = (id(prototypes), hashlib.sha256(repr(examples).encode()).hexdigest())
    made = _prototypes.get(key)
    if made is None:
        vectors = np.asarray(await embedder.embed_texts([text for _, text in examples]), dtype=np.float32)
        labels = [*(prototypes.labels[owner] for owner in prototypes.owners), *(name for name, _ in examples)]
        joined = make_prototypes(labels, np.concatenate([prototypes.vectors, vectors]))
        made = replace(joined, severity=prototypes.severity, english_only=prototypes.english_only)
    _prototypes[key] = made
    _prototypes.move_to_end(key)
    while len(_prototypes) > KEPT:
        _prototypes.popitem(last=False)
    return made
