"""Intents taught by examples: told, doubted and refused."""

import numpy as np
import pytest
from numpy.typing import NDArray

from memory.errors import Invalid
from tools.classification.taught import LANDMARKS, Example, learn

DIMENSIONS = 64
Floats = NDArray[np.float32]


def near(direction: int, count: int, seed: int, spread: float = 0.6) -> Floats:
    """Unit vectors around an axis."""
    noise = np.random.default_rng(seed).normal(size=(count, DIMENSIONS)) * spread / np.sqrt(DIMENSIONS)
    noise[:, direction] += 1
    return np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True), dtype=np.float32)


def examples(intents: int, count: int) -> tuple[list[Example], Floats]:
    told = [
        Example(text=f"word{intent} number {n}", intent=f"intent-{intent}")
        for intent in range(intents)
        for n in range(count)
    ]
    return told, np.concatenate([near(intent, count, intent) for intent in range(intents)])


class TestRecognising:
    def test_a_message_like_the_examples_is_told_and_known(self) -> None:
        taught = learn(*examples(4, 8))
        seen = taught.recognise("something new", near(2, 1, 99)[0])
        assert (seen.intent, seen.known) == ("intent-2", True)
        assert max(seen.scores, key=seen.scores.__getitem__) == "intent-2"

    def test_a_message_like_none_is_not_known(self) -> None:
        taught = learn(*examples(4, 8))
        seen = taught.recognise("something else", near(40, 1, 5)[0])
        assert not seen.known
        assert seen.likeness < taught.threshold

    def test_words_decide_where_the_meaning_is_between_two(self) -> None:
        taught = learn(*examples(2, 8))
        between = (near(0, 1, 1, 0.0)[0] + near(1, 1, 1, 0.0)[0]) / np.sqrt(2).astype(np.float32)
        assert taught.recognise("word0", between).intent == "intent-0"
        assert taught.recognise("word1", between).intent == "intent-1"

    def test_confidence_is_a_share_of_right_answers(self) -> None:
        told, _ = examples(6, 20)
        taught = learn(told, np.concatenate([near(intent, 20, intent, 1.6) for intent in range(6)]))
        fresh = [(intent, vector) for intent in range(6) for vector in near(intent, 100, 50 + intent, 1.6)]
        seen = [(taught.recognise("x", vector), intent) for intent, vector in fresh]
        right = np.mean([each.intent == f"intent-{intent}" for each, intent in seen])
        assert 0.3 < right < 0.999
        assert abs(np.mean([each.confidence for each, _ in seen]) - right) < 0.08

    def test_more_examples_than_are_compared_with_are_still_all_learned_from(self) -> None:
        taught = learn(*examples(4, LANDMARKS // 4 + 50))
        assert len(taught.landmarks) <= LANDMARKS
        assert len(taught.vectors) == LANDMARKS + 200
        assert taught.recognise("x", near(3, 1, 77)[0]).intent == "intent-3"


class TestTeaching:
    @pytest.mark.parametrize("intents", [["a", "a"], ["a", "a", "b"], []])
    def test_too_little_is_refused(self, intents: list[str]) -> None:
        told = [Example(text="x", intent=intent) for intent in intents]
        with pytest.raises(Invalid):
            learn(told, near(0, len(told), 0) if told else np.zeros((0, DIMENSIONS), np.float32))
