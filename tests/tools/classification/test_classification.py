"""What a classification costs, and what happens when its cues are broken."""

import statistics
import time
from pathlib import Path

import pytest

from tests.machine import usual
from tools.classification import classify, detect_language
from tools.classification.cues import load_cues
from tools.guardrails import check_message, load_rules
from tools.intents import IntentFileError, detect_intent, load_packs


class TestCost:
    def test_guard_intent_and_classification_take_at_most_five_milliseconds(self) -> None:
        rules = load_rules()
        texts = [example for pack in load_packs().values() for intent in pack.intents for example in intent.examples]
        texts += [" ".join(texts[start : start + 12]) for start in range(0, len(texts), 12)]
        detect_language("the model is loaded before anything is timed")
        took = []
        for text in texts:
            started = time.thread_time()
            check_message(text, role="customer", audience="trainee", rules=rules)
            detect_intent(text, load_packs())
            classify(text, packs=load_packs())
            took.append(time.thread_time() - started)
        assert statistics.quantiles(took, n=20)[-1] <= usual(0.005)

    def test_a_long_message_does_not_hold_up_the_process(self) -> None:
        text = ("hello my site is down and nobody can help " * 2500)[:100_000]
        packs = [load_packs()["hosting"]]
        started = time.thread_time()
        classify(text, packs=packs)
        assert time.thread_time() - started < usual(0.3)


class TestCueFile:
    def test_a_broken_cue_is_a_clear_error(self, tmp_path: Path) -> None:
        file = tmp_path / "intents.yaml"
        file.write_text("packs: {}\ncues: {languages: [en], talk: {}}")
        with pytest.raises(IntentFileError, match="cues: KeyError"):
            load_cues(file)
