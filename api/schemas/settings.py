"""Bodies of the tenant's settings: the same names as `TenantOptions`, each optional in a change."""

from typing import Any

from pydantic import ConfigDict, Field, SecretStr, create_model, field_validator

from api.schemas.common import CLEAN, Body, Out, clean
from tools.tenants import TenantOptions, TenantSettingsView


class SettingsOut(TenantOptions, Out):
    model_config = ConfigDict(extra="forbid", from_attributes=True)

    version: int = Field(description="rises with every change")
    has_identity_secret: bool
    widget_key: str

    @classmethod
    def of(cls, view: TenantSettingsView) -> "SettingsOut":
        return cls(
            **view.options.model_dump(), version=view.version, has_identity_secret=view.has_identity_secret,
            widget_key=view.widget_key,
        )  # fmt: skip


def _optional(fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields with the same bounds, none of them required."""
    return {name: (field.rebuild_annotation(), None) for name, field in fields.items()}


def _describe(schema: dict[str, Any]) -> None:
    """What is left out is left alone; null is not a value of these."""
    for field in schema["properties"].values():
        field.pop("default", None)
        if field.get("type") == "string":
            field.setdefault("pattern", CLEAN)


class _SettingsChange(Body):
    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra=_describe)

    identity_secret: SecretStr | None = Field(
        default=None, min_length=32, max_length=200, description="signs your site's identity tokens; write-only"
    )

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return clean(value) if isinstance(value, str) else value


SettingsChange: Any = create_model("SettingsChange", __base__=_SettingsChange, **_optional(TenantOptions.model_fields))
