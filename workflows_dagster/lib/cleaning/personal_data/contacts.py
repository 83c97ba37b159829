"""Rules for ways to reach a person on the net: links, addresses of e-mail, handles."""
# ruff: noqa: RUF001, E501 - letters and signs of many scripts; a pattern stays on its line

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final

from workflows_dagster.lib.cleaning.personal_data.masks import (
    Mask,
    Recognizer,
    always,
    either_case,
    put_masks,
    recognizer,
)
from workflows_dagster.lib.cleaning.rules import TEXT, Rule, by_row, substitute

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings

# --- links ---

_URL_END: Final = r"""[^\s<>"\[\]{}|\\^`.,;:!?'()*]"""
_URL_BODY: Final = r"""[^\s<>"\[\]{}|\\^`]*"""
_LINK_DOMAINS: Final = (
    "com|net|org|edu|gov|info|biz|shop|store|app|dev|ly|gl|gd|me|co|io|be|cc|to|us|uk|ca|au|de|fr|id|in"
)
_SCHEME: Final = r"(?:https?|ftp)://|\bwww\."
_SCHEMELESS: Final = rf"\b(?:[a-z0-9-]+\.)+(?:{_LINK_DOMAINS})(?::[0-9]+)?/"
_URL: Final = rf"(?i)(?:{_SCHEME}){_URL_BODY}{_URL_END}|{_SCHEMELESS}{_URL_BODY}{_URL_END}"
_URL_GUARD: Final = TEXT.str.contains_any(["://", "www.", "WWW.", "Www."]) | (
    TEXT.str.contains("/", literal=True) & TEXT.str.contains(rf"(?i)\.(?:{_LINK_DOMAINS})(?::[0-9]+)?/")
)
_SECRET_PARAMETER: Final = (
    r"[?&;#][^=&\s]*(?:token|key|auth|session|sid|pass|pwd|secret|sig|otp|code|email|user|uid)[^=&\s]*="
)
_CREDENTIAL_URL: Final = (
    rf"(?i)(?:(?:https?|ftp)://[^/\s@]+@|(?:{_SCHEME}|{_SCHEMELESS}){_URL_BODY}{_SECRET_PARAMETER})"
    rf"(?:{_URL_BODY}{_URL_END})?"
)

# --- e-mail ---

# Scripts without blanks are left out: there the words beside an address would be taken for its parts.
_IN_ADDRESS: Final = r"(?:(?![\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff])[\w-])"
_HOST: Final = re.compile(rf"@(?:{_IN_ADDRESS}+\.)+(?:(?![\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff])[^\W\d_]){{2,}}")
_USER_END: Final = re.compile(r"[^\W\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]|[.%+'-]")
# Domains that are no word of a language: "see you @ home. In the end" is no address.
_DOMAIN: Final = (
    "com|net|org|edu|gov|info|biz|io|eu|uk|fr|nl|pt|br|pl|ru|ua|tr|jp|cn|kr|sg|ph|th|vn|au|nz|mx|cl|dk|cz|gr|ro|hu|"
    "ie|il|ae|ir|za|ng|app|dev|online|xyz"
)
_ANY_DOMAIN: Final = rf"{_DOMAIN}|co|ca|me|us|de|es|it|be|at|ch|in|id|my|ar|se|no|fi|sa|shop|store"
_PROVIDER: Final = (
    "gmail|googlemail|hotmail|outlook|yahoo|ymail|icloud|aol|gmx|web|proton|protonmail|mail|live|msn|yandex|qq|163|"
    "126|naver|orange|wanadoo|free|libero|terra|uol|bol|hey|zoho"
)
_BRACKETED_AT: Final = r"\s*(?:[\[({<]\s*(?:at|ät|@|arroba|chez)\s*[\])}>]|_at_|-at-)\s*"
_DOT_WORD: Final = "dot|punkt|punto|ponto|point|titik|nokta|kropka|точка"
_SIGNED_DOT: Final = rf"\s*[\[({{<]\s*(?:{_DOT_WORD}|\.)\s*[\])}}>]\s*|_dot_|-dot-"
# English says "at this point in": its words go together, and so do those of the others.
_SPOKEN: Final = (
    ("at", "dot"),
    ("arroba", "punto|ponto|dot|punt"),
    ("arobase", "point"),
    ("ät", "punkt"),
    ("at", "punkt|titik"),
    ("chiocciola", "punto"),
    ("apenstaartje", "punt"),
    ("małpa", "kropka"),
    ("собака", "точка"),
)
_ASKED: Final = r"(?:mail|contact|reach|write|text|message|schreib|correo|escr[ií]b|écri|kontak|hubungi|пиш|почт)"
_DOTS: Final = rf"(?:\.|{_SIGNED_DOT}|\s+(?:{_DOT_WORD})\s+)"
_PART: Final = r"[^\W_](?:[\w-]{0,40}[^\W_])?"


_SPOKEN_GUARD: Final = (
    r"[\[({<_-]\s?(?i-u:at|arroba|chez)\s?[\])}>_-]|[\[(]\s?(?:[äÄ]t|a)\s?[\])]|\s(?:ät|małpa|собака)\s"
    rf"|\s(?i-u:at|arroba|arobase|chiocciola)\s+(?i-u:{_PROVIDER})[\s.\[({{]"
    r"|\s(?i-u:at)\s+\S+\s?[\[({<]?\s?(?i-u:dot|punkt|titik)[\s\])}>]"
    r"|\s(?i-u:arroba|arobase|chiocciola|apenstaartje)\s+\S+\s?[\[({<]?\s?(?i-u:dot|punto|ponto|point|punt)[\s\])}>]"
)

# --- handles ---

# Letters with the marks of scripts whose vowels are marks.
_LETTERS: Final = r"[\w\u064b-\u065f\u0900-\u0dff\u0e00-\u0e7f]"
_HANDLE: Final = rf"(?<![\w@./#])@[^\W\d]{_LETTERS}{{1,60}}(?:[.-](?![A-Z]){_LETTERS}{{1,60}}){{0,4}}"

_CHAT: Final = (
    "insta(?:gram)?|ig|snap(?:chat)?|tik ?tok|telegram|tg|discord|kik|skype|wechat|weixin|line id|gamertag|"
    "инст(?:а|аграм)[а-я]{0,3}|телеграм[а-я]{0,3}|тг"
)
_NETWORK: Final = (
    rf"{_CHAT}|twitter|facebook|fb|twitch|venmo|cash ?app|paypal|viber|threads|pinterest|reddit|steam|psn|xbox|"
    r"onlyfans|bluesky|mastodon|vk|вк|username|user ?name|user id|handle|nick(?:name)?|screen ?name|usuario|usuário|"
    "benutzername|pseudo|ник"
)
_NETWORK_ELSEWHERE: Final = "微信号?|微博|抖音|小红书|インスタ(?:グラム)?|ツイッター|인스타(?:그램)?|카카오톡|카톡|انستا(?:غرام|قرام)?|تلغرام|تيليجرام|سناب"
_LINK_WORD: Final = (
    "is|as|by|under|handle|id|name|user ?name|account|acc|page|profile|me|at|aku|gue|saya|es|est|é|ist|adalah|como|"
    "unter|это|мой|är|to|jest"
)
_LINKS: Final = rf"[\s:：=@(–-]{{0,4}}(?:(?:{_LINK_WORD})[\s:：=@(–-]{{1,4}}){{0,3}}"
# A word of prose is no handle: it has a digit or an underscore, or a dot between small letters.
_TOLD: Final = r"(?=[a-z0-9.]*[0-9_])[a-z][\w.]{3,29}\w(?![\w@.])"
_DOTTED: Final = r"(?-i:[a-z]+(?:\.[a-z]+)+)(?![\w@])"
_PROSE: Final = frozenset(
    [
        "private",
        "public",
        "broken",
        "down",
        "hacked",
        "blocked",
        "banned",
        "gone",
        "full",
        "dead",
        "great",
        "good",
        "nice",
        "awesome",
        "amazing",
        "below",
        "here",
        "there",
        "free",
        "love",
        "best",
        "better",
        "awful",
        "terrible",
        "worst",
        "okay",
        "fine",
        "cool",
        "none",
        "nothing",
        "everything",
        "deleted",
        "disabled",
        "suspended",
        "linked",
        "above",
        "unknown",
        "still",
        "always",
        "never",
        "mine",
        "yours",
        "empty",
        "boring",
        "addictive",
        "important",
        "required",
        "optional",
    ]
)
_BEGINS_A_SENTENCE: Final = frozenset(
    [
        "a",
        "and",
        "but",
        "i",
        "it",
        "so",
        "the",
        "they",
        "this",
        "that",
        "we",
        "you",
        "is",
        "if",
        "in",
        "now",
        "then",
        "my",
        "what",
    ]
)
_NOT_A_PERSON: Final = frozenset(
    [
        "item",
        "items",
        "model",
        "style",
        "part",
        "parts",
        "order",
        "orders",
        "sku",
        "no",
        "num",
        "number",
        "nr",
        "product",
        "color",
        "colour",
        "shade",
        "size",
        "lot",
        "batch",
        "ref",
        "case",
        "ticket",
        "art",
        "article",
        "pack",
        "box",
        "chapter",
        "page",
        "upc",
        "ean",
        "asin",
        "serial",
        "hook",
        "gauge",
        "needle",
        "thread",
        "dmc",
        "unit",
        "store",
        "room",
        "apt",
        "suite",
        "team",
        "invoice",
        "issue",
        "bug",
        "version",
        "type",
        "code",
        "pantone",
        "sheet",
        "grit",
        "route",
        "exit",
        "channel",
        "step",
        "volume",
        "vol",
        "figure",
        "fig",
        "table",
        "set",
        "kit",
        "design",
        "pattern",
        "stock",
        "cat",
        "catalog",
        "mpn",
        "track",
        "lens",
        "drill",
        "bit",
    ]
)


def url_rule(settings: "CleaningSettings") -> Rule:
    """Links are masked, removed or kept; those kept must carry no credential."""
    match settings.urls:
        case "mask":
            return Rule(Mask.URL.kind, _URL_GUARD, substitute((_URL, Mask.URL.value)), Mask.URL.counted)
        case "remove":
            return Rule("urls_removed", _URL_GUARD, substitute((_URL, " ")))
        case "keep":
            return Rule(Mask.URL.kind, _URL_GUARD, substitute((_CREDENTIAL_URL, Mask.URL.value)), Mask.URL.counted)


def contact_rules() -> tuple[Rule, ...]:
    """Addresses of e-mail, also those that are spelled out or spaced to escape a robot, and handles."""
    return (
        Rule(
            "contacts",
            TEXT.str.contains_any(["@", "＠"]),
            by_row(lambda text: put_masks(text, _signed_contacts())),
            Mask.EMAIL.counted | Mask.HANDLE.counted,
        ),
        Rule(
            Mask.EMAIL.kind,
            TEXT.str.contains(_SPOKEN_GUARD),
            by_row(lambda text: put_masks(text, _spoken_emails())),
            Mask.EMAIL.counted,
        ),
    )


@cache
def _signed_contacts() -> tuple[Recognizer, ...]:
    federated = rf"(?<![\w@./])@[\w.-]{{1,60}}@(?:{_IN_ADDRESS}{{1,63}}\.){{1,6}}[^\W\d_]{{2,24}}"
    return (
        recognizer(Mask.HANDLE, federated),
        Recognizer(Mask.EMAIL, _emails),
        *_spaced_emails(),
        recognizer(Mask.HANDLE, _HANDLE),
    )


def _emails(text: str) -> Iterator[tuple[int, int]]:
    """From the host backwards: a search for the user first would take quadratic time on long words."""
    last = 0
    for host in _HOST.finditer(text):
        start = host.start()
        while start > last and _USER_END.match(text[start - 1]):
            start -= 1
        if start < host.start() and text[host.start() - 1] not in ".'":
            yield start, host.end()
            last = host.end()


@cache
def _spoken_emails() -> tuple[Recognizer, ...]:
    """Addresses that are spelled out, where something beside them says that they are addresses."""
    user = rf"[^\W_][\w.%+-]{{0,60}}(?:{_SIGNED_DOT}{_PART})*"
    patterns = [
        rf"(?i)(?<![\w.]){user}{_BRACKETED_AT}{_PART}(?:{_DOTS}{_PART}){{0,3}}{_DOTS}[^\W\d_]{{2,24}}",
        rf"(?i)(?<![\w.])(?=[\w-]*[._\d])[^\W_][\w.%+-]{{0,60}}\s*[\[(]\s?a\s?[\])]\s*{_PART}(?:{_DOTS}{_PART}){{0,3}}{_DOTS}[^\W\d_]{{2,24}}",
    ]
    for at, dot in _SPOKEN:
        by_dot = rf"(?:{_SIGNED_DOT}|\s+(?:{dot})\s+)"
        joined = rf"(?:{by_dot}|\s+(?:underscore|dash|hyphen|minus|unterstrich)\s+)"
        user = rf"(?<![\w.])[^\W_][\w.%+-]{{0,60}}(?:{joined}{_PART}){{0,3}}"
        telling = rf"(?<![\w.])(?=[\w-]*(?:[._\d]|{joined}))[^\W_][\w.%+-]{{0,60}}(?:{joined}{_PART}){{0,3}}"
        domain = rf"{_PART}(?:{by_dot}{_PART}){{0,3}}{by_dot}(?:{_ANY_DOMAIN})(?!\w)"
        patterns += [
            rf"(?i){user}\s+{at}\s+(?:{_PROVIDER})(?:(?:\.|{by_dot})(?:{_ANY_DOMAIN})){{1,2}}(?!\w)",
            rf"(?i){telling}\s+{at}\s+{domain}",
            rf"(?i)(?P<keep>{_ASKED}[^\n.]{{0,30}}\s){user}\s+{at}\s+{domain}",
        ]
    return tuple(recognizer(Mask.EMAIL, pattern) for pattern in patterns)


def _spaced_emails() -> tuple[Recognizer, ...]:
    user = r"(?<![\w.%+-])[^\W_][\w.%+-]{0,60}"
    at = r"(?: {1,3}@ {0,3}|@ {1,3})"
    domain = (
        rf"[a-z0-9-]{{1,60}}(?: {{0,2}}\. {{0,2}}[a-z0-9-]{{1,60}}){{0,3}}? {{0,2}}\. {{0,2}}(?:{_DOMAIN}|de)(?!\w)"
    )
    patterns = (
        r"(?i)(?<![\w.])(?:[a-z0-9_-] (?:\. )?){2,40}@ (?:[a-z0-9-] ){2,40}\. (?:c o m|n e t|o r g|[a-z] [a-z])(?!\w)",
        # "lunch @ shop.com" is a place: the user's name or what stands before it must say more.
        rf"(?i){user}(?:{at}|@)(?:{_PROVIDER}) {{0,2}}[.,] {{0,2}}(?:{_ANY_DOMAIN})(?!\w)",
        rf"(?i){user}@(?:gmail|googlemail|hotmail|yahoo|icloud|protonmail|outlook)(?!\w)",
        rf"(?i)(?<![\w.%+-])(?=[^\W\d_][\w.]*[._\d])[^\W_][\w.%+-]{{0,60}}(?:{at}|@){domain}",
        rf"(?i)(?P<keep>{_ASKED}[^\n.@]{{0,30}}\s){user}(?:{at}|@){domain}",
        rf"(?i){_PART}(?:[._%+-]{_PART}){{0,4}}{_BRACKETED_AT}{_PART}(?:{_DOTS}{_PART}){{0,3}}{_DOTS}[^\W\d_]{{2,24}}",
    )
    return tuple(recognizer(Mask.EMAIL, pattern) for pattern in patterns)


HANDLE_GUARD: Final = (
    rf"[Ии]нст|[Тт]елеграм|тг |вк |[Нн]ик |(?-u:\b)(?:{either_case(_NETWORK)})"
    r"(?:[ -~]{0,30}[A-Za-z][A-Za-z.]*[0-9_]|[ -~]{0,12}[:：=@(]|[ -~]{0,14}[ \n](?:is|es|ist|est|as|me|é)[ \n])"
    r"|[A-Za-z0-9_.]#[0-9]{4}|(?i-u:\bu/[a-z0-9_-]{3}|live:|\.bsky\.)"
    r"|微|抖音|小红书|インスタ|ツイッター|인스타|카톡|카카오|انستا|تلغرام|تيليجرام|سناب"
)


@cache
def told_handles() -> tuple[Recognizer, ...]:
    """Names at networks after the network's name, or in the shape of one network."""
    networks = rf"(?:(?<!\w)(?:{_NETWORK})(?!\w)|{_NETWORK_ELSEWHERE})"
    link = rf"(?:[:：=(@]\s?|\s(?:{_LINK_WORD})\s@?){{1,3}}"
    end = r"(?=\s*(?:$|[.,;!?)\n]|[^\w\s]))"
    shapes: tuple[tuple[str, Callable[[str], bool]], ...] = (
        (rf"(?i)(?P<keep>{networks}{_LINKS}){_TOLD}", _is_no_device),
        (rf"(?i)(?P<keep>{networks}\s?{link}){_DOTTED}", _is_no_sentence),
        (rf"(?i)(?P<keep>(?<!\w)(?:{_CHAT})\s?[:：=]\s?@?)(?-i:[a-z])[\w.]{{2,29}}\w{end}", _is_no_prose),
        (
            rf"(?i)(?P<keep>\b(?:my|mein|mi|meu|mon) (?:{_NETWORK})(?: (?:handle|name|id|user ?name))? "
            rf"(?:is|ist|es|é|est) @?)(?-i:[a-z])[\w.]{{3,29}}\w{end}",
            _is_no_prose,
        ),
        (r"(?<![\w#.])[A-Za-z][\w.]{1,31}#\d{4}(?!\w)", _is_a_person),
        (r"(?i)(?<![\w/.])/?u/[a-z0-9_-]{3,20}(?![\w/])", always),
        (r"(?<!\w)live:[\w.:]{0,40}\w", always),
        (r"(?i)(?<![\w.])[a-z0-9-]{1,60}\.bsky\.social(?!\w)", always),
    )
    return tuple(recognizer(Mask.HANDLE, pattern, holds) for pattern, holds in shapes)


def _is_no_device(handle: str) -> bool:
    return re.match(r"(?i)(?:iphone|ios|ipad|android|windows|galaxy|ps|xbox|covid|mp|usb|v)_?\d{1,2}\b", handle) is None


def _is_no_sentence(handle: str) -> bool:
    last = handle.rpartition(".")[2]
    return last not in _BEGINS_A_SENTENCE and re.fullmatch(_ANY_DOMAIN, last) is None


def _is_no_prose(handle: str) -> bool:
    return handle.lower() not in _PROSE and not handle.endswith(("ing", "ed", "ly", "able"))


def _is_a_person(name: str) -> bool:
    return name.partition("#")[0].lower() not in _NOT_A_PERSON
