"""All tables; importing this package fills the metadata that migrations are compared with."""

from memory.models.analytics import Alert, CountedDay, DailyFigure
from memory.models.attachments import Attachment
from memory.models.base import GLOBAL_TENANT, SharedRead, TenantOwned, new_id
from memory.models.chats import ChatMessage, ChatSession, Fact, SessionEvent
from memory.models.drafts import ApprovedReply, Draft, LearnedReply
from memory.models.feedback import Feedback
from memory.models.knowledge import (
    Article,
    ArticleVersion,
    Embedding384,
    Embedding1536,
    IndexedPassage,
    Reference,
    RetrievalSettings,
)
from memory.models.knowledge_work import Gap, GapQuestion, GapSearch, ImportedFile, KnowledgeImport
from memory.models.oversight import AuditEntry, GuardrailEvent
from memory.models.people import ApiKey, Customer, Tenant, TenantSettings, User
from memory.models.prompts import PromptVersion, Replay, ReplayCase
from memory.models.tickets import Handoff, Ticket, TicketCounter, TicketEvent
from memory.models.turns import IdempotencyKey, ToolEffect, Turn
from memory.models.webhooks import WebhookDelivery, WebhookEndpoint
from memory.models.whmcs import WhmcsConnection, WhmcsSync

__all__ = [
    "GLOBAL_TENANT",
    "Alert",
    "ApiKey",
    "ApprovedReply",
    "Article",
    "ArticleVersion",
    "Attachment",
    "AuditEntry",
    "ChatMessage",
    "ChatSession",
    "CountedDay",
    "Customer",
    "DailyFigure",
    "Draft",
    "Embedding384",
    "Embedding1536",
    "Fact",
    "Feedback",
    "Gap",
    "GapQuestion",
    "GapSearch",
    "GuardrailEvent",
    "Handoff",
    "IdempotencyKey",
    "ImportedFile",
    "IndexedPassage",
    "KnowledgeImport",
    "LearnedReply",
    "PromptVersion",
    "Reference",
    "Replay",
    "ReplayCase",
    "RetrievalSettings",
    "SessionEvent",
    "SharedRead",
    "Tenant",
    "TenantOwned",
    "TenantSettings",
    "Ticket",
    "TicketCounter",
    "TicketEvent",
    "ToolEffect",
    "Turn",
    "User",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WhmcsConnection",
    "WhmcsSync",
    "new_id",
]  # fmt: skip
