"""Text that is sound stays as it is: sentences of many languages, in capitals, in quotes, beside signs."""
# ruff: noqa: RUF001, E501 - letters that look alike are what this is about; a flag is eight characters

import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflows_dagster.lib.cleaning.clean import clean_texts
from workflows_dagster.lib.cleaning.settings import CleaningSettings

SETTINGS = CleaningSettings()

SENTENCES = {
    "ar": "وصل الطرد بسرعة، والجودة ممتازة جدًا؟",
    "bg": "Чудесна рокля, препоръчвам я на всички.",
    "bn": "পণ্যটি খুব ভালো, দাম একটু বেশি।",
    "ca": "La col·lecció és preciosa, però l'enviament trigà massa.",
    "cs": "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "cy": "Mae'r tŷ yn gynnes â'r wên ar fy ŵyr.",
    "da": "Kjolen er flot, men ærmerne er for små på mig.",
    "de": "Größe passt, aber die Ärmel sind für Übergrößen zu kurz.",
    "el": "Πολύ καλό προϊόν, το συνιστώ ανεπιφύλακτα.",
    "en": "Lovely dress, but the sleeves are naïve at best.",
    "es": "¡Qué bonito! ¿Dónde está mi pingüino del año pasado?",
    "et": "Väga ilus kleit, õmblused jäävad püsima.",
    "fa": "این کفش‌ها خیلی راحت‌اند و می‌ارزند.",
    "fi": "Hyvä ostos, värit säilyivät pesussakin täysin.",
    "fr": "Très déçue : l’œuvre est abîmée, où est le garçon ?",
    "ga": "Tá an gúna go hálainn, ach rómhór domsa.",
    "he": "המוצר הגיע בזמן, והאיכות מצוינת.",
    "hi": "कपड़ा बहुत अच्छा है, पर क्‍यों इतना महँगा?",
    "hu": "Árvíztűrő tükörfúrógép, nagyon jó vétel volt.",
    "hy": "Շատ գեղեցիկ զգեստ է, խորհուրդ եմ տալիս։",
    "id": "Barangnya bagus, pengiriman cepat sekali.",
    "is": "Þetta er frábær kjóll, ég mæli eindregið með honum.",
    "it": "È arrivato in ritardo, però la qualità c'è già.",
    "ja": "とても良い商品です！サイズは「Ｍ」で１００％ぴったり、ｶﾜｲｲ。",
    "ka": "ძალიან კარგი ნივთია, გირჩევთ ყველას.",
    "km": "ផលិតផល\u200bនេះ\u200bល្អ\u200bណាស់។",
    "ko": "배송이 빨라요, 품질도 정말 좋습니다!",
    "lo": "ສິນຄ້າດີຫຼາຍ ສົ່ງໄວ.",
    "lt": "Labai gražus ąžuolinis stalas, siūlau įsigyti.",
    "lv": "Ļoti ērti apavi, iesaku visiem pircējiem.",
    "ml": "അവന്‍ നല്ല സാധനം വാങ്ങി, ഇഷ്ടമായി.",
    "mn": "Маш өвөрмөц үнэтэй, сайн бараа.",
    "my": "ပစ္စည်းက\u200bကောင်းတယ်။",
    "nl": "Zeeën van tijd, geïnteresseerd personeel en één gratis reünie.",
    "no": "Skoene er gode, men størrelsen må økes på vårparten.",
    "pl": "Zażółć gęślą jaźń, polecam z całego serca.",
    "pt": "Não recomendo, a maçã e a lã não são iguais às da foto.",
    "ro": "Mâncarea și îmbrăcămintea au fost foarte bune, mulțumesc.",
    "ru": "Съешь же ещё этих мягких французских булок.",
    "si": "ශ්‍රී ලංකාවේ හොඳම නිෂ්පාදනය.",
    "sk": "Vďaka za rýchle dodanie, kôň aj ľan sú pekné.",
    "sq": "Fustani është shumë i bukur, çmimi i mirë.",
    "sv": "Jag är mycket nöjd, färgen är ännu finare på håll.",
    "ta": "பொருள் மிகவும் நன்றாக உள்ளது.",
    "th": "สินค้าดีมาก ส่งเร็วมากเลยค่ะ",
    "tr": "Çok güzel bir ürün, ığdır kayısısı gibi hoş ve şık.",
    "uk": "Їжа чудова, ґанок теж, дякую за швидкість.",
    "ur": "کپڑا بہت اچھا ہے، قیمت بھی مناسب ہے۔",
    "vi": "Hàng tốt đã nhận, đóng gói rất đẹp và cẩn thận.",
    "zh": "质量很好，物流也快：下次还来（１２号）！",
}
QUOTES = {"‘": "'", "’": "'", "‚": "'", "‛": "'", "“": '"', "”": '"', "„": '"', "‟": '"'}
PAIRS = ["“”", "„“", "„”", "«»", "»«", "‹›", "‘’", "‚‘", '""', "()", "「」"]
JOINING = ["", "—", " — ", "–", "…", "!", ", "]
ENDING = ["®", "™", "²", "°", "!", "»", "”", "’", "ª", "®»", "™”", "²…"]
SIGNS = [*JOINING, *(f"{sign} " for sign in ENDING)]


def clean(text: str) -> str:
    return clean_texts(pl.Series("text", [text]), SETTINGS).texts[0]


def straightened(text: str) -> str:
    """What is left of a sound text: straight quotes, in the composed form."""
    return unicodedata.normalize("NFC", "".join(QUOTES.get(character, character) for character in text)).strip()


@pytest.mark.parametrize("language", SENTENCES)
def test_sound_sentences_stay(language: str) -> None:
    text = SENTENCES[language]
    words = text.rstrip(".!?。！।").split()
    texts = [text, text.upper(), text.title()]
    texts += [
        " ".join([*part[:-1], pair[0] + part[-1] + pair[1]]) + " x"
        for part in (words, [word.upper() for word in words])
        for pair in PAIRS
    ]
    texts += [
        f"{word}{sign}{word.lower()}"
        for word in {words[0], words[-1], words[-1].upper()}
        for sign in SIGNS
        if len(word) > 1
    ]
    cleaned = clean_texts(pl.Series("text", texts), SETTINGS).texts.to_list()
    assert cleaned == [straightened(text) for text in texts]


@given(
    st.sampled_from(sorted(SENTENCES)),
    st.sampled_from(sorted(SENTENCES)),
    st.sampled_from(SIGNS),
    st.sampled_from(PAIRS),
    st.sampled_from([str.upper, str.lower, str.title, str]),
)
@settings(max_examples=60)
def test_sound_sentences_stay_beside_one_another(
    first: str, second: str, sign: str, pair: str, case: type[str]
) -> None:
    text = f"{pair[0]}{case(SENTENCES[first])}{pair[1]}{sign}{SENTENCES[second]}"
    assert clean(text) == straightened(text)


@pytest.mark.parametrize(
    "text",
    [
        # accented capitals before closing quotes, dashes and signs
        'O sabor "MAÇÃ" e a cor «AVELÃ»',
        "CHEGOU AMANHÃ—POR ISSO DEI CINCO.",
        "Tecido 100% LÃ®, VOCÊ² rende",
        # flags of regions, families, keycaps, variation selectors
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f 2:1 🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
        "👩‍👩‍👧 👨🏽‍🚒 🏳️‍🌈 1️⃣ 🇩🇪🇫🇷 ☺︎ ❤️‍🔥",
        # joiners at the end of a word, and between a Latin word and a Persian ending
        "അവന്‍ വന്നു, ക്‍ം",
        "PDF‌ها و CD‌ها",
        "ক্‍ৰ র‍্যাম",
        # direction marks among Hebrew, vowel separators of Mongolian
        "מחיר (USD)‏ טוב",
        "ᠮᠣᠩᠭᠣᠯ\u180e ᠠ᠋",
        # backslashes that escape nothing
        "C:\\new\\table ¯\\_(ツ)_/¯ \\n \\t 50\\50",
        # ampersands and angles that are no markup
        "M&M's, AT&T, R&D & co; a < b > c, <3",
        # signs of a private font, fractions, units
        "my \uf8ff watch, 5½ cm², 20 ℃, №5, ½ price, ¿qué?",
        "ＦＵＬＬ幅の！？（テスト）",
    ],
)
def test_sound_signs_stay(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ("cafÃ© schÃ¶n", "café schön"),
        ("voilÃ  le cafÃ©", "voilà le café"),
        ("SEÃ‘OR, CAFÃ‰, CANCIÃ“N", "SEÑOR, CAFÉ, CANCIÓN"),
        ("donâ€™t, 5 Ã— 3, Â© 2020, Ã¼ber", "don't, 5 × 3, © 2020, über"),
        ("ÐŸÑ€Ð¸Ð²ÐµÑ‚ Ð¼Ð¸Ñ€", "Привет мир"),
        ("a\u200bb \u200dok\u200d при\u200bвет", "ab ok привет"),
        ("ｆｕｌｌ ｗｉｄｔｈ １２", "full width 12"),
    ],
)
def test_what_is_provably_broken_is_repaired(broken: str, expected: str) -> None:
    assert clean(broken) == expected
