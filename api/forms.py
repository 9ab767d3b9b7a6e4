"""Bodies that come as JSON or as a form with files, and an upload's; anything else is told what is taken."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Generic, Protocol, Self, TypeVar
from uuid import UUID

import orjson
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from api.body_limit import MULTIPART
from memory.errors import Invalid, Unavailable
from memory.files import PIECE
from tools.attachments.storing import Upload

FIELDS = 20
FORM = "application/x-www-form-urlencoded"
_FILES = ("attachments", "attachments[]")
_IDS = ("attachment_ids", "attachment_ids[]")
_NUMBERS = ("version",)


class TakesUploads(Protocol):
    """A body that may name uploads, and may bring some as a form."""

    attachment_ids: list[UUID]

    @classmethod
    def model_validate(cls, given: Any) -> Self: ...

    def model_dump_json(self) -> str: ...


class FormFields(BaseModel):
    """What a form of files says besides them; the fields in `LISTS` may come more than once."""

    LISTS: ClassVar[frozenset[str]] = frozenset()


B = TypeVar("B", bound=TakesUploads)
Fields = TypeVar("Fields", bound=FormFields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent(Generic[B]):
    """A body as it was sent."""

    body: B
    uploads: list[Upload]
    raw: bytes
    """What an idempotency key compares: the same for the same body, however it was written down."""


@asynccontextmanager
async def read_body(request: Request, model: type[B], most_files: int) -> AsyncIterator[Sent[B]]:
    """The body; its files are open until the end of the block. Raises Invalid for too many."""
    kind = _kind(request)
    if kind == "application/json":
        yield await _sent(model, _json(await request.body()), [], most_files)
    elif kind in (MULTIPART, FORM):
        async with _form(request, most_files) as form:
            fields, files = _parted(form)
            yield await _sent(model, fields, files, most_files)
    else:
        raise HTTPException(415)


def taken_as(model: type[BaseModel]) -> dict[str, Any]:
    """What the API's description says of such a body: JSON, or a form where files may also come along."""
    schema = model.model_json_schema()
    files = {"type": "array", "items": {"type": "string", "format": "binary"}}
    form = {**schema, "properties": {**schema["properties"], "attachments[]": files}}
    content = {"application/json": {"schema": schema}, MULTIPART: {"schema": form}}
    return {"requestBody": {"required": True, "content": content}}


async def raw_of(request: Request, most_files: int) -> bytes:
    """What an idempotency key compares of any body: a form's own marks between its parts differ with each try."""
    if _kind(request) != MULTIPART:
        return await request.body()
    form = await request.form(max_files=most_files, max_fields=FIELDS)  # kept by the request, for whoever reads it next
    digest = hashlib.sha256()
    for name, value in form.multi_items():
        digest.update(_sha(name.encode()))
        if isinstance(value, UploadFile):
            digest.update(await asyncio.to_thread(_sha_of_file, value.file))
        else:
            digest.update(_sha(value.encode()))
    return digest.digest()


@asynccontextmanager
async def read_upload(request: Request) -> AsyncIterator[Upload]:
    """The one file of a form's field `file`, open until the end of the block."""
    if _kind(request) != MULTIPART:
        raise HTTPException(415)
    async with _form(request, 1) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile) or len(form.multi_items()) != 1:
            raise _refused("missing", "file", "send one file in the field `file`")
        yield _upload(file)


@asynccontextmanager
async def read_files(
    request: Request, fields: type[Fields], most_files: int
) -> AsyncIterator[tuple[Fields, list[Upload]]]:
    """The other fields of a form, and the files of its field `files`, open until the end of the block."""
    if _kind(request) != MULTIPART:
        raise HTTPException(415)
    async with _form(request, most_files) as form:
        given: dict[str, list[Any]] = {}
        files: list[Upload] = []
        for name, value in form.multi_items():
            if name in ("files", "files[]") and isinstance(value, UploadFile):
                files.append(_upload(value))
            else:
                given.setdefault(name.removesuffix("[]"), []).append(value)
        read = {name: values if name in fields.LISTS else values[-1] for name, values in given.items()}
        try:
            wish = fields.model_validate(read)
        except ValidationError as error:
            raise _not_fitting(error) from None
        if not files:
            raise _refused("missing", "files", "send one file or more in the field `files`")
        yield wish, files


def _kind(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if kind == "application/json" or _is_utf8(request) else ""


@asynccontextmanager
async def _form(request: Request, most_files: int) -> AsyncIterator[FormData]:
    """The form, with large files in temporary ones, which the body's limit bounds."""
    try:
        form = await request.form(max_files=most_files, max_fields=FIELDS)
    except OSError as error:  # no room for a temporary file
        raise Unavailable("files can't be taken now", retry_after=30) from error
    try:
        yield form
    finally:
        await form.close()


def _parted(form: FormData) -> tuple[dict[str, Any], list[Upload]]:
    """The fields and the files; a browser sends a nameless empty file where none was chosen."""
    fields: dict[str, Any] = {}
    files: list[Upload] = []
    for name, value in form.multi_items():
        if name in _FILES and (value == "" or (isinstance(value, UploadFile) and not (value.size or value.filename))):
            continue
        if name in _FILES and isinstance(value, UploadFile):
            files.append(_upload(value))
        elif name in _IDS:
            fields.setdefault("attachment_ids", []).append(value)
        else:
            fields[name] = _number(value) if name in _NUMBERS else value
    return fields, files


def _number(value: Any) -> Any:
    """A form knows only texts."""
    digits = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10
    return int(value) if digits else value


def _upload(file: UploadFile) -> Upload:
    return Upload(name=file.filename, file=file.file, size=file.size or 0)


async def _sent(model: type[B], fields: Any, uploads: list[Upload], most_files: int) -> Sent[B]:
    try:
        body = model.model_validate(fields)
    except ValidationError as error:
        raise _not_fitting(error) from None
    if len(body.attachment_ids) + len(uploads) > most_files:
        raise Invalid(f"at most {most_files} attachments go together")
    raw = await asyncio.to_thread(_digest, body, uploads) if uploads else _digest(body, [])
    return Sent(body=body, uploads=uploads, raw=raw)


def _not_fitting(error: ValidationError) -> RequestValidationError:
    return RequestValidationError([{**found, "loc": ("body", *found["loc"])} for found in error.errors()])


def _digest(body: TakesUploads, uploads: list[Upload]) -> bytes:
    digest = hashlib.sha256(body.model_dump_json().encode())
    for upload in uploads:
        digest.update(_sha_of_file(upload.file))
    return digest.digest()


def _sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _sha_of_file(file: BinaryIO) -> bytes:
    file.seek(0)
    digest = hashlib.sha256()
    while piece := file.read(PIECE):
        digest.update(piece)
    file.seek(0)
    return digest.digest()


def _is_utf8(request: Request) -> bool:
    """Python would decode a form by any codec the client names, some of which fail or take quadratic time."""
    _, options = parse_options_header(request.headers.get("content-type", ""))
    return options.get(b"charset", b"utf-8").lower() in (b"utf-8", b"utf8")


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _refused("json_invalid", None, "") from None


def _refused(kind: str, field: str | None, message: str) -> RequestValidationError:
    loc = ("body", field) if field else ("body",)
    return RequestValidationError([{"type": kind, "loc": loc, "msg": message, "input": None}])
