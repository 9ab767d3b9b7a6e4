"""Secrets at rest, under keys of their own: the newest encrypts, all decrypt, so that a rotation loses nothing."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from memory.errors import Misconfigured


class Cipher:
    """Fernet over the keys in `ENCRYPTION_KEYS`, newest first."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key.encode()) for key in keys])
        except ValueError as error:
            raise Misconfigured(
                "ENCRYPTION_KEYS must be Fernet keys (32 bytes, url-safe base64), newest first"
            ) from error

    def encrypt(self, secret: str) -> str:
        return self._fernet.encrypt(secret.encode()).decode()

    def decrypt(self, token: str) -> str:
        try:
            return self._fernet.decrypt(token.encode()).decode()
        except InvalidToken as error:
            raise Misconfigured("a stored secret fits none of ENCRYPTION_KEYS: an older key is missing") from error

    def rotate(self, token: str) -> str:
        """The same secret under the newest key. Raises Misconfigured where it fits none."""
        try:
            return self._fernet.rotate(token.encode()).decode()
        except InvalidToken as error:
            raise Misconfigured("a stored secret fits none of ENCRYPTION_KEYS: an older key is missing") from error

    @staticmethod
    def new_key() -> str:
        return Fernet.generate_key().decode()
