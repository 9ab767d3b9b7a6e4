"""The product as `helpdesk serve` starts it, for the benchmark; `--unverified` lets every sentence through."""

import sys

from api.cli import main

if __name__ == "__main__":
    if "--unverified" in sys.argv:
        from agent.answer.answering import Answer

        sys.argv.remove("--unverified")
        assert Answer.__init__.__kwdefaults__ is not None  # a dataclass whose fields have defaults
        Answer.__init__.__kwdefaults__["verify"] = False
    main()
