"""Why a row was not kept: the closed list."""

from enum import StrEnum


class RejectReason(StrEnum):
    """Reasons of raw_reviews; the detail of a reject says what was given and what was expected."""

    UNDECODABLE = "undecodable"
    NUL_BYTE = "nul_byte"
    BAD_QUOTING = "bad_quoting"
    TOO_FEW_FIELDS = "too_few_fields"
    TOO_MANY_FIELDS = "too_many_fields"
    RECORD_TOO_LONG = "record_too_long"
    BROKEN_JSON = "broken_json"
    NOT_AN_OBJECT = "not_an_object"
    WRONG_TYPE = "wrong_type"
    MISSING_TEXT = "missing_text"
    INVALID_STARS = "invalid_stars"
    UNKNOWN_LABEL = "unknown_label"
