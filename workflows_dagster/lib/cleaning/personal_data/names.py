"""Rules for names of persons: those that people say to be theirs, and with an optional model all that it finds."""
# ruff: noqa: RUF001, E501 - letters and signs of many scripts; a pattern stays on its line

from functools import cache
from typing import Final

from workflows_dagster.lib.cleaning.personal_data.masks import Mask, Recognizer, either_case, recognizer

_INTRODUCTION: Final = (
    "my name is|my name's|my full name is|ich heiße|ich heisse|mein name ist|je m'appelle|mon nom est|me llamo|mi nombre es|"
    "meu nome é|me chamo|mi chiamo|il mio nome è|nama saya|mijn naam is|ik heet|nazywam się|mam na imię|jag heter|"
    "jeg hedder|jeg heter|minun nimeni on|benim adım|меня зовут|мене звати|με λένε|jmenuji se"
)
_INTRODUCTION_ELSEWHERE: Final = "我叫|我的名字叫|我的名字是|私の名前は|제 이름은|اسمي|मेरा नाम"
_CAPITALIZED: Final = r"(?-i:[^\W\d_a-zß-ÿа-я][\w'-]*\w)"


_SIGN_OFF: Final = (
    "(?:kind |best |warm )?regards|sincerely|yours truly|best wishes|mit freundlichen grüßen|viele grüße|cordialement|"
    "atentamente|saludos|atenciosamente|cordiali saluti|met vriendelijke groet|pozdrawiam|с уважением|salam hormat"
)
NAME_GUARD: Final = f"{either_case(_SIGN_OFF)}|{either_case(_INTRODUCTION)}|{_INTRODUCTION_ELSEWHERE}"


@cache
def introductions() -> tuple[Recognizer, ...]:
    """Names that people say to be theirs."""
    return (
        recognizer(
            Mask.NAME,
            rf"(?i)(?P<keep>(?<!\w)(?:{_INTRODUCTION}):? ){_CAPITALIZED}(?: {_CAPITALIZED}){{0,2}}",
            _is_no_shout,
        ),
        recognizer(
            Mask.NAME,
            rf"(?i)(?P<keep>(?<!\w)(?:{_SIGN_OFF})[,!.]?\s){_CAPITALIZED}(?: {_CAPITALIZED}){{0,2}}(?=[.!\s]*$)",
            _is_no_shout,
        ),
        recognizer(
            Mask.NAME,
            rf"(?P<keep>(?:{_INTRODUCTION_ELSEWHERE}) ?)(?:[\u4e00-\u9fff]{{2,4}}(?=[,，。.!、\s]|$)|(?!و)[^\W\d_]{{2,20}})",
        ),
    )


def _is_no_shout(name: str) -> bool:
    return " " not in name or not name.isupper()
