"""A model provider on a real socket that speaks the OpenAI wire format, for tests and benches.

    async with model_server() as server:
        server.script("Hello.", Reply.calls(("open_ticket", {"subject": "x"})), Reply.cut("Half an answer", after=2))
        ...  # point a real client at server.base_url
        assert server.requests[0].body["model"] == "stub"

Each chat request takes the next step of the script: a text, a `Reply`, or a function of the request's body that gives
one. Without a script it answers with sentences copied from the passages in the prompt, cited.
"""

from tests.model_server.app import ModelServer, Recorded, model_server
from tests.model_server.replies import Reply, Step, Timing, grounded_answer

__all__ = ["ModelServer", "Recorded", "Reply", "Step", "Timing", "grounded_answer", "model_server"]
