"""A version of the product to be measured: what differs from the defaults, by name.

`default` changes nothing. Anything else is a list of changes, `lexical_weight=0.2,diversity=0`:

    lexical_weight, diversity, rerank, threshold, top_k, spelling      of ranking (see kbs/search/ranking.py)
    global_kb, tenant_kb, example, correction                weights of the sources
    mode=hybrid|dense|lexical, rewrite=true|false            which half searches; whether follow-ups are rewritten
    prompt=FILE                                              YAML with system_prompt, context_template, task_template
    answerable_at, clarify_at                                thresholds of a tenant
    chat_model, fast_model, embedding_model, index           settings; a model needs `--live`
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from kbs.passages import Source
from kbs.search.retrieval import Mode, RetrievalOptions
from kbs.search.weights import DEFAULT_WEIGHTS, Weights
from memory.errors import Misconfigured
from memory.yaml_files import read_yaml

TENANT = ("answerable_at", "clarify_at")
SETTINGS = {
    "chat_model": "CHAT_MODEL", "fast_model": "FAST_MODEL", "embedding_model": "EMBEDDING_MODEL",
    "index": "KNOWLEDGE_INDEX",
}  # fmt: skip
CHAT_MODELS = ("CHAT_MODEL", "FAST_MODEL")
LOCAL_EMBEDDER = "minilm"
PROMPT_PARTS = {"system_prompt", "context_template", "task_template"}
DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What one run measures."""

    name: str = DEFAULT
    options: RetrievalOptions = field(default_factory=RetrievalOptions)
    mode: Mode = "hybrid"
    rewrite: bool = True
    prompt: dict[str, str] | None = None
    tenant: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)
    """By the names of variables."""

    @property
    def models(self) -> list[str]:
        """Changes that are worth nothing without a model to call."""
        local = self.settings.get("EMBEDDING_MODEL", LOCAL_EMBEDDER) == LOCAL_EMBEDDER
        return [name for name in self.settings if name in CHAT_MODELS or (name == "EMBEDDING_MODEL" and not local)]

    def as_dict(self) -> dict[str, Any]:
        """As runs are told apart: a prompt by its words, since its file may change."""
        return {"name": self.name, **({"prompt": self.prompt} if self.prompt is not None else {})}


def parse_variant(text: str) -> Variant:
    """The version that a list of changes describes. Raises Misconfigured, naming the change."""
    variant = Variant(name=text)
    if text == DEFAULT:
        return variant
    weights: dict[str, float] = {}
    for change in text.split(","):
        name, _, value = (part.strip() for part in change.partition("="))
        try:
            variant = _changed(variant, name, value, weights)
        except (ValueError, OSError, yaml.YAMLError) as error:
            raise Misconfigured(f"version {text!r}: {name}: {error}") from error
    if weights:
        given = {source.value: weights.get(source.value, DEFAULT_WEIGHTS[source]) for source in Source}
        variant = replace(variant, options=replace(variant.options, weights=Weights(**given)))
    return variant


def _changed(variant: Variant, name: str, value: str, weights: dict[str, float]) -> Variant:
    if name in RANKING:
        changes: dict[str, Any] = {name: RANKING[name](value)}
        return replace(variant, options=replace(variant.options, **changes))
    if name in {source.value for source in Source}:
        weights[name] = float(value)
        return variant
    if name in TENANT:
        return replace(variant, tenant={**variant.tenant, name: float(value)})
    if name in SETTINGS:
        return replace(variant, settings={**variant.settings, SETTINGS[name]: value})
    match name, value:
        case "mode", "hybrid" | "dense" | "lexical":
            return replace(variant, mode=value)
        case "rewrite", _:
            return replace(variant, rewrite=_truth(value))
        case "prompt", _:
            return replace(variant, prompt=_prompt(Path(value)))
    raise ValueError("no such change")


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError("is true or false")
    return value == "true"


RANKING: dict[str, Callable[[str], Any]] = {
    "lexical_weight": float, "diversity": float, "threshold": float, "top_k": int, "rerank": _truth,
    "spelling": _truth,
}  # fmt: skip


def _prompt(path: Path) -> dict[str, str]:
    parts: Any = read_yaml(path)
    if not isinstance(parts, dict) or set(parts) - PROMPT_PARTS:
        raise ValueError(f"{path} must hold only {', '.join(sorted(PROMPT_PARTS))}")
    return {name: str(text) for name, text in parts.items()}
