"""Files as strangers send them: what is taken, under which name, and what reading them costs."""

import asyncio
import io
import os
import re
import subprocess
import sys
import time
from email.message import Message
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.errors import FileNotTaken
from memory.files import Files
from tests.hostile_files import CLEAN, FAILED, NAMES, REFUSED, docx, pdf, png
from tests.machine import usual
from tools.attachments import extractor
from tools.attachments.asking import is_about_file, without_reference
from tools.attachments.excerpts import MOST, excerpts
from tools.attachments.extracting import READ_AS, TIME_S, extract
from tools.attachments.kinds import DOCX, KINDS, sniff
from tools.attachments.names import LONGEST, clean_name, content_disposition

LIMIT_S = 5.0
GREEDY = (
    "a PDF of 200 MB", "a docx of 50 MB", "a docx of 100 MB in parts", "a docx 20,000 deep", "a billion laughs",
    "a PNG of 50,000 x 50,000",
)  # fmt: skip
ANY_TEXT = st.one_of(st.text(), st.text(alphabet='./\\\0\u202e%";=\r\n a', max_size=40), st.sampled_from(NAMES))
ENDINGS = st.sampled_from([kind.endings for kind in KINDS.values()])


def kept(folder: Path, content: bytes) -> Path:
    path = folder / uuid4().hex
    path.write_bytes(content)
    return path


class TestNames:
    @given(ANY_TEXT, ENDINGS)
    @settings(max_examples=1000, deadline=None)
    def test_any_name_becomes_a_harmless_one(self, given_name: str, endings: tuple[str, ...]) -> None:
        name = clean_name(given_name, endings)
        assert name.lower().endswith(endings)
        assert 0 < len(name) <= LONGEST + 1
        assert len(name.encode()) <= 255
        assert not re.search(r'[\x00-\x1f\x7f/\\:*?"<>|%\u202a-\u202e\u2066-\u2069]', name)
        assert name[0] not in ". "
        assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", name, re.IGNORECASE)
        assert clean_name(name, endings) == name

    @given(ANY_TEXT)
    @settings(max_examples=1000, deadline=None)
    def test_any_name_makes_one_header_that_reads_back(self, name: str) -> None:
        header = content_disposition(name)
        assert header.isascii()
        assert header.isprintable()
        message = Message()
        message["Content-Disposition"] = header
        assert message.get_content_disposition() == "attachment"
        plain, _, encoded = header.removeprefix("attachment; ").partition("; filename*=UTF-8''")
        assert re.fullmatch(r'filename="[A-Za-z0-9 ._()+,=@~-]+"', plain)
        assert re.fullmatch(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})+", encoded)
        cleaned = clean_name(name, (".txt",))
        assert unquote(content_disposition(cleaned).rpartition("''")[2]) == cleaned

    @pytest.mark.parametrize(
        ("given_name", "ending", "shown"),
        [("../../etc/cron.d/x", ".txt", "x.txt"), ("C:\\boot.ini", ".txt", "boot.ini.txt"), ("con.txt", ".txt", "_con.txt"),
         ("invoice\u202efdp.exe", ".pdf", "invoicefdp.exe.pdf"), ("", ".png", "file.png"), (".htaccess", ".txt", "htaccess.txt"),
         ("Größe.PDF", ".pdf", "Größe.pdf"), ("a\nb.txt", ".txt", "a b.txt")],
    )  # fmt: skip
    def test_a_name_stays_what_it_can(self, given_name: str, ending: str, shown: str) -> None:
        assert clean_name(given_name, (ending,)) == shown


class TestKinds:
    @pytest.mark.parametrize("case", REFUSED)
    def test_what_is_none_of_ours_is_refused(self, case: str) -> None:
        name, make = REFUSED[case]
        with pytest.raises(FileNotTaken):
            sniff(io.BytesIO(make()), name)

    @pytest.mark.parametrize("case", CLEAN)
    def test_a_file_is_what_it_holds_whatever_it_is_called(self, case: str) -> None:
        name, make, media_type = CLEAN[case]
        kind = sniff(io.BytesIO(make()), name)
        assert kind.media_type == media_type
        assert clean_name(name, kind.endings).endswith(kind.endings)

    @pytest.mark.parametrize(
        ("name", "content", "media_type"),
        [("a.csv", b"a,b\n1,2\n", "text/csv"), ("a.md", b"# Title\n", "text/markdown"), ("a.log", b"x\n", "text/plain"),
         ("a.json", b'{"a": 1}', "application/json"), ("a.json", b"no", "text/plain"), ("a", b"x", "text/plain"),
         ("a.txt", "größe".encode("cp1252"), "text/plain"), ("a.pdf", pdf("x"), "application/pdf"),
         ("a.docx", docx("x"), DOCX), ("a.jpg", png(2, 2), "image/png"), ("a.pdf", b"plain", "text/plain"),
         ("x.log", b"\x1b[31merror\x1b[0m\n", "text/plain"), ("a.txt", b"a < b and <c>", "text/plain")],
    )  # fmt: skip
    def test_good_files_are_known(self, name: str, content: bytes, media_type: str) -> None:
        assert sniff(io.BytesIO(content), name).media_type == media_type

    def test_nothing_that_a_browser_runs_is_served_as_such(self) -> None:
        assert not any(re.search("html|svg|xml|script", kind.served_as.replace(DOCX, "")) for kind in KINDS.values())


class TestExtracting:
    @pytest.mark.parametrize(
        ("media_type", "content", "text"),
        [("text/plain", b"hello\r\nworld\x1b[31m!\x1b[0m", "hello\nworld!"), ("text/plain", "größe".encode("cp1252"), "größe"),
         ("text/plain", "größe".encode("utf-16"), "größe"), ("text/csv", b"\xef\xbb\xbfa,b", "a,b"),
         ("application/pdf", pdf("The total is 99 euros."), "The total is 99 euros."),
         (DOCX, docx("Order 4711", "is late."), "Order 4711\n\nis late."),
         ("text/html", b"<html><head><title>t</title></head><h1>A</h1><p>b<i>c</i></p><ul><li>d<li>e</ul><script>f</script>"
                       b"<p style='display: none'>g</p><p hidden>h</p><table><tr><td>1</td><td>2</td></tr></table>",
          "# A\n\nbc\n\n- d\n- e\n\n1 | 2 |")],
        ids=["coloured", "windows-1252", "utf-16", "csv", "pdf", "docx", "html"],
    )  # fmt: skip
    async def test_text_is_read(self, tmp_path: Path, media_type: str, content: bytes, text: str) -> None:
        found = await extract(kept(tmp_path, content), media_type)
        assert (found.state, found.text) == ("done", text)

    async def test_a_picture_is_measured_and_not_decoded(self, tmp_path: Path) -> None:
        found = await extract(kept(tmp_path, png(1200, 800)), "image/png")
        assert (found.state, found.details) == ("empty", {"width": 1200, "height": 800, "format": "PNG"})

    @pytest.mark.parametrize("case", [*FAILED, *CLEAN])
    async def test_no_hostile_file_costs_more_than_it_may(self, tmp_path: Path, case: str) -> None:
        name, make = FAILED[case] if case in FAILED else CLEAN[case][:2]
        content = make()
        kind = sniff(io.BytesIO(content), name)
        started = time.perf_counter()
        limit = 1.5 if case in FAILED else TIME_S  # what is endless shall not cost the tests the whole time
        found = await extract(kept(tmp_path, content), kind.media_type, time_s=limit)
        assert time.perf_counter() - started < limit + 0.5 < LIMIT_S
        assert found.state in (("failed",) if case in FAILED else ("done", "empty", "unsupported"))
        assert len(found.text) <= extractor.LONGEST
        assert "root:" not in found.text

    @pytest.mark.parametrize("case", GREEDY)
    def test_the_readers_memory_is_bounded(self, tmp_path: Path, case: str) -> None:
        name, make = FAILED[case]
        content = make()
        kind = READ_AS[sniff(io.BytesIO(content), name).media_type]
        assert peak_mb(kept(tmp_path, content), kind) < extractor.MEMORY / 2**20

    async def test_a_reader_that_hangs_is_killed_and_nothing_of_it_is_left(self, tmp_path: Path) -> None:
        path = kept(tmp_path, FAILED["HTML that never closes a tag"][1]())
        found = await extract(path, "text/html", time_s=0.3)
        assert found.details == {"reason": "time"}
        assert "extractor.py" not in children()

    async def test_a_cancelled_turn_takes_its_reader_with_it(self, tmp_path: Path) -> None:
        path = kept(tmp_path, FAILED["a PDF of 2,000,000 operators"][1]())
        task = asyncio.create_task(extract(path, "application/pdf"))
        await asyncio.sleep(0.3)
        assert "extractor.py" in children()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "extractor.py" not in children()

    def test_the_reader_can_write_nothing_and_knows_nothing_of_us(self) -> None:
        source = Path(extractor.__file__).read_text()
        assert not re.search(r"^\s*(?:from|import) (?:memory|kbs|tools|agent|api)\b", source, re.MULTILINE)
        code = (
            "import runpy, sys; found = runpy.run_path(sys.argv[1]); found['_confine']()\n"
            "try: print('x' * 99, file=open(sys.argv[2], 'w'), flush=True)\nexcept OSError: sys.exit(7)"
        )
        command = [sys.executable, "-I", "-c", code, extractor.__file__, "/dev/shm/extractor-was-here"]
        assert subprocess.run(command, env={}, capture_output=True, check=False).returncode != 0


def children() -> str:
    """The commands of the processes that this one has started, whole: a long path would be cut at 80 columns."""
    command = ["ps", "-ww", "-o", "args=", "--ppid", str(os.getpid())]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


MEASURE = """
import os, sys
pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-B", *sys.argv[1:]], {})
print("peak", os.wait4(pid, 0)[2].ru_maxrss, file=sys.stderr)
"""
"""Started from a small process: what a large parent has would count as the child's."""


def peak_mb(path: Path, kind: str) -> float:
    with path.open("rb") as file:
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", MEASURE, extractor.__file__, kind],
            stdin=file, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=60, check=True,
        )  # fmt: skip
    return int(ran.stderr.split()[-1]) / 1024


class TestExcerpts:
    @given(st.text(alphabet="ab# \n.", max_size=3000))
    @settings(max_examples=200, deadline=None)
    def test_no_word_of_a_plain_text_is_lost(self, text: str) -> None:
        joined = " ".join(piece.text for piece in excerpts(text, headings=False))
        assert joined.split() == text.split()

    def test_headings_become_the_path(self) -> None:
        found = excerpts("# A\none\n## B\ntwo\n# C\n", headings=True)
        assert [(each.heading, each.text) for each in found] == [("A", "one"), ("A > B", "two"), ("C", "C")]

    @pytest.mark.parametrize(
        "text", ["# a\nb\n" * 33_000, "[" * 200_000, "a " * 100_000, "\n" * 200_000, "# " * 100_000]
    )
    def test_no_text_takes_long_to_cut(self, text: str) -> None:
        started = time.thread_time()
        assert len(excerpts(text, headings=True)) <= MOST
        assert time.thread_time() - started < usual(1.0)


class TestAsking:
    @pytest.mark.parametrize(
        ("question", "matter"),
        [("What does the attached log say about port 8443?", "What does the about port 8443?"),
         ("please summarize my document", "please my"), ("Was steht im Anhang zur Kündigung?", "Was im zur Kündigung?"),
         ("what is the total in invoice-77?", "what is the total in ?"), ("see server.log", "see")],
    )  # fmt: skip
    def test_a_question_about_a_file_is_known_and_so_is_its_matter(self, question: str, matter: str) -> None:
        names = ["server.log", "invoice-77.pdf"]
        assert is_about_file(question, names)
        assert without_reference(question, names).split() == matter.split()

    @pytest.mark.parametrize(
        "question",
        ["How do I reset my mailbox password?", "Where is the access log of my site kept?", "How do I upload a file by FTP?",
         "How do I log in?", "Which log file format do you use?", "Can I restore documents from a backup?"],
    )  # fmt: skip
    def test_a_question_about_files_in_general_is_not_one(self, question: str) -> None:
        assert not is_about_file(question)


def kept_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class TestFiles:
    async def test_the_same_content_is_there_once_and_half_of_one_never(self, tmp_path: Path) -> None:
        files, tenant = Files(tmp_path / "files"), uuid4()
        for _ in range(2):
            draft = await files.receive(tenant, io.BytesIO(b"content"))
            await files.keep(tenant, draft)
            await files.discard(draft)
        found = kept_in(tmp_path)
        assert found == [files.path(tenant, draft.sha256)]
        assert found[0].read_bytes() == b"content"
        assert oct(found[0].stat().st_mode & 0o777) == "0o600"

    async def test_a_broken_source_leaves_nothing(self, tmp_path: Path) -> None:
        class Broken(io.BytesIO):
            def read(self, size: int | None = -1) -> bytes:
                raise ValueError("broken")

        with pytest.raises(ValueError, match="broken"):
            await Files(tmp_path).receive(uuid4(), Broken())
        assert kept_in(tmp_path) == []

    @pytest.mark.parametrize("digest", ["../../etc/passwd", "", "A" * 64, "a" * 63, "a" * 64 + "\n", "a" * 65])
    def test_nothing_but_a_digest_becomes_a_path(self, tmp_path: Path, digest: str) -> None:
        with pytest.raises(ValueError, match="digest"):
            Files(tmp_path).path(uuid4(), digest)
