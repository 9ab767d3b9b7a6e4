"""What may be asked, by whom, and what smells of manipulation: rules that are data, checked before anything else runs.

A rule has signals (phrases with a weight); it fires when the weights of the signals found reach its threshold, and the
first rule in the file that fires decides. Rules apply by role and audience. A message is read in several views: as
written, with look-alike spellings undone, and whatever was encoded in it decoded, so that a disguise does not help.
What no rule forbids is compared with what was learned from attacks and from harmless messages (`learned.py`).
A check that can't be carried out ends in `escalate`, never in `allow`.
"""

from tools.guardrails.check import Verdict, check_document, check_message, is_unsure, overruled
from tools.guardrails.learned import local_vector
from tools.guardrails.rules import Action, GuardRules
from tools.guardrails.rules_file import GuardRulesError, load_rules

__all__ = [
    "Action",
    "GuardRules",
    "GuardRulesError",
    "Verdict",
    "check_document",
    "check_message",
    "is_unsure",
    "load_rules",
    "local_vector",
    "overruled",
]
