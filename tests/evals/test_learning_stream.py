"""The stream over which learning is measured: long enough, fair, and judged by what the house says."""

from dataclasses import replace

from evals.cases import own
from evals.public import Public
from evals.results import Row
from evals.suites.learning import NEEDED, OFF, ON, cases, conclude, decide, stream_of


class TestStream:
    def test_it_is_long_and_the_same_every_time(self) -> None:
        stream = cases(Public(None))
        assert len(stream) >= 300
        assert [case.id for case in stream] == [case.id for case in cases(Public(None))]
        other = stream_of(own("learning", NEEDED), "another order")
        assert [case["content"] for case in other] != [case["content"] for case in stream]

    def test_the_houses_own_reply_would_be_sent_and_no_two_matters_share_one(self) -> None:
        matters = own("learning", NEEDED)
        for matter in matters:
            assert decide(matter["reply"], replace(matter, fields={"wrong": [], **matter.fields})) == matter["reply"]
        for case in cases(Public(None)):
            for matter in matters:
                sent = decide(matter["reply"], case)
                assert (sent == matter["reply"]) == (matter["matter"] == case["matter"])

    def test_a_mistake_counts_once_it_was_put_right(self) -> None:
        case = cases(Public(None))[0]
        told = {"distance": 0.5, "unchanged": False, "warned": True}
        rows = [
            Row(case=case, repeat=0, ms=1, observed={mode: {**told, "mistake": mistake} for mode in (OFF, ON)})
            for mistake in (True, True, False, False)
        ]
        scores = {score.metric: score for score in conclude(rows).scores}
        again = scores[f"a mistake comes back, {ON}"]
        assert (round(again.value, 3), again.n) == (0.333, 3)
