"""The trie finds what the library's table finds."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from py3langid.langid import MODEL_DIR, MODEL_FILE, visit_counts
from py3langid.modelio import load_model

from kbs.words.language_trie import Trie, grown


@pytest.fixture(scope="module")
def tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The next states, the row of each state and the features."""
    _, _, _, table, row, found = load_model(MODEL_DIR / MODEL_FILE)
    return np.asarray(table, np.uint32), np.asarray(row), np.asarray(found)


@pytest.fixture(scope="module")
def trie(tables: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Trie:
    return grown(*tables)


WORDS = [
    "passwort", "zurücksetzen", "mot", "de", "passe", "oublié", "пароль", "не", "работает", "忘记密码", "パスワード",
    "إعادة", "تعيين", "कुंजी", "รหัสผ่าน",
]  # fmt: skip


class TestTrie:
    @given(text=st.one_of(st.binary(max_size=300), st.text(max_size=100).map(str.encode),
                          st.lists(st.sampled_from(WORDS), max_size=12).map(lambda words: " ".join(words).encode())))  # fmt: skip
    @example(text=b"")
    @example(text=" ".join(WORDS).encode())
    def test_it_counts_what_the_table_counts(
        self, tables: tuple[np.ndarray, np.ndarray, np.ndarray], trie: Trie, text: bytes
    ) -> None:
        table, row, found = tables
        assert trie.count(text) == (visit_counts(table, row.astype(np.int64) << 8, found, text) or {})

    def test_each_state_is_a_node_of_it(self, tables: tuple[np.ndarray, np.ndarray, np.ndarray], trie: Trie) -> None:
        states = len(tables[1])
        assert (len(trie.letters), len(trie.first), len(trie.suffix), len(trie.found)) == (
            states - 1, states + 1, states, states,
        )  # fmt: skip

    def test_it_takes_little_room(self, trie: Trie) -> None:
        assert len(trie.letters) + trie.first.nbytes + trie.suffix.nbytes + trie.found.nbytes < 1_500_000
