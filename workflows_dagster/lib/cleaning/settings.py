"""Settings of the row-wise cleaning, and the closed list of reasons for which it rejects a row."""

# ruff: noqa: RUF001 - digits and signs of many scripts

from enum import StrEnum
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

# ASCII words apart, as the engine compiles them ten times faster.
_ORDER_WORD: Final = (
    "(?:(?i-u:order|invoice|tracking|booking|ticket|reservation|confirmation|shipment|parcel|rma|case|fedex|ups|usps|dhl|dpd|gls|hermes|evri|jne|sicepat|pesanan|resi|"
    "bestell(?:ung|nummer|nr)|auftrags?(?:nummer|nr)?|rechnungs?(?:nummer|nr)?|sendungs?(?:nummer|nr)?|"
    "paket(?:nummer|nr)?|commande|facture|suivi|colis|pedido|factura|seguimiento|rastreio|rastreo|encomenda|fatura|"
    "ordine|fattura|spedizione|bestel(?:ling|nummer)|factuur|kargo|takip)|[Zz]amówieni[aeu]|[Pp]rzesyłk[ai]|[Ss]ipariş|"
    "[Зз]аказа?|[Тт]рек|[Нн]акладн(?:ая|ой)|订单|快递|运单|単号|注文|伝票|주문|운송장|طلب|ऑर्डर)"
)
_ORDER_NUMBER_WORD: Final = (
    "(?:(?i-u:number|num|no|nr|id|ref|code|nomor|nummer|numero)|[Nn][º°]|[Nn]um[éeè]ro|[Nn]úmero|№|号码?|號碼?|番号|"
    "번호|رقم|नंबर)"
)
_D: Final = "[0-9٠-٩۰-۹]"
ORDER_PATTERNS: Final = (
    r"(?-u:\b)[0-9]{3}-[0-9]{7}-[0-9]{7}(?-u:\b)",
    rf"(?P<keep>{_ORDER_WORD}(?:\s*{_ORDER_NUMBER_WORD})?(?:\s+(?:is|was|saya))?\s*[.:：]?\s*#?\s*)"
    rf"(?:[A-Za-z]{{1,5}}-?)?(?:{_D}{{4}}(?: {_D}{{2,4}}){{2,5}}|{_D}{{6,}}(?:-{_D}+)*)(?-u:\b)",
    rf"(?P<keep>{_ORDER_WORD}\s*(?:{_ORDER_NUMBER_WORD}\.?\s*[:：]?\s*(?:is|was|ist|es|est|é)?\s*#?|#)\s*)"
    rf"(?:[A-Za-z]{{1,5}}-?)?(?:{_D}{{4}}(?: {_D}{{4}}){{1,4}}|{_D}{{4,}}(?:-{_D}+)*)(?-u:\b)",
    rf"(?P<keep>{_ORDER_WORD}(?:\s*{_ORDER_NUMBER_WORD})?(?:\s+(?:is|was|saya))?\s*[.:：]?\s*#?\s*)"
    r"(?:[A-Z]{2,5}[-/][0-9]{4,}(?:[-/][A-Z0-9]{2,12}){1,4}|[0-9]{4,}[-/][0-9]{4}[-/][0-9]{4,}|[0-9]{6}[A-Z]{4}[0-9A-Z]*)(?-u:\b)",
    r"(?i-u:\b(?:ord|inv)-?[0-9]{4,}(?:-[0-9]+)*\b)",
    r"(?-u:\b)1Z ?[0-9A-Z]{3} ?[0-9A-Z]{3} ?[0-9A-Z]{2} ?[0-9A-Z]{4} ?[0-9A-Z]{4}(?-u:\b)",
    r"(?-u:\b)[A-Z]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3} ?[A-Z]{2}(?-u:\b)",
    r"(?-u:\b)9[2-5][0-9]{2}(?: ?[0-9]{4}){4} ?[0-9]{2}(?-u:\b)",
    r"(?-u:\b)(?:TBA[0-9]{12}|J[DJ][0-9]{16,18}|LP[0-9]{14}|SPXID[0-9]{9,14}|SF[0-9]{12,13}|YT[0-9]{16})(?-u:\b)",
    r"(?i-u:\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b)",
)
"""Numbers of orders and parcels: Amazon's 3-7-7, a number after such a word, ORD-2024, and the shapes of UPS, the posts
(S10), USPS, Amazon Logistics, DHL, Cainiao, Shopee, SF Express, Yun Express, and UUIDs."""


class RejectReason(StrEnum):
    """Why a row was left out of the cleaned reviews."""

    EMPTY_AFTER_CLEANING = "empty_after_cleaning"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    GIBBERISH = "gibberish"


class CleaningSettings(BaseModel):
    """What cleaning does to a text and which texts it refuses."""

    model_config = ConfigDict(frozen=True)

    emoji: Literal["keep", "name", "remove"] = Field(
        default="keep", description="Emoji stay, become their name (:red_heart:), or go."
    )
    urls: Literal["mask", "remove", "keep"] = Field(
        default="mask", description="URLs become [URL], go, or stay; one that carries a credential is masked even then."
    )
    max_repeats: int = Field(
        default=3,
        ge=2,
        le=20,
        description="Longest run of one letter, sign or emoji that is left as it is; digits never change.",
    )
    phone_regions: list[str] = Field(
        default=["US", "GB", "ID"],
        description="ISO 3166 regions of which each national phone number is masked; international ones always are, "
        "and those of other countries where they are grouped as there, or follow a word such as `call`.",
    )
    order_patterns: list[str] = Field(
        default=list(ORDER_PATTERNS),
        description="Regular expressions (Rust syntax) of numbers of orders and parcels; what a group `keep` matches "
        "is left in place.",
    )
    language_characters: int = Field(
        default=120, ge=20, le=10_000, description="First characters of a text by which its language is identified."
    )
    min_language_letters: int = Field(
        default=10, ge=1, le=100, description="Fewer letters than this, or two ideographs: the language is `und`."
    )
    min_language_score: float = Field(
        default=0.5, ge=0, le=1, description="Probability below which an identified language is recorded as `und`."
    )
    min_characters: int = Field(
        default=2, ge=1, description="Shorter texts are rejected; an ideograph or emoji counts as two characters."
    )
    max_characters: int = Field(default=10_000, ge=100, description="Longer texts are rejected.")
    max_unreadable_ratio: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of letters in words nobody can read above which a text is gibberish.",
    )
    min_letter_ratio: float = Field(
        default=0.2, ge=0, le=0.2, description="Share of letters and emoji in a text below which it is gibberish."
    )
    workers: int = Field(
        default=2,
        ge=1,
        le=64,
        description="Processes that clean at once; 1 cleans in this one. The result is the same.",
    )

    @field_validator("phone_regions")
    @classmethod
    def _known_regions(cls, regions: list[str]) -> list[str]:
        import phonenumbers

        unknown = [region for region in regions if region not in phonenumbers.SUPPORTED_REGIONS]
        if unknown:
            raise ValueError(f"unknown regions {unknown!r}: expected ISO 3166 codes in capitals, such as 'US'")
        return regions

    @field_validator("order_patterns")
    @classmethod
    def _patterns_compile(cls, patterns: list[str]) -> list[str]:
        for pattern in patterns:
            try:
                matches_nothing = not pl.Series([""]).str.contains(pattern).item()
            except pl.exceptions.ComputeError as error:
                raise ValueError(f"{pattern!r} is no regular expression in Rust syntax: {error}") from error
            if not matches_nothing:
                raise ValueError(f"{pattern!r} matches the empty text: expected a pattern of an order number")
        return patterns

    @model_validator(mode="after")
    def _lengths_in_order(self) -> "CleaningSettings":
        if self.min_characters >= self.max_characters:
            raise ValueError(f"min_characters {self.min_characters} is not below max_characters {self.max_characters}")
        return self
