"""Bodies of signing in, users and API keys."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import EmailStr, Field, StrictBool, StringConstraints

from api.schemas.common import Body, CleanText, Line, Out, Password, Time
from memory.tenancy import Role
from tools.identity.api_keys import SCOPES
from tools.prompts.audiences import AUDIENCE
from tools.ticket_rules import Team

RoleName = Literal["customer", "agent", "support_agent", "admin"]
AudienceName = Annotated[str, StringConstraints(pattern=f"^{AUDIENCE.pattern}$")]


def role_of(name: RoleName) -> Role:
    return Role.AGENT if name == "support_agent" else Role(name)


class LoginIn(Body):
    email: EmailStr
    password: Annotated[CleanText, StringConstraints(min_length=1, max_length=200)]


class RegisterIn(Body):
    email: EmailStr
    password: Password
    name: Annotated[CleanText, StringConstraints(max_length=200)] = ""


class TokenOut(Out):
    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  the scheme's name
    expires_in: int = Field(description="seconds")


class UserOut(Out):
    id: UUID
    email: str
    name: str
    role: Role
    is_active: bool
    audience: list[str]
    teams: list[str] = Field(description="of a colleague: what tickets may be routed to")
    is_available: bool = Field(description="of a colleague: takes turns of the teams, and counts as somebody there")
    created_at: Time


class ColleagueOut(Out):
    """A member of the staff, to whom conversations and tickets can be given."""

    id: UUID
    name: str = Field(description="or the address, where there is none", validation_alias="known_as")
    role: Role
    teams: list[str]
    is_available: bool
    conversations: int = Field(description="claimed by them now")
    tickets: int = Field(description="assigned to them, not ended")


class MeOut(Out):
    tenant_id: UUID
    tenant_name: str
    role: Role
    user: UserOut | None = None
    customer_id: UUID | None = None
    audience: list[str]


class LogoutIn(Body):
    everywhere: StrictBool = Field(default=False, description="end every sign-in of this user, not only this one")


class PasswordChange(Body):
    current_password: Annotated[CleanText, StringConstraints(min_length=1, max_length=200)]
    new_password: Password


class MeChange(Body):
    is_available: StrictBool


class UserIn(Body):
    email: EmailStr
    password: Password
    name: Annotated[CleanText, StringConstraints(max_length=200)] = ""
    role: RoleName


class UserChange(Body):
    password: Password | None = Field(default=None, description="for somebody who has forgotten theirs")
    name: Annotated[CleanText, StringConstraints(max_length=200)] | None = None
    role: RoleName | None = None
    is_active: StrictBool | None = None
    audience: Annotated[list[AudienceName], Field(max_length=20)] | None = None
    teams: Annotated[list[Team], Field(max_length=20)] | None = None
    is_available: StrictBool | None = None


class ApiKeyIn(Body):
    name: Line
    scopes: Annotated[list[Literal["chat", "search", "tickets"]], Field(min_length=1, max_length=len(SCOPES))]


class ApiKeyOut(Out):
    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    created_at: Time
    last_used_at: Time | None
    revoked_at: Time | None


class NewApiKeyOut(ApiKeyOut):
    secret: str = Field(description="shown this once")
