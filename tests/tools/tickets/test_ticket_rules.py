"""Which rule sends a ticket where, and how a search is read."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tools.ticket_rules import RoutingRule
from tools.tickets.finding import words_of
from tools.tickets.routing import Facts, first_match

FACTS = Facts(intent="billing", tier=1, severity="HIGH", language="de", department="Sales", priority="high")


def rule(**when: Any) -> RoutingRule:
    return RoutingRule.model_validate({"when": when, "to": "team"})


class TestRules:
    @pytest.mark.parametrize(
        "when",
        [
            {}, {"intent": "billing"}, {"intent": ["dns", "billing"]}, {"tier": 1}, {"tier": [1.0, 2]},
            {"severity": "HIGH"}, {"language": ["de"]}, {"department": " SALES "}, {"priority": "high"},
            {"intent": "billing", "tier": 1, "severity": "HIGH", "language": "de"},
        ],
    )  # fmt: skip
    def test_it_fits(self, when: dict[str, Any]) -> None:
        assert first_match([rule(**when)], FACTS)

    @pytest.mark.parametrize(
        "when",
        [
            {"intent": "dns"}, {"tier": 2}, {"tier": []}, {"severity": ["LOW", "MEDIUM"]}, {"language": "en"},
            {"department": "Web"}, {"priority": "low"}, {"intent": "billing", "tier": 2},
        ],
    )  # fmt: skip
    def test_it_does_not_fit(self, when: dict[str, Any]) -> None:
        assert first_match([rule(**when)], FACTS) is None

    def test_what_is_not_known_fits_no_condition(self) -> None:
        unknown = Facts(intent=None, tier=1, severity="LOW", language=None, department="", priority="low")
        assert first_match([rule(intent="billing"), rule(language="en")], unknown) is None

    def test_the_first_wins(self) -> None:
        rules = [rule(tier=2), rule(tier=1), rule()]
        assert first_match(rules, FACTS) == (2, rules[1])

    @pytest.mark.parametrize(
        "when", [{"tier": 5}, {"tier": -1}, {"tier": True}, {"severity": "high"}, {"intent": "A b"}]
    )
    def test_a_condition_that_no_ticket_could_meet_is_refused(self, when: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            rule(**when)


class TestSearchWords:
    @pytest.mark.parametrize(
        ("given", "read"),
        [
            ("", ""),
            ("mail server", "mail server"),
            ("wp-config.php", '"wp config php"'),
            ("-wp-config", '-"wp config"'),
            ("a -b", "a -b"),
            ('"two words" or one', '"two words" or one'),
            ('"never closed', '"never closed"'),
            ("info@example.com", '"info example com"'),
            ('- -- "" #', ""),
            ("##12", "12"),
        ],
    )
    def test_glued_words_are_phrases(self, given: str, read: str) -> None:
        assert words_of(given) == read

    @given(st.text(max_size=100))
    def test_quotes_are_always_paired(self, text: str) -> None:
        assert words_of(text).count('"') % 2 == 0
