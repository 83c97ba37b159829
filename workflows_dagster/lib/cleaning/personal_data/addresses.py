"""Rules for postal addresses: a street and its number, in the order and the words of each language."""
# ruff: noqa: RUF001, E501 - letters of many scripts; a shape stays on its line

from functools import cache
from typing import Final

from workflows_dagster.lib.cleaning.personal_data.masks import Mask, Recognizer, recognizer

_W: Final = r"[A-ZÀ-ÖØ-ÞŁŚŻŹĆ][\w'’.-]*"
_STREET_EN: Final = (
    "Street|Avenue|Road|Boulevard|Lane|Drive|Court|Terrace|Square|Highway|Crescent|Parkway|Place|Close|Way|"
    r"St\.?|Ave\.?|Rd\.?|Blvd\.?|Ln\.?|Dr\.?|Ct\.?|Hwy\.?|Pkwy\.?|Pl\.?"
)
_STATES: Final = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|"
    "RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC"
)
_UK_POSTCODE: Final = r"(?:[A-PR-UWYZ](?:\d{1,2}|\d[A-HJKMNPR-Y]|[A-HK-Y]\d{1,2}|[A-HK-Y]\d[ABEHMNPRV-Y]))"
_UK_INWARD: Final = r"\d[ABD-HJLNP-UW-Z]{2}"
_FLAT: Final = r"(?:,? (?:(?:[Aa]pt|[Aa]partment|[Ss]uite|[Ss]te|[Uu]nit|[Ff]lat|[Rr]oom)\.? ?#?\w{1,5}|#\w{1,5}))?"
_US_END: Final = rf"(?:,? (?:[A-Z][a-z.]+ ?){{1,3}},? (?:{_STATES}) \d{{5}}(?:-\d{{4}})?)"
_UK_END: Final = rf"(?:,? (?:[A-Z][a-z.]+,? ?){{0,3}}{_UK_POSTCODE} {_UK_INWARD})"
_CITY_AFTER_CODE: Final = rf"(?:,? (?:[A-Z]{{1,2}}-)?\d{{4,5}}(?: [A-Z]{{2}})? {_W}(?: {_W})?)"

# Words that stand before an address are no part of it.
_HAN: Final = r"(?:(?![寄送到在住址是于发给的])[\u4e00-\u9fff])"

ADDRESS_GUARD: Final = (
    r"[A-Z][a-z.]+ (?:Street|Avenue|Road|Boulevard|Lane|Drive|Court|Terrace|Square|Highway|Crescent|Parkway|Place|Close|Way|"
    r"St|Ave|Rd|Blvd|Ln|Dr|Ct|Hwy|Pkwy|Pl)(?-u:\b)|[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}(?-u:\b)|(?i-u:\bp\.? ?o\.? ?box\b)"
    r"|(?:str(?:aße|asse|\.)|[a-z]straat|[a-z]laan|[a-z]gracht|[a-z]plein|[a-zé]weg|platz|allee|gasse) \d"
    r"|\d,? (?:bis |ter )?(?:rue|avenue|av\.|boulevard|bd|chemin|impasse|allée|quai|route|place) "
    r"|\b(?:Calle|C/|Avenida|Avda|Av\.|Plaza|Paseo|Carrer|Rua|Travessa|Via|Viale|Piazza|Corso|Jln?\.?|Jalan|ul\.|[Uu]lica|al\.|os\.) ?(?:(?:de|do|da|das|dos|del|della|di|la|los|las) )*[\p{Lu}\d]"
    r"|(?:ул|улица|пр|просп)\.? |[都道府県市区]\p{Han}|[路街道巷弄]\d+号|[가-힣](?:로|길) ?\d|Mah\.|Cad\.|Sok\.|〒"
    rf"|, (?:{_STATES}) \d{{5}}"
)


@cache
def addresses() -> tuple[Recognizer, ...]:
    """Addresses in the order and the words of each language."""
    number = r"\d{1,4}(?:[a-zA-Z]\b| [a-zA-Z](?=,))?(?:[/-]\d{1,4})?(?![.,]\d)"
    shapes = (
        # English: the number first
        rf"(?<![\w.,$£€#-])(?<!\d )\d{{1,5}}[A-Za-z]?,? (?:[NSEW]\.? )?(?:(?:{_W}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,3}}(?:{_STREET_EN})(?!\w)(?: [NSEW]{{1,2}}\b)?"
        rf"{_FLAT}(?:{_US_END}|{_UK_END})?",
        rf"(?<![\w-]){_UK_POSTCODE} {_UK_INWARD}(?!\w)",
        rf"(?<!\w)[A-Z][a-z]+(?: [A-Z][a-z]+)?, (?:{_STATES}),? \d{{5}}(?:-\d{{4}})?(?!\d)",
        r"(?i)(?<!\w)p\.? ?o\.? ?box \d{1,6}(?!\w)",
        # German and Dutch: one word, then the number
        rf"(?<!\w)(?:{_W} ){{0,1}}[A-ZÄÖÜ]?[\wäöüß-]*(?:[Ss]tra(?:ß|ss)e|[Ss]tr\.) {number}(?!\w)(?:{_CITY_AFTER_CODE})?",
        rf"(?<!\w)[A-ZÄÖÜ][\wäöüß-]*(?:weg|platz|allee|gasse|ring|damm|ufer) {number}(?!\w){_CITY_AFTER_CODE}",
        rf"(?<!\w)[A-Z][a-z]+(?:straat|laan|gracht|plein|kade|weg) {number}(?!\w)(?:,? \d{{4}} ?[A-Z]{{2}}\b(?: {_W})?)?",
        # Romance languages
        rf"(?<![\w.,])\d{{1,4}}(?: ?(?:bis|ter))?,? (?:rue|avenue|av\.|boulevard|bd|chemin|impasse|allée|quai|route|place) (?:(?:de|du|des|la|le|les|l'|d')\s?)*{_W}(?: {_W})?(?:{_CITY_AFTER_CODE})?",
        rf"(?<!\w)(?:Calle|C/|Avenida|Avda\.?|Av\.|Plaza|Paseo|Carrer|Rua|Travessa|Via|Viale|Piazza|Corso) ?(?:(?:de|do|da|dos|das|del|la|los|las|di|della) )*{_W}(?: (?:(?:de|do|da|dos|das|del|di|della) )?{_W}){{0,3}},? (?:n[º°.]? ?)?{number}(?!\w)(?:{_CITY_AFTER_CODE})?",
        # Indonesian, Polish, Russian, Turkish
        rf"(?<!\w)(?:Jl|Jln|Jalan)\.? {_W}(?: {_W}){{0,3}},? (?:[Nn]o\.? ?|[Nn]omor )?\d{{1,4}}[A-Z]?(?!\w)(?: [Nn]o\.? ?\d{{1,4}})?(?:,? RT ?\.?\d+/?(?: ?RW ?\.?\d+)?)?",
        rf"(?<!\w)(?:ul\.|[Uu]lica|al\.|os\.) {_W}(?: {_W})? {number}(?!\w)(?:,? \d{{2}}-\d{{3}} {_W})?",
        r"(?<!\w)(?:ул\.|улица|пр\.|просп\.|пр-т) [А-ЯЁ][\w.-]*(?: [А-ЯЁ][\w.-]*)?,? (?:д\.|дом)? ?\d{1,4}[а-я]?(?:[/-]\d+)?(?:,? (?:корп|к|кв|стр)\.? ?\d+)*",
        r"(?<!\w)(?:[A-ZÇĞİÖŞÜ]\w+ )+(?:Mah\.|Mahallesi)(?: [\w.]+)* (?:No|no)[:.]? ?\d+(?:/\d+)?",
        r"(?<!\w)(?:[A-ZÇĞİÖŞÜ]\w+ )+(?:Cad\.|Caddesi|Sok\.|Sokak|Sokağı) (?:No|no)[:.]? ?\d+(?:/\d+)?",
        # Scripts without blanks
        r"(?:〒?\d{3}-\d{4}\s?)?[\u4e00-\u9fff]{1,3}[都道府県][\u4e00-\u9fffぁ-んァ-ヶー]{1,8}[市区町村郡][\u4e00-\u9fffぁ-んァ-ヶー]{0,8}(?:\d{1,3}丁目)?\d{1,4}(?:[-−番号の]\d{1,4}){0,3}",
        r"〒\d{3}-\d{4}",
        rf"(?:{_HAN}{{2,4}}[省市])?(?:{_HAN}{{1,4}}[市区县]){{0,2}}{_HAN}{{1,6}}[路街道巷弄]\d{{1,5}}[号弄](?:\d{{1,4}}[楼室栋单元号]){{0,3}}",
        r"(?:[가-힣]{1,6}(?:시|도|구|군) ){1,3}[가-힣\d]{1,8}(?:로|길) ?\d{1,4}(?:-\d{1,4})?",
    )
    return tuple(recognizer(Mask.ADDRESS, shape, _is_no_memory) for shape in shapes)


_NO_STREET: Final = frozenset(
    [
        "Day",
        "Door",
        "Way",
        "Star",
        "Piece",
        "Wheel",
        "Lane",
        "Hour",
        "Minute",
        "Year",
        "Month",
        "Week",
        "Time",
        "Times",
        "Inch",
        "Speed",
        "Pack",
        "Ply",
        "Stage",
        "Step",
        "Person",
        "Man",
        "Mile",
        "Night",
        "Seat",
        "Track",
        "Disc",
        "Disk",
        "Hard",
        "Flash",
        "External",
        "Internal",
        "Portable",
        "Thumb",
        "Pen",
        "Test",
        "USB",
        "GB",
        "TB",
        "MB",
        "Gb",
        "Tb",
        "Gig",
        "Terabyte",
        "Gigabyte",
        "Amp",
        "Volt",
        "Watt",
        "Court",
        "Clay",
        "Dollar",
        "Car",
        "Bar",
        "Front",
        "Rear",
        "First",
        "Second",
        "Third",
        "Million",
        "Percent",
    ]
)


def _is_no_memory(written: str) -> bool:
    """Whether it is neither the memory of a phone ("G5 3GB") nor a thing named like a street ("2 TB Hard Drive")."""
    words = written.split()
    thing = len(words) > 1 and words[0][0].isdigit() and words[1] in _NO_STREET
    return not thing and not (len(written) < 9 and written.endswith(("GB", "TB")))
