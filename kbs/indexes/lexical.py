"""The lexical half: every word of the question counts by its rarity among the passages that may be seen.

A passage's score is BM25's: the sum over its words of rarity (idf) times frequency, which saturates, sooner in a short
passage; divided by what the question would score at most. So 0.9 means that nearly all that is rare in the question
stands there, in any source. Each passage is read with the stemmer of its own language. Words are alternatives: a
passage need not have them all.
"""

from typing import Any

from psycopg import sql

from kbs.index import KINDS, Scope
from kbs.indexes.rows import allowed, sources_of

LANGUAGES = ("en", "de", "fr", "es", "ru", "it", "pt", "nl")
"""With a stemmer in `passage_words`; others are searched by whole words."""
MAX_CHARS = 2000
"""Of a question; what stands further on no longer steers the words."""
MAX_WORDS = 40
WORD_WEIGHTS = [1.0, 1.0, 1.0, 1.0]
"""Of ts_rank's classes D, C, B, A. The same for a word in the text and in the title (A): more for the title was
measured and is worse, since it stands on every passage of its article."""

SAMPLE = 300
"""Passages of each source from which it is estimated how common a word is; where it could matter, a third of the work."""
ENOUGH_HITS = 5000
"""A word is left out where it and the rarer ones would match more passages than this: it costs most and tells least.
Small knowledge bases never come to it."""
ALWAYS = 2
"""Rarest words of a question that are never left out."""
SATURATION = 1.2
LENGTH_WEIGHT = 0.75
"""BM25's k1 and b, at their usual values."""
USUAL_LENGTH = 45
"""Different words of a passage of middling length; `kbs/articles/chunking.py` cuts them."""

_COUNT = sql.SQL("select count(*) as n from passages where tenant_id = {} and source = {}")
_STEMMED = sql.SQL("case when t.language = any(%(languages)s) then t.language else 'simple' end")
_SAMPLE = sql.SQL(
    "(select t.tsv, {stemmed} as language from passages t where {where} and (select hits from most) > {enough}"
    " limit {size})"
)
_FOUND = sql.SQL(
    "select t.id, {kb} as kb, t.tsv, a.language from passages t join any_word a on a.language = {stemmed}"
    " where {where} and t.tsv @@ a.query"
)
_WORDS = sql.SQL("""
spoken as materialized (
    select row_number() over () as word, l.language, quote_literal(w.lexeme)::tsquery as query
    from unnest(%(languages)s || array['simple']) l(language)
        cross join lateral (
            select lexeme from unnest(passage_words(l.language, %(text)s)) order by positions[1] limit {most}
        ) w
),
total as materialized (select greatest(sum(n), 1)::float8 as passages from ({counts}) counts),
most as materialized (
    select max(n) * (select passages from total) as hits from (select count(*) as n from spoken group by language) counts
),
sample as materialized ({sample}),
common as materialized (
    select s.word, count(*) / (select count(*) from sample)::float8 as share
    from sample p join spoken s on s.language = p.language and p.tsv @@ s.query group by s.word
),
words as materialized (
    select word, language, query from (
        select s.*, row_number() over rarest_first as place,
               total.passages * sum(coalesce(c.share, 0)) over rarest_first as hits
        from spoken s cross join total left join common c using (word)
        window rarest_first as (partition by s.language order by coalesce(c.share, 0), s.word)
    ) measured where hits <= {enough} or place <= {always}
),
any_word as materialized (
    select language, string_agg(query::text, ' | ')::tsquery as query from words group by language
)
""")
# ts_rank of one word is the sum of 1/n^2 over its n occurrences, divided by the sum of them all, pi^2/6 = 1.645: what is
# left of that to 1 tells n.
_SCORED = sql.SQL("""
found as materialized ({found}),
hits as materialized (
    select f.id, f.kb, w.word,
           seen.times / (seen.times + {rare} + {long} * least(length(f.tsv), 200)) as weight
    from found f join words w on w.language = f.language and f.tsv @@ w.query
        cross join lateral (
            select 1 / (1.645 * greatest(1 - ts_rank(%(word_weights)s::real[], f.tsv, w.query), 0.002)) - 0.5 as times
        ) seen
),
rarity as materialized (
    select w.word, w.language,
           ln(1 + greatest(total.passages - coalesce(h.df, 0) + 0.5, 0.5) / (coalesce(h.df, 0) + 0.5)) as idf
    from words w cross join total left join (select word, count(*) as df from hits group by word) h using (word)
),
valued as materialized (
    select word, idf / greatest(sum(idf) over (partition by language), 1e-9) as value from rarity
),
lexical as materialized (
    select id, kb, score from (
        select *, row_number() over (partition by kb order by score desc, id) as rank from (
            select h.id, h.kb, sum(h.weight * v.value) as score from hits h join valued v using (word) group by h.id, h.kb
        ) scored
    ) ranked where rank <= {k}
)
""")


def lexical_steps(scope: Scope, k: int) -> sql.Composed:
    """Common table expressions that end in `lexical (id, kb, score)`, `kb` naming the source."""
    found, counts, samples = [], [], []
    for source in sources_of(scope):
        where = allowed(scope, source)
        found.append(_FOUND.format(kb=sql.Literal(source.value), stemmed=_STEMMED, where=where))
        counts.append(_COUNT.format(sql.Literal(scope.owner_of(source)), sql.Literal(KINDS[source])))
        samples.append(
            _SAMPLE.format(stemmed=_STEMMED, where=where, size=sql.Literal(SAMPLE), enough=sql.Literal(ENOUGH_HITS))
        )
    union = sql.SQL(" union all ")
    words = _WORDS.format(
        most=sql.Literal(MAX_WORDS), counts=union.join(counts), sample=union.join(samples),
        enough=sql.Literal(ENOUGH_HITS), always=sql.Literal(ALWAYS),
    )  # fmt: skip
    scored = _SCORED.format(
        found=union.join(found), k=sql.Literal(k), rare=sql.Literal(SATURATION * (1 - LENGTH_WEIGHT)),
        long=sql.Literal(SATURATION * LENGTH_WEIGHT / USUAL_LENGTH),
    )  # fmt: skip
    return sql.SQL(", ").join([words, scored])


def lexical_values(text: str) -> dict[str, Any]:
    return {"text": text[:MAX_CHARS], "languages": list(LANGUAGES), "word_weights": WORD_WEIGHTS}
