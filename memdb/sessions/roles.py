"""Words for who speaks in a conversation: as libraries, constants and other tongues write them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CLASSES = {
    "humanmessage": "human",
    "humanmessagechunk": "human",
    "usermessage": "user",
    "apimessage": "ai",
    "aimessage": "ai",
    "aimessagechunk": "ai",
    "assistantmessage": "assistant",
    "systemmessage": "system",
    "toolmessage": "tool",
    "toolmessagechunk": "tool",
    "functionmessage": "function",
    "functionexecutionresultmessage": "tool",  # AutoGen's
}
# Beside a name of one's own they tell the role: Zep's, CAMEL's, Zendesk's.
BESIDE = ("role_type", "roleType", "role_at_backend", "author_role", "authorRole")
# As interfaces of chats are translated: German, French, Spanish, Portuguese, Italian, Dutch, Polish, Turkish,
# Swedish, Danish, Norwegian, Finnish, Czech, Russian, Ukrainian, Chinese, Japanese, Korean, Arabic, Hindi.
_ASKS_TRANSLATED = frozenset(
    "benutzer benutzerin nutzer nutzerin kunde kundin mensch utilisateur utilisatrice usager humain "
    "usuario usuaria humano cliente usuário usuária utente umano gebruiker klant mens użytkownik człowiek "
    "klient kullanıcı insan användare människa kund bruger menneske bruker käyttäjä ihminen uživatel člověk "
    "пользователь человек клиент користувач 用户 用戶 使用者 人类 客户 ユーザー ユーザ 人間 사용자 고객 "
    "مستخدم المستخدم उपयोगकर्ता".split()
)
_ANSWERS_TRANSLATED = frozenset(
    "assistent assistentin ki modell modèle asistente asistenta modelo assistante assistente ia agente "
    "modello asystent yardımcı asistan assistenten avustaja asistent ассистент помощник бот модель асистент "
    "助手 助理 机器人 模型 客服 アシスタント ボット 어시스턴트 챗봇 المساعد مساعد सहायक".split()
)
ASKS = frozenset("user human customer client visitor enduser end_user end-user".split()) | _ASKS_TRANSLATED
ANSWERS = frozenset("assistant ai bot model llm gpt agent chatbot operator".split()) | _ANSWERS_TRANSLATED
ROLES = (
    frozenset(
        "system developer tool function support chatmessage tool_execution_result "
        "système systeem sistema 系统 システム 시스템 система".split()
    )
    | CLASSES.keys()
    | ASKS
    | ANSWERS
)
# Words of conversations alone; the others stand in records of any kind.
UNMISTAKABLE = frozenset("human ai assistant llm gpt chatbot".split()) | CLASSES.keys()
_CONSTANT = re.compile(r"^role_|_?message$", re.IGNORECASE)
_FLAGS = {  # of who speaks: true, false
    **dict.fromkeys(
        (
            *("isUser", "is_user", "fromUser", "from_user", "isHuman", "is_human", "isFromUser"),
            *("is_from_user", "isCreatedByUser", "is_created_by_user", "sentByUser", "sent_by_user"),
            *("byUser", "by_user", "incoming", "isIncoming", "is_incoming"),
        ),
        ("user", "assistant"),
    ),
    **dict.fromkeys(
        (
            *("isBot", "is_bot", "fromBot", "from_bot", "isAI", "is_ai", "isAssistant", "is_assistant"),
            # WhatsApp's and iMessage's: what the account itself sent, which a bot answers for.
            *("fromMe", "from_me", "isFromMe", "is_from_me", "outgoing", "isOutgoing", "is_outgoing"),
        ),
        ("assistant", "user"),
    ),
}
_WORDS = ("true", "false")  # as a field of a hash has them
_DIRECTIONS = {  # Twilio's, Chatwoot's
    **dict.fromkeys(("inbound", "incoming", "received"), "user"),
    **dict.fromkeys(("outbound", "outgoing", "outbound-api", "outbound-reply", "sent"), "assistant"),
}
_DIRECTION_NAMES = ("direction", "message_type", "messageType")
_NUMBERS = re.compile(r"\d{1,2}", re.ASCII)
ROLE_NAMES = (
    *("role", "Role", "_role", *BESIDE, "author", "sender", "from", "speaker", "sender_type", "senderType"),
    *("source", "event", "message_type", "messageType", "type"),
)
RECORDS = ("type", "event", "message_type", "messageType")  # any record has them
# Names under which only people and models are told who speak; the others stand in records of any kind.
SPEAKER_NAMES = ("role", "Role", "_role", "speaker", "sender", "sender_type", "senderType")
_WRITERS = ("Label", "label", "value", "role", "type")  # of an object that says who speaks


def bare(role: str) -> str:
    """A role without what languages put around a constant: "ChatRole.USER" and "ROLE_USER" are "USER"."""
    if role.lower() in ROLES or len(role) > 60:
        return role
    shorter = _CONSTANT.sub("", role.strip().rpartition(".")[2])
    return shorter if shorter.lower() in ROLES else role


def side(role: str) -> str:
    """Which side of a conversation a role is: user, assistant, or empty for neither."""
    class_name = CLASSES.get(role.lower(), role.lower())
    return "user" if class_name in ASKS else "assistant" if class_name in ANSWERS else ""


def flagged(message: Mapping[str, Any]) -> str:
    """Who speaks, where a flag or a direction tells it, also in its `key` or `id` (WhatsApp); else empty."""
    if message.get("type") == "message" and isinstance(message.get("ts"), str):  # Slack's
        return "bot" if message.get("bot_id") else "user" if isinstance(message.get("user"), str) else ""
    within = (place for name in ("key", "id") if isinstance(place := message.get(name), dict))
    for place in (message, *within):
        for name, (if_true, if_false) in _FLAGS.items():
            flag = place.get(name)
            if isinstance(flag, bool) or (isinstance(flag, str) and flag.lower() in _WORDS):
                return if_true if flag is True or flag in ("true", "True") else if_false
    directions = (message.get(name) for name in _DIRECTION_NAMES)
    return next(
        (_DIRECTIONS[v.lower()] for v in directions if isinstance(v, str) and v.lower() in _DIRECTIONS), ""
    )


def numbered(role: Any) -> str:
    """A role that is a small number, as protocols write their enumerations; else empty."""
    if isinstance(role, int | float) and not isinstance(role, bool) and 0 <= role < 100 and role == int(role):
        return str(int(role))
    return role if isinstance(role, str) and _NUMBERS.fullmatch(role) else ""


def role_of(message: Mapping[str, Any]) -> str:
    """Who speaks in a message, in its own words; empty where nothing tells it."""
    for name in ROLE_NAMES:
        value = written_role(message.get(name))
        if name in ("role", "Role") and numbered(value):
            return numbered(value)
        if not isinstance(value, str) or not value:
            continue
        if name in RECORDS and value.lower() not in ROLES:
            continue
        if value.lower() not in ROLES:  # a name or an address stands where others tell a role
            beside = (v for n in BESIDE if isinstance(v := written_role(message.get(n)), str))
            role_name = next((v for v in beside if v.lower() in ROLES), "") or flagged(message)
            value = role_name or value
        return value[:200]
    return flagged(message)


def written_role(value: Any) -> Any:
    """A role as it stands, or out of the object that tells who speaks."""
    if isinstance(value, dict):
        writers = [bare(v) for n in _WRITERS if isinstance(v := value.get(n), str)]
        by_flag = flagged(value)  # Telegram's
        if isinstance(bot := value.get("bot"), bool):  # Discord's
            by_flag = by_flag or ("bot" if bot else "user")
        named = value.get("name")  # of a constant; people have names too
        names = (*writers, by_flag, bare(named) if isinstance(named, str) else "")
        return next((v for v in names if v.lower() in ROLES), writers[0] if writers else None)
    if isinstance(value, list) and len(value) == 1:
        return written_role(value[0])
    return bare(value) if isinstance(value, str) else value


def name_for_role(message: Mapping[str, Any]) -> str:
    """A name that stands under `role`, where a field beside it tells the role: Zep's; else empty."""
    named = message.get("role")
    beside = any(isinstance(message.get(name), str) for name in BESIDE)
    return named if isinstance(named, str) and beside and named.lower() not in ROLES else ""
