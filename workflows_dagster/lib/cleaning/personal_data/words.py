"""What a word says of the number, date or word after it: passport, account, born, password.

Such a word is asked for in the languages of the large markets. The languages do not know of one another here: a
Spanish word before a number counts in an English text too.
"""
# ruff: noqa: RUF001, E501 - letters and signs of many scripts; a pattern stays on its line

import re
from functools import cache, partial
from typing import Final

from workflows_dagster.lib.cleaning.personal_data.masks import (
    Mask,
    Recognizer,
    digits_of,
    either_case,
    in_ascii,
    not_in_ascii,
    recognizer,
)

_SIGN: Final = r"""[\s:：.#=№º°*()"'–-]"""
_LINK_WORD: Final = (
    "numbers?|num|no|nr|card|saya|aku|mi|meu|mon|mein|of|nummer|numero|número|numéro|nomor|nomer|номер|номера|id|code|is|was|ist|lautet|war|es|era|est|é|"
    "adalah|to|the|my|for|ke|en|er|jest|n[º°]"
)
_LINKS: Final = rf"(?:s?nummer|nr|number)?{_SIGN}{{0,4}}(?:(?:(?:{_LINK_WORD})(?!\w)|[号號码碼是为は がの:번호는]+|رقم|नंबर|है){_SIGN}{{0,4}}){{0,3}}"
_GROUPED: Final = r"\d{1,5}[A-Za-z]{0,3}(?:[ ./–-]{1,3}[A-Za-z]{0,3}\d{1,8}[A-Za-z]{0,3})+"
_VALUE: Final = rf"(?-i:[A-Z]{{1,4}}[ ./-]?)?(?:{_GROUPED}|\d[A-Za-z\d]*(?:[./–-][A-Za-z\d]*\d[A-Za-z\d]*)*)(?:(?-i: ?[A-Z]))?(?!\w)"
_A_DATE: Final = re.compile(r"\d{1,2}[./-]\d{1,2}[./-](?:\d{2}|\d{4})|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}")

_PAPERS: Final = (
    "passport|my social|vin|chassis|reisepass|personalausweis|ausweis|passeport|pasaporte|passaporte|passaporto|paspoort|paszport|pasaport|"
    "паспорт[а-я]?|paspor|social security|ssn|sozialversicherung|steuer-?id|steuer|sécurité sociale|national insurance|"
    "nino?|nhs|sin|dni|nie|nif|cpf|cnpj|rut|cédula|cedula|nik|ktp|npwp|aadhaar|aadhar|kimlik|tckn|bsn|"
    "burgerservice|pesel|personnummer|снилс|инн|driver'?s? licen[cs]e|driving licen[cs]e|licen[cs]e number|führerschein|"
    "permis(?: de conduire)?|carnet de conducir|cnh|medicare|insurance|policy|versicherung|member(?:ship)?|customer|kunden|"
    "client|cliente|klant|pelanggan|patient|student|employee|tax|vat|national|id card|identity(?: card)?|ein|itin|tin|"
    "identification|curp|rfc|visa number|health card|sim card|loyalty card|membership card"
)
_PAPERS_ELSEWHERE: Final = (
    "护照|身份证|パスポート|マイナンバー|여권|주민등록|جواز(?: السفر)?|الهوية|पासपोर्ट|आधार|บัตรประชาชน"
)
_PLATE: Final = (
    "licen[cs]e plate|number plate|plate|registration|kennzeichen|immatriculation|matrícula|matricula|targa|"
    "plat nomor|nopol|plaka|госномер"
)
_ACCOUNT: Final = (
    "account|acct?|a/c|konto|bankkonto|iban|compte|cuenta|conta|rekening|norek|rek|routing|sort code|bsb|blz|"
    "bankleitzahl|clabe|bca|bni|bri|mandiri|gopay|ovo|dana|bkash|upi|hesap|счет[а]?|счёт[а]?"
)
_ACCOUNT_ELSEWHERE: Final = "银行卡|账号|帐号|口座|계좌|حساب|खाता"
_BIRTH: Final = (
    "born|date of birth|dob|d\\.o\\.b|birth ?date|birthday|geboren|geb\\.|geburtsdatum|geburtstag|née?|date de naissance|"
    "nacid[oa]|nací|fecha de nacimiento|nascid[oa]|nasci|data de nascimento|nat[oa]|data di nascita|geboortedatum|"
    "urodzon[ya]|data urodzenia|doğum tarihi\\w*|дата рождения|родил(?:ся|ась)|lahir|född|født|syntynyt"
)
_BIRTH_ELSEWHERE: Final = "生年月日|出生日期|出生|生日|생년월일|تاريخ الميلاد|ولدت|जन्म(?:तिथि)?|วันเกิด"
_MONTH: Final = (
    "jan|feb|mar|mär|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez|mei|ago|agu|des|ene|abr|dic|fev|fév|avr|juin|juil|"
    "aoû|déc|fevereiro|out|set|gen|mag|giu|lug|ott|mrt|maj|янв|фев|мар|апр|ма|июн|июл|авг|сен|окт|ноя|дек|sty|lut|kwi|"
    "cze|lip|sie|wrz|paź|lis|gru|oca|şub|nis|haz|tem|ağu|eyl|eki|kas|ara"
)
_DATE: Final = (
    r"(?:\d{1,2}[./ -]{1,2}\d{1,2}[./ -]{1,2}(?:\d{4}|\d{2})|\d{4}[./-]\d{1,2}[./-]\d{1,2}"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|\.|º)?[ -](?:of |de |di |d')?(?:{_MONTH})\w{{0,8}}\.?,?[ -](?:de |del )?\d{{4}}"
    rf"|(?:{_MONTH})\w{{0,8}}\.? \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
    r"|\d{4} ?[年년] ?\d{1,2} ?[月월] ?\d{1,2} ?[日일]?)(?!\d)"
)
_SECRET: Final = (
    "password|passwd|pwd|\\bpw|api[ -]?key|passcode|passwort|kennwort|mot de passe|contraseña|senha|kata sandi|wachtwoord|hasło|parola|şifre\\w*|"
    "пароль|パスワード|密码|비밀번호"
)
_TELLS: Final = r"\s?(?:(?:is|was|ist|lautet|es|est|é|adalah|to|as|:|=|：|是|は)\s?){1,2}[\"']?"
_KEYS: Final = (
    r"\b(?:sk-[A-Za-z0-9_-]{16,100}|gh[pousr]_[A-Za-z0-9]{20,80}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}"
    r"|eyJ[\w-]{10,2000}\.[\w-]{10,2000}\.[\w-]{10,2000})"
)
_CODE: Final = "pin(?:[ -]?code)?|otp|one[ -]time code|verification code|security code|access code|gate code|kode otp"


@cache
def numbers_after_words() -> tuple[Recognizer, ...]:
    """Numbers of six digits and more: papers, accounts, machines."""
    return (
        recognizer(Mask.DEVICE, rf"(?i)(?P<keep>\bmac(?: address| id)?(?!\w){_LINKS})[0-9a-f]{{12}}\b"),
        recognizer(Mask.DEVICE, rf"(?i)(?P<keep>\bimei(?!\w){_LINKS})\d(?:[ /-]?\d){{13,15}}(?!\d)"),
        _after(Mask.ID, _PAPERS, _PAPERS_ELSEWHERE, _VALUE, 5),
        _after(Mask.ACCOUNT, _ACCOUNT, _ACCOUNT_ELSEWHERE, _VALUE, 6),
    )


NUMBER_WORD_GUARD: Final = (
    f"(?i-u:imei|mac)|{either_case(f'{_PAPERS}|{_ACCOUNT}')}|{_PAPERS_ELSEWHERE}|{_ACCOUNT_ELSEWHERE}"
)
# What stands between is ASCII here: any other class of characters, repeated, takes the engine long to compile.
WORD_GUARD: Final = (
    rf"(?i-u:{in_ascii(f'{_PLATE}|pan|swift|bic|cv[vc]')})[ -~]{{0,20}}[A-Z0-9]|车牌|[Mm]atrícula|[Гг]осномер"
    rf"|(?i-u:{in_ascii(_BIRTH)})[ -~]{{0,24}}[0-9]|(?i:{not_in_ascii(_BIRTH)})|{_BIRTH_ELSEWHERE}|日出?生"
    rf"|(?i-u:\b(?:{_CODE}))[ -~]{{0,16}}[0-9]{{3}}"
)
PASSWORD_GUARD: Final = (
    f"{either_case(_SECRET)}|sk-[A-Za-z0-9]{{16}}|gh[pousr]_[A-Za-z0-9]{{20}}|AKIA[0-9A-Z]{{16}}|AIza|eyJ"
)


@cache
def words_after_words() -> tuple[Recognizer, ...]:
    """What has fewer digits, or none: plates, codes, dates of birth, passwords."""
    told = rf"(?:(?<!\w)(?:{_BIRTH})(?!\w)|{_BIRTH_ELSEWHERE})"
    on = (
        r"[\s:：=(-]{0,3}(?:(?:on|is|was|am|le|el|em|il|op|den|at|the|é|es|est|lautet|ist|adalah|pada|dnia|в|は|是|[a-z]{1,2})"
        r"[\s:：=(-]{0,3}){0,2}"
    )
    return (
        recognizer(Mask.BIRTHDATE, rf"(?i)(?P<keep>{told}{on}){_DATE}"),
        recognizer(
            Mask.BIRTHDATE,
            r"(?i)(?P<keep>\bmy (?:birthday|bday|birth ?date) is (?:on )?(?:the )?)"
            rf"(?:\d{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTH})[a-z]{{0,8}}|(?:{_MONTH})[a-z]{{0,8}} \d{{1,2}}(?:st|nd|rd|th)?)\b",
        ),
        recognizer(Mask.BIRTHDATE, r"\d{4}年\d{1,2}月\d{1,2}日(?=出?生)"),
        recognizer(Mask.ID, rf"(?i)(?P<keep>\bpan(?!\w){_LINKS})(?-i:[A-Z]{{5}}\d{{4}}[A-Z])\b"),
        _after(Mask.ID, _PLATE, "车牌号?", r"[\u4e00-\u9fff]?(?-i:[A-Z0-9]{1,4}(?:[ ·-]?[A-Z0-9]{1,5}){1,3})(?!\w)", 2),
        recognizer(
            Mask.ACCOUNT,
            rf"(?i)(?P<keep>\b(?:swift|bic)(?!\w){_LINKS})(?-i:[A-Z]{{6}}[A-Z0-9]{{2}}(?:[A-Z0-9]{{3}})?)\b",
        ),
        recognizer(Mask.CARD, rf"(?i)(?P<keep>\b(?:cvv|cvc)2?(?!\w){_LINKS})\d{{3,4}}\b"),
        recognizer(
            Mask.PASSWORD,
            rf"(?i)(?P<keep>\b(?:(?:{_CODE})\b{_TELLS}|(?:my pin|pin[ -]?code|pin number|otp)[ :]{{1,2}}))\d{{3,8}}\b",
        ),
    )


@cache
def passwords() -> tuple[Recognizer, ...]:
    """What a word for password is said to be."""
    return (
        recognizer(Mask.PASSWORD, _KEYS),
        recognizer(Mask.PASSWORD, rf"(?i)(?P<keep>(?:{_SECRET}) )(?=\S*\d{{3}})[^\s,;\"']{{6,60}}\b"),
        recognizer(
            Mask.PASSWORD, rf"(?i)(?P<keep>(?:{_SECRET}){_TELLS})[^\s,;\"']{{0,60}}[^\s,;.!?\"')]", _is_a_secret
        ),
    )


def _after(mask: Mask, words: str, elsewhere: str, value: str, least_digits: int) -> Recognizer:
    """What follows one of the words; those of scripts without blanks may stand inside a run of letters."""
    before = rf"(?P<keep>(?:(?<!\w)(?:{words})|{elsewhere}){_LINKS})(?<![^\W\d_])"
    return recognizer(mask, rf"(?i){before}{value}", partial(_has_digits, least=least_digits, mask=mask))


def _has_digits(written: str, least: int, mask: Mask) -> bool:
    # A sort code has the shape of a date.
    return len(digits_of(written)) >= least and (mask is Mask.ACCOUNT or _A_DATE.fullmatch(written) is None)


def _is_a_secret(written: str) -> bool:
    # "The password is easy" tells none.
    return len(written) >= 5 and re.search(r"\d|[^\w\s].*\w", written) is not None and "[" not in written
