"""Standard Webhooks signatures: secrets, and the headers under which a body is sent."""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from standardwebhooks import Webhook

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signed_headers(delivery_id: UUID, at: datetime, body: bytes, keys: Sequence[str]) -> dict[str, str]:
    """Headers of one attempt: the id is that of the delivery, the time that of the attempt, a signature for each key."""
    message_id = f"msg_{delivery_id.hex}"
    signatures = [Webhook(key).sign(message_id, at, body.decode()) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
