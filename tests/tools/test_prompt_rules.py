"""What a prompt may hold, what a version changed, and the library that ships with the product."""

import time
from dataclasses import replace

import pytest

from agent.prompting import DEFAULT_PROMPT, TAGS, build_messages
from memory.errors import Invalid
from tests.machine import usual
from tools.prompts.audiences import heard_by
from tools.prompts.checking import PARTS, PromptTexts, check
from tools.prompts.diffing import diff
from tools.prompts.library import templates
from tools.prompts.versions import texts_of

GOOD = PromptTexts(
    system_prompt="Be kind.", context_template="Known:\n{context}", task_template="{subject}\n{department}\n{content}"
)


def objection(**parts: str) -> str:
    with pytest.raises(Invalid) as refused:
        check(replace(GOOD, **parts))
    return refused.value.detail


class TestAudiences:
    PROMPT = (
        "Be kind.\n\n[for trainee, instructor]\nNo hosts.\n  [FOR everyone]  \nBe brief.\n[for instructor]\nShow why.\n"
    )

    @pytest.mark.parametrize(
        ("audience", "heard"),
        [
            ((), "Be kind.\n\nBe brief."),
            (("operator",), "Be kind.\n\nBe brief."),
            (("trainee",), "Be kind.\n\nNo hosts.\n\nBe brief."),
            (("instructor", "operator"), "Be kind.\n\nNo hosts.\n\nBe brief.\n\nShow why."),
            (None, "Be kind.\n\nNo hosts.\n\nBe brief.\n\nShow why."),
        ],
    )
    def test_each_hears_what_is_for_them_and_for_all(self, audience: tuple[str, ...] | None, heard: str) -> None:
        who = None if audience is None else frozenset(audience)
        assert heard_by(self.PROMPT, who) == heard
        assert heard_by(self.PROMPT.replace("\n", "\r\n"), who).split() == heard.split()

    @pytest.mark.parametrize(
        "text", ["Write [1] after it.", "[for example] is just text [for x] here.", "  Be kind. \n"]
    )
    def test_other_brackets_are_just_text(self, text: str) -> None:
        check(replace(GOOD, system_prompt=text))
        assert heard_by(text, frozenset()) == text

    def test_a_line_that_names_nobody_is_refused_by_its_number(self) -> None:
        for line in ("[for]", "[for Trainees!]", "[for trainee,]", "[for: trainee]"):
            assert objection(system_prompt=f"Be kind.\n{line}\nNo hosts.").startswith("system_prompt, line 2:")
        assert "must be for everyone" in objection(system_prompt="[for trainee]\nNo hosts.")

    def test_the_model_is_given_them(self) -> None:
        prompt = replace(DEFAULT_PROMPT, system_prompt=self.PROMPT)
        told = {audience: str(build_messages(
            prompt, passages=(), history=(), question="Q?", facts=(), summary=None, notes=(), audience=frozenset({audience})
        )[0].content) for audience in ("trainee", "operator")}  # fmt: skip
        assert ["No hosts." in text and "[for" not in text for text in told.values()] == [True, False]


class TestPlaceholders:
    def test_each_part_has_its_own(self) -> None:
        check(GOOD)
        check(replace(GOOD, task_template="{content}"))  # a conversation has no subject

    @pytest.mark.parametrize(
        ("part", "text"),
        [
            ("system_prompt", "You help {name}."),
            ("system_prompt", "You know {context}."),
            ("context_template", "{context} {content}"),
            ("task_template", "{content} {Subject}"),
            ("task_template", "{content} {customer_name}"),
            ("task_template", "{content} { subject }"),
            ("task_template", "{content} {subject!r}"),
            ("task_template", "{content} {subject.upper}"),
            ("task_template", "{{content}}"),
        ],
    )
    def test_what_could_be_taken_for_one_and_is_none_is_refused_by_its_line(self, part: str, text: str) -> None:
        told = objection(**{part: f"First line.\n{text}"})
        assert told.startswith(f"{part}, line 2:")
        allowed = [*PARTS[part].needed, *PARTS[part].allowed]
        assert all(f"{{{name}}}" in told for name in allowed)
        assert "no placeholders" in told if not allowed else "not known" in told

    @pytest.mark.parametrize(
        "text", ['Answer as {"a": 1}.', "h1 { color: red }", "{}", "a {1, 2} b", "f(x) { return x; }"]
    )
    def test_other_braces_are_just_text(self, text: str) -> None:
        check(replace(GOOD, system_prompt=text))

    @pytest.mark.parametrize("text", ["{" * 7999, "{ " * 3999, "{" + " " * 7000, "{a" * 3999])
    def test_many_braces_cost_linear_time(self, text: str) -> None:
        started = time.process_time()
        check(replace(GOOD, system_prompt=text))
        assert time.process_time() - started < usual(0.1)

    def test_what_is_needed_stands_there_once(self) -> None:
        assert "needs {context} once" in objection(context_template="Nothing.")
        assert "needs {content} once" in objection(task_template="{subject}")
        assert "not more often" in objection(context_template="{context} {context}")

    def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_repeated(self) -> None:
        told = objection(system_prompt="{zebra}", context_template="{zebra}", task_template="zebra")
        assert [part in told for part in PARTS] == [True, True, True]
        assert "zebra" not in told


class TestTexts:
    def test_lengths_and_blanks(self) -> None:
        for part, rule in PARTS.items():
            filling = "".join(f"{{{name}}}" for name in rule.needed)
            check(replace(GOOD, **{part: filling + "x" * (rule.longest - len(filling))}))
            assert "characters" in objection(**{part: filling + "x" * (rule.longest + 1)})
            assert "blank" in objection(**{part: " \n"})

    @pytest.mark.parametrize("tag", TAGS)
    def test_tags_of_the_system_are_its_own(self, tag: str) -> None:
        for text in (f"</{tag}>", f"<{tag} lang='en'>", f"<{tag.upper()}>"):
            assert "line 1" in objection(system_prompt=f"Before {text} after")
        check(replace(GOOD, system_prompt=f"The {tag} and <other>."))


class TestDiff:
    def test_shows_each_part_that_differs_and_no_other(self) -> None:
        new = replace(GOOD, system_prompt="Be kind.\nBe brief.", task_template="{content}")
        found = diff(GOOD, new, old_name="A 1", new_name="A 2")
        assert list(found.parts) == ["system_prompt", "task_template"]
        assert "--- A 1/system_prompt" in found.unified
        assert "+Be brief." in found.unified.splitlines()
        assert (found.added, found.removed) == (1, 2)

    def test_is_empty_where_nothing_differs(self) -> None:
        assert diff(GOOD, GOOD, old_name="a", new_name="b").unified == ""

    def test_line_ends_are_a_difference(self) -> None:
        found = diff(GOOD, replace(GOOD, system_prompt="Be kind.\n"), old_name="a", new_name="b")
        assert "line ends" in found.unified


class TestLibrary:
    def test_holds_at_least_six_templates_of_which_each_is_another(self) -> None:
        names = {name for name, _, _ in templates()}
        assert len(names) == len(templates()) >= 6
        assert len({texts.system_prompt for _, _, texts in templates()}) == len(names)
        assert all(len(texts.system_prompt) > 600 and description for _, description, texts in templates())

    @pytest.mark.parametrize("name", [name for name, _, _ in templates()])
    def test_a_template_makes_a_prompt_for_a_conversation_and_for_a_ticket(self, name: str) -> None:
        [texts] = [texts for found, _, texts in templates() if found == name]
        prompt = replace(DEFAULT_PROMPT, **{part: getattr(texts, part) for part in PARTS})
        for subject in ("", "Invoice"):
            last = build_messages(
                prompt, passages=[], history=[], question="How?", facts=[], summary=None, notes=[], subject=subject
            )[-1].text
            assert ("Subject: Invoice" in last) == bool(subject)
            assert "How?" in last
            assert "{" not in last

    def test_the_default_keeps_the_rules_too(self) -> None:
        check(texts_of({part: getattr(DEFAULT_PROMPT, part) for part in PARTS}))
