"""First schema"""

import pgvector.sqlalchemy
import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

GLOBAL = "'00000000-0000-0000-0000-000000000000'::uuid"

# Tables of one tenant alone, and tables whose global rows everyone may read.
OWN = (
    "api_keys",
    "audit_log",
    "idempotency_keys",
    "learned_replies",
    "retrieval_settings",
    "tenant_settings",
    "ticket_counters",
    "users",
    "customers",
    "chat_sessions",
    "facts",
    "chat_messages",
    "guardrail_events",
    "session_events",
    "tickets",
    "turns",
    "handoffs",
    "kb_references",
    "ticket_events",
    "tool_effects",
)
SHARED = (
    "kb_articles",
    "kb_article_versions",
    "passages",
    "embeddings_384",
    "embeddings_1536",
    "knowledge_revisions",
    "prompt_versions",
)

# Names such as `mail.example.com`, `wp-config.php` or `ENV-104` are searched by their parts: the parser would keep them
# whole, or read a minus sign into `-104`, and then a customer who types half a name finds nothing.
WORDS = """
create function passage_words(language text, words text) returns tsvector language sql immutable parallel safe as $$
    select to_tsvector(
        case language
            when 'en' then 'pg_catalog.english'::regconfig when 'de' then 'pg_catalog.german'::regconfig
            when 'fr' then 'pg_catalog.french'::regconfig when 'es' then 'pg_catalog.spanish'::regconfig
            when 'ru' then 'pg_catalog.russian'::regconfig when 'it' then 'pg_catalog.italian'::regconfig
            when 'pt' then 'pg_catalog.portuguese'::regconfig when 'nl' then 'pg_catalog.dutch'::regconfig
            else 'pg_catalog.simple'::regconfig
        end, translate(words, '-_./:@\\=<>#', '            '))
$$
"""

# A search reads most of one tenant's rows. Partitions keep these on few pages, however the tenants' writes are mixed, and
# the rows are kept whole in their pages: fetching a vector from a side table costs more than comparing it. Vectors have
# 16 bits per number: half the pages, and the neighbours are the same.
PARTITIONED = ("passages", "embeddings_384", "embeddings_1536")
PARTITIONS = 16
PARTITION = "create table {table}_p{n} partition of {table} for values with (modulus {of}, remainder {n})"
WHOLE_ROWS = (
    "alter table embeddings_384 alter column embedding set storage plain",
    "alter table embeddings_1536 alter column embedding set storage plain",
)

# What a LangChain vector store reads. Such a store knows no tenants, collections or audiences, so the view does: it shows
# what the settings of its connection allow, and next to nothing where they are missing. Row-level security stays the
# caller's.
DOCUMENTS = """
create view knowledge_documents_{dimensions} with (security_invoker = true) as
    select p.id, p.text as content, e.embedding::vector({dimensions}) as embedding, p.source, p.tenant_id = {everyone} as is_global, p.collection, p.ref,
           p.title, p.heading, p.version, p.language, p.digest
    from passages p join embeddings_{dimensions} e on e.tenant_id = p.tenant_id and e.passage_id = p.id
    where p.active and p.embedder = current_setting('app.embedder', true)
        and (p.effective_from is null or p.effective_from <= now())
        and (p.effective_until is null or p.effective_until > now())
        and (p.audience = '{{}}' or current_setting('app.audience', true) = '*'
             or p.audience && nullif(nullif(current_setting('app.audience', true), ''), '*')::text[])
        and (p.tenant_id = (select current_tenant())
             or p.tenant_id = {everyone} and p.source = 'article'
                and p.collection = any(nullif(current_setting('app.collections', true), '')::text[])
                and p.ref <> all(coalesce((select r.replaced from knowledge_revisions r
                                           where r.tenant_id = (select current_tenant())), '{{}}')))
"""

# Questions that must be answered before a tenant is known, or across tenants. They run as the owner and return ids only.
LOOKUPS = (
    """
    create function current_tenant() returns uuid language sql stable parallel safe as $$
        select nullif(current_setting('app.tenant', true), '')::uuid
    $$
    """,
    """
    create function tenant_of_widget_key(key text) returns uuid
        language sql stable security definer set search_path = public, pg_temp as $$
        select id from tenants where widget_key = key and status = 'active' and key <> ''
    $$
    """,
    """
    create function tenant_is_active(tenant uuid) returns boolean
        language sql stable security definer set search_path = public, pg_temp as $$
        select exists (select 1 from tenants where id = tenant and status = 'active')
    $$
    """,
    """
    create function origin_is_allowed(origin text) returns boolean
        language sql stable security definer set search_path = public, pg_temp as $$
        select exists (
            select 1 from tenant_settings s join tenants t on t.id = s.tenant_id
            where t.status = 'active' and s.options -> 'allowed_origins' ? origin)
    $$
    """,
    """
    create function active_tenants() returns setof uuid
        language sql stable security definer set search_path = public, pg_temp as $$
        select id from tenants where status = 'active'
    $$
    """,
    """
    create function staff_of_email(address text) returns table (id uuid, tenant_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select u.id, u.tenant_id from users u where u.email = address and u.role <> 'customer'
    $$
    """,
    """
    create function api_key_of_hash(hash text) returns table (id uuid, tenant_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select k.id, k.tenant_id from api_keys k where k.secret_hash = hash and k.revoked_at is null
    $$
    """,
    """
    create function stored_embedders() returns setof text
        language sql stable security definer set search_path = public, pg_temp as $$
        with recursive found (embedder) as (
            (select embedder from passages order by embedder limit 1)
            union all
            select (select p.embedder from passages p where p.embedder > f.embedder order by p.embedder limit 1)
            from found f where f.embedder is not null
        )
        select embedder from found where embedder is not null
    $$
    """,
    """
    create function lapsed_turns(most integer) returns table (tenant_id uuid, session_id uuid, turn_id uuid)
        language sql stable security definer set search_path = public, pg_temp as $$
        select t.tenant_id, t.session_id, t.id
        from turns t join chat_sessions s on s.tenant_id = t.tenant_id and s.id = t.session_id
        where t.status in ('running', 'queued') and t.lease_until < clock_timestamp()
            and (t.status = 'running' or s.mode = 'bot')
        order by t.lease_until limit most
    $$
    """,
    """
    create function sessions_changed() returns trigger language plpgsql as $$
    begin
        perform pg_notify('session_events', new.session_id || ':' || new.n);
        return null;
    end
    $$
    """,
    "create trigger session_events_announce after insert on session_events"
    " for each row execute function sessions_changed()",
)


def upgrade() -> None:
    op.execute(WORDS)
    op.create_table(
        "passages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("collection", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ref", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embedder", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("heading", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column(
            "tsv",
            postgresql.TSVECTOR(),
            sa.Computed(
                "setweight(passage_words(language, title || ' ' || heading), 'A') || passage_words(language, text)",
                persisted=True,
            ),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("tenant_id", "id"),
        postgresql_partition_by="HASH (tenant_id)",
    )
    op.create_index("passages_embedder", "passages", ["embedder"], unique=False)
    op.create_index("passages_place", "passages", ["tenant_id", "source", "ref", "ordinal"], unique=True)
    op.create_index(
        "passages_dated",
        "passages",
        ["tenant_id"],
        unique=False,
        postgresql_where=sa.text("effective_from is not null or effective_until is not null"),
    )
    op.create_table(
        "knowledge_revisions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("replaced", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "tenants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("slug", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("widget_key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug"),
        sa.UniqueConstraint("widget_key"),
    )
    op.create_table(
        "api_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("prefix", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("secret_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("scopes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("secret_hash"),
    )
    op.create_table(
        "audit_log",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("object_type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("object_id", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("request_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("address", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("audit_log_newest", "audit_log", ["tenant_id", "id"], unique=False)
    op.create_table(
        "embeddings_1536",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("collection", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ref", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embedder", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("passage_id", sa.Uuid(), nullable=False),
        sa.Column("embedding", pgvector.sqlalchemy.HALFVEC(dim=1536), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "passage_id"),
        postgresql_partition_by="HASH (tenant_id)",
    )
    op.create_index("embeddings_1536_scope", "embeddings_1536", ["tenant_id", "source", "ref"], unique=False)
    op.create_table(
        "embeddings_384",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("collection", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("ref", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("embedder", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("passage_id", sa.Uuid(), nullable=False),
        sa.Column("embedding", pgvector.sqlalchemy.HALFVEC(dim=384), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "passage_id"),
        postgresql_partition_by="HASH (tenant_id)",
    )
    op.create_index("embeddings_384_scope", "embeddings_384", ["tenant_id", "source", "ref"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("principal", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("route", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("body_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=True),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("resource_id", sa.Uuid(), nullable=True),
        sa.Column("locked_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id", "principal", "route", "key"),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "kb_articles",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ref", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("collection", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("path", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("tags", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("supersedes", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("effective_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("kb_articles_ref", "kb_articles", ["tenant_id", "ref"], unique=True)
    op.create_table(
        "learned_replies",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("kind", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "prompt_versions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("system_prompt", sa.Text(), nullable=False),
        sa.Column("context_template", sa.Text(), nullable=False),
        sa.Column("task_template", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "prompt_versions_active", "prompt_versions", ["tenant_id"], unique=True, postgresql_where="is_active"
    )
    op.create_index("prompt_versions_number", "prompt_versions", ["tenant_id", "name", "version"], unique=True)
    op.create_table(
        "retrieval_settings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("weight_global_kb", sa.Float(), nullable=False),
        sa.Column("weight_tenant_kb", sa.Float(), nullable=False),
        sa.Column("weight_example", sa.Float(), nullable=False),
        sa.Column("weight_correction", sa.Float(), nullable=False),
        sa.Column("rerank", sa.Boolean(), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=False),
        sa.Column("top_k", sa.Integer(), nullable=False),
        sa.Column("changed_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("retrieval_settings_newest", "retrieval_settings", ["tenant_id", "id"], unique=False)
    op.create_table(
        "tenant_settings",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("options", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("identity_secret", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "ticket_counters",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tenant_id"),
    )
    op.create_table(
        "users",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("role", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("password_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("token_epoch", sa.Integer(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index(
        "users_staff_email", "users", ["email"], unique=True, postgresql_where=sa.text("role <> 'customer'")
    )
    op.create_index(
        "users_customer_email",
        "users",
        ["tenant_id", "email"],
        unique=True,
        postgresql_where=sa.text("role = 'customer'"),
    )
    op.create_table(
        "customers",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("external_id", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("email", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("email_verified", sa.Boolean(), nullable=False),
        sa.Column("name", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("audience", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("merged_into", sa.Uuid(), nullable=True),
        sa.Column("visitor_epoch", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "merged_into"], ["customers.tenant_id", "customers.id"], ondelete="SET NULL (merged_into)"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "user_id"], ["users.tenant_id", "users.id"], ondelete="SET NULL (user_id)"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index(
        "customers_external",
        "customers",
        ["tenant_id", "external_id"],
        unique=True,
        postgresql_where=sa.text("external_id is not null"),
    )
    op.create_index(
        "customers_user", "customers", ["user_id"], unique=True, postgresql_where=sa.text("user_id is not null")
    )
    op.create_table(
        "kb_article_versions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("label", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("last_updated", sa.Date(), nullable=True),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("content_hash", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "article_id"], ["kb_articles.tenant_id", "kb_articles.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kb_article_versions_number", "kb_article_versions", ["article_id", "version"], unique=True)
    op.create_table(
        "chat_sessions",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("user_label", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("mode", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("last_n", sa.Integer(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("summary_upto", sa.Integer(), nullable=False),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("last_message_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("chat_sessions_customer", "chat_sessions", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_index("chat_sessions_recent", "chat_sessions", ["tenant_id", "last_message_at"], unique=False)
    op.create_table(
        "facts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("facts_customer", "facts", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_table(
        "chat_messages",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("author", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("author_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("prompt_version_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("chat_messages_session", "chat_messages", ["session_id", "n"], unique=True)
    op.create_index(op.f("ix_chat_messages_turn_id"), "chat_messages", ["turn_id"], unique=False)
    op.create_table(
        "guardrail_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("action", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("category", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("rule", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("guardrail_events_newest", "guardrail_events", ["tenant_id", "id"], unique=False)
    op.create_table(
        "session_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id", "n"),
    )
    op.create_table(
        "tickets",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("customer_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("department", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("severity", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("intent", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("language", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("opened_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "customer_id"], ["customers.tenant_id", "customers.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"],
            ["chat_sessions.tenant_id", "chat_sessions.id"],
            ondelete="SET NULL (session_id)",
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index("tickets_customer", "tickets", ["tenant_id", "customer_id", "id"], unique=False)
    op.create_index(
        "tickets_escalation",
        "tickets",
        ["session_id"],
        unique=True,
        postgresql_where=sa.text("opened_by = 'escalation'"),
    )
    op.create_index("tickets_number", "tickets", ["tenant_id", "number"], unique=True)
    op.create_table(
        "turns",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("owner", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("started_n", sa.Integer(), nullable=True),
        sa.Column("partial", sa.Text(), nullable=False),
        sa.Column("answer_id", sa.Uuid(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant_id", "id"),
    )
    op.create_index(op.f("ix_turns_session_id"), "turns", ["session_id"], unique=False)
    op.create_index(
        "turns_lease",
        "turns",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("status in ('running', 'queued')"),
    )
    op.create_index("turns_queued", "turns", ["session_id"], unique=True, postgresql_where=sa.text("status = 'queued'"))
    op.create_index(
        "turns_running", "turns", ["session_id"], unique=True, postgresql_where=sa.text("status = 'running'")
    )
    op.create_table(
        "handoffs",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=True),
        sa.Column("turn_id", sa.Uuid(), nullable=True),
        sa.Column("status", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["tenant_id", "claimed_by"], ["users.tenant_id", "users.id"], ondelete="SET NULL (claimed_by)"
        ),
        sa.ForeignKeyConstraint(
            ["tenant_id", "session_id"], ["chat_sessions.tenant_id", "chat_sessions.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="SET NULL (ticket_id)"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "handoffs_open",
        "handoffs",
        ["session_id"],
        unique=True,
        postgresql_where=sa.text("status in ('requested', 'claimed')"),
    )
    op.create_index("handoffs_queue", "handoffs", ["tenant_id", "status", "id"], unique=False)
    op.create_table(
        "kb_references",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("article_id", sa.Uuid(), nullable=True),
        sa.Column("ref", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("title", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("passage_digest", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("quoted", sa.Text(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=False),
        sa.Column("source", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id", "message_id"], ["chat_messages.tenant_id", "chat_messages.id"], ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_kb_references_article_id"), "kb_references", ["article_id"], unique=False)
    op.create_index(op.f("ix_kb_references_message_id"), "kb_references", ["message_id"], unique=False)
    op.create_table(
        "ticket_events",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ticket_id", sa.Uuid(), nullable=False),
        sa.Column("type", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id", "ticket_id"], ["tickets.tenant_id", "tickets.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ticket_events_ticket", "ticket_events", ["ticket_id", "id"], unique=False)
    op.create_table(
        "tool_effects",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("turn_id", sa.Uuid(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("tool", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id", "turn_id"], ["turns.tenant_id", "turns.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("turn_id", "ordinal"),
    )
    for statement in WHOLE_ROWS:
        op.execute(statement)
    for table in PARTITIONED:
        for n in range(PARTITIONS):
            op.execute(PARTITION.format(table=table, n=n, of=PARTITIONS))
    for n in range(PARTITIONS):
        op.execute(f"alter table passages_p{n} set (toast_tuple_target = 8160)")
    for statement in LOOKUPS:
        op.execute(statement)
    for dimensions in (384, 1536):
        op.execute(DOCUMENTS.format(dimensions=dimensions, everyone=GLOBAL))
    for table in OWN:
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy tenant on {table} using (tenant_id = (select current_tenant()))"
            f" with check (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
        )
    for table in (*SHARED, *(f"{table}_p{n}" for table in PARTITIONED for n in range(PARTITIONS))):
        op.execute(f"alter table {table} enable row level security")
        op.execute(
            f"create policy readable on {table} for select using (tenant_id in ((select current_tenant()), {GLOBAL}))"
        )
        for verb, clause in (("insert", "with check"), ("update", "using"), ("delete", "using")):
            op.execute(
                f"create policy own_{verb} on {table} for {verb} {clause}"
                f" (tenant_id = (select current_tenant()) and tenant_id <> {GLOBAL})"
            )
    op.execute("alter table tenants enable row level security")
    op.execute(f"create policy itself on tenants for select using (id in ((select current_tenant()), {GLOBAL}))")
    op.execute(
        f"insert into tenants (id, slug, name, status, widget_key) values ({GLOBAL}, 'global', 'Global', 'reserved', '')"
    )


def downgrade() -> None:
    raise NotImplementedError("there is nothing before the first schema; drop the database instead")
