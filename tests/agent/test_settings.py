"""Settings: addresses as they stand in URLs, and those that contradict each other."""

import pytest

from agent.settings import Settings


class TestAnAddress:
    @pytest.mark.parametrize(
        ("host", "address"),
        [("127.0.0.1", "127.0.0.1:8311"), ("::1", "[::1]:8311"), ("::", "[::]:8311"), ("localhost", "localhost:8311")],
    )
    def test_of_ipv6_has_brackets(self, host: str, address: str) -> None:
        http = Settings.load(None, HOST=host, PORT=8311).http
        assert (http.address(), http.address(9)) == (address, address.replace("8311", "9"))
