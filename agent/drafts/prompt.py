"""The tenant's prompt, asked for a written reply: the task is the only part that differs from a conversation's."""

from dataclasses import replace

from agent.prompting import PromptParts

TASK = """\
Write the whole reply to this ticket. A colleague reads it, corrects it and sends it; the customer does not see it
before. Begin with a greeting and end with a closing on a line of its own, without a name under it. Answer every
question of the ticket for which the passages have an answer; for each of the others say in one sentence that you will
look into it. Do not offer to bring in a colleague. A passage whose ref is a long number is a reply that a colleague
approved for another customer in the same matter: keep to its wording where it fits, and leave out what was true for
that customer alone. The staff notes tell how similar tickets were answered, and which mistakes not to repeat."""
ACCOUNT = """\
Where the ticket is about this customer's own account or invoices, look these up before you write; a passage whose ref
begins with "whmcs:" tells their state now. Say of it what the ticket asks for and nothing else."""
INSTRUCTION = "Your colleague has read an earlier version and asks for this change: {wish}"


def as_letter(prompt: PromptParts, instruction: str = "", *, account: bool = False) -> PromptParts:
    """The prompt with the task of a draft; a colleague's wish is part of it, and no placeholder can hide in it."""
    wish = instruction.strip().replace("{", "(").replace("}", ")")
    added = [TASK, *([ACCOUNT] if account else []), *([INSTRUCTION.replace("{wish}", wish)] if wish else [])]
    return replace(prompt, task_template="\n\n".join([prompt.task_template, *added]))
