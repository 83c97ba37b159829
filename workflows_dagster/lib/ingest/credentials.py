"""The credentials of one source, kept out of all that is shown, recorded or published.

A location may carry them: `https://user:password@host/...`, `?sig=...`, and the values of `${NAME}`. What is stored
names a file with placeholders in their place. They are put back only to reach the file.
"""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final, Self
from urllib.parse import quote, unquote

from pydantic import SecretStr

_USER: Final = re.compile(r"://([^/\s@]*:[^/\s@]*)@")
_PARAMETER: Final = re.compile(r"[?&;]([\w.~-]+)=([^&;#\s]+)")
_SECRET_PARAMETER: Final = re.compile(r"(?i)sig|token|key|auth|secret|pass|pwd|cred|sas|code|jwt|session|policy")
_LONG: Final = 16
"""A parameter of so many characters is taken for a secret, whatever it is called."""

_LEAST: Final = 3
"""A shorter value is nobody's secret, and to replace it everywhere would garble what is shown."""


class Credentials:
    """Secrets of one source and the placeholders that stand for them; its repr shows neither."""

    def __init__(self, secrets: Mapping[str, str] | None = None, shown_nowhere: Iterable[str] = ()) -> None:
        """Takes secrets by the placeholder that can be put in their place and back, and others that never are."""
        by_length = sorted((secrets or {}).items(), key=lambda pair: -len(pair[1]))
        self._placeholders = {value: name for name, value in by_length if len(value) >= _LEAST}
        self._all = dict(self._placeholders)
        for value, name in self._placeholders.items():
            self._all |= {quote(value, safe=""): name, quote(value): name, unquote(value): name}
        self._all |= {value: "***" for value in shown_nowhere if len(value) >= _LEAST}

    @classmethod
    def of(cls, location: str, variables: Mapping[str, str], options: object) -> Self:
        """The credentials of a source.

        Args:
            location: With the values of its variables in it.
            variables: Value of each environment variable that the location names.
            options: Storage options, in which SecretStr holds what must not be shown.
        """
        secrets = {f"${{{name}}}": _as_path(value) for name, value in variables.items()}
        if user := _USER.search(location):
            secrets["<credentials>"] = user[1]
        for name, value in _PARAMETER.findall(location):
            if _SECRET_PARAMETER.search(name) or len(value) >= _LONG:
                secrets[f"<{name}>"] = value
        password = [part for part in secrets.get("<credentials>", "").split(":")[1:] if part]
        return cls(secrets, (*_secret_values(options), *password))

    def hide(self, text: str) -> str:
        """The text with placeholders for secrets, however they are quoted."""
        return _replaced(text, self._all)

    def hide_uri(self, uri: str) -> str:
        """The URI with placeholders that `reveal` can turn back."""
        return _replaced(uri, self._placeholders)

    def reveal(self, uri: str) -> str:
        """The URI as the file system wants it: never log or store the result."""
        return _replaced(uri, {name: value for value, name in self._placeholders.items()})

    def __repr__(self) -> str:
        return f"Credentials({len(self._all)} hidden)"


def hide_urls(text: str) -> str:
    """A text without what looks like a credential in its URLs, where nobody knows the secrets."""
    text = _USER.sub("://<credentials>@", text)
    return _PARAMETER.sub(
        lambda found: found[0].replace(found[2], f"<{found[1]}>") if _SECRET_PARAMETER.search(found[1]) else found[0],
        text,
    )


def _replaced(text: str, by: Mapping[str, str]) -> str:
    if not by:
        return text
    longest_first = sorted(by, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: by[found[0]], text)


def _as_path(value: str) -> str:
    """A folder as file systems write it in the names of its files."""
    return value if "://" in value or "/" not in value else posixpath.normpath(value)


def _secret_values(options: object) -> list[str]:
    match options:
        case SecretStr():
            return [options.get_secret_value()]
        case dict():
            return [secret for value in options.values() for secret in _secret_values(value)]
        case list():
            return [secret for value in options for secret in _secret_values(value)]
        case _:
            return []
