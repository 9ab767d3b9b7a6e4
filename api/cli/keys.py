"""`helpdesk rotate-keys`: every stored secret under the newest of ENCRYPTION_KEYS, so that the older can be dropped."""

import typer

from agent.keys import encryption_keys
from agent.settings import Settings
from api.cli.opening import installation, quiet_settings, run
from memory.encryption import Cipher
from memory.errors import Misconfigured
from tools.identity.key_rotation import Rotated, rotate_all

app = typer.Typer()


@app.callback()
def keys() -> None:
    """Keys of stored secrets."""


@app.command("rotate-keys")
def rotate_keys() -> None:
    """Write every stored secret again under the first of ENCRYPTION_KEYS. Restart all processes with the new key first."""
    rotated = run(rotate(quiet_settings()))
    for place, count in rotated.done.items():
        typer.echo(f"{place}: {count}")
    if rotated.unreadable:
        where = ", ".join(f"{count} in {place}" for place, count in rotated.unreadable.items())
        raise Misconfigured(f"these fit none of ENCRYPTION_KEYS, and were left as they are: {where}")
    typer.echo("all secrets are under the newest key; the older ones can be dropped")


async def rotate(settings: Settings) -> Rotated:
    cipher = Cipher(encryption_keys(settings))
    async with installation(settings) as owner:
        return await rotate_all(owner, cipher)
