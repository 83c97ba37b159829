"""Made-up personal data of many kinds, each in a sentence of a review; what is personal stands in ⟦ ⟧.

Names, numbers and addresses are nobody's: documentation ranges, published test numbers, or numbers with right check
digits that were counted up from 1.
"""
# ruff: noqa: RUF001 - letters that look alike are what this is about; a sentence stays on its line

import re
from dataclasses import dataclass
from typing import Final

_PERSONAL: Final = re.compile("⟦(.*?)⟧", re.DOTALL)


@dataclass(frozen=True)
class Kind:
    """One kind of personal data.

    Attributes:
        mask: Name of the token that must stand in its place.
        name: What it is.
        language: Of the sentence.
        marked: The sentence; what is personal stands in ⟦ ⟧.
    """

    mask: str
    name: str
    language: str
    marked: str

    @property
    def text(self) -> str:
        """The sentence as its author wrote it."""
        return _PERSONAL.sub(r"\1", self.marked)

    @property
    def masked(self) -> str:
        """The sentence as it must be after cleaning."""
        return _PERSONAL.sub(f"[{self.mask.upper()}]", self.marked)


KINDS: Final = tuple(
    Kind(*each)
    for each in (
        # Addresses of e-mail
        ("email", "plain, with a tag", "en", "mail me at ⟦jo.doe+shop@mail.example.com⟧."),
        ("email", "capitals", "en", "Write to ⟦JO.DOE@EXAMPLE.COM⟧ please"),
        ("email", "letters beyond ASCII", "de", "schreib an ⟦jörg@müller.de⟧ bitte"),
        ("email", "spaces around the sign", "en", "contact ⟦jo.doe @ example.com⟧ for a refund"),
        ("email", "spaces around sign and dot", "en", "contact ⟦jo.doe @ gmail . com⟧ for a refund"),
        ("email", "each letter spaced", "en", "mail ⟦j o d o e @ g m a i l . c o m⟧ thanks"),
        ("email", "(at), [dot]", "en", "I am ⟦jo (at) example [dot] com⟧, ask me"),
        ("email", "at, dot", "en", "you can reach me, ⟦jo.doe at gmail dot com⟧, any time"),
        ("email", "AT, DOT", "en", "reach ⟦jodoe AT example DOT org⟧"),
        ("email", "dots spelled too", "en", "it is ⟦jo dot doe at gmail dot com⟧ as before"),
        ("email", "at, known provider", "en", "email ⟦jodoe92 at gmail.com⟧ and ask"),
        ("email", "arroba, punto", "es", "mi correo es ⟦ana.perez arroba gmail punto com⟧, gracias"),
        ("email", "arroba, ponto", "pt", "meu email é ⟦ana arroba hotmail ponto com⟧ obrigada"),
        ("email", "ät, punkt", "de", "meine Adresse ist ⟦jan (ät) web punkt de⟧"),
        ("email", "arobase, point", "fr", "écrivez à ⟦luc arobase orange point fr⟧"),
        ("email", "full-width", "ja", "連絡は⟦ｔａｒｏ＠ｅｘａｍｐｌｅ．ｃｏｍ⟧まで"),
        # Handles
        ("handle", "with a dot", "en", "thanks ⟦@jane.doe⟧ for the tip"),
        ("handle", "beyond ASCII", "ja", "⟦@たろう_92⟧ さんありがとう"),
        ("handle", "my insta is", "en", "my insta is ⟦jane.doe_92⟧ if you want pictures"),
        ("handle", "IG:", "en", "more pics, IG: ⟦janedoe⟧"),
        ("handle", "Instagram, in Spanish", "es", "mi instagram es ⟦ana_perez92⟧"),
        ("handle", "Instagram, in Indonesian", "id", "follow ig aku ⟦sari.dewi_⟧ ya kak"),
        ("handle", "Snapchat", "en", "add me on snapchat: ⟦jdoe1992⟧"),
        ("handle", "TikTok", "en", "I posted it on tiktok as ⟦jane_unboxes⟧"),
        ("handle", "Telegram", "en", "message me on telegram ⟦jane_doe⟧ for a discount"),
        ("handle", "Telegram, in Russian", "ru", "пишите в телеграм ⟦jane_doe⟧"),
        ("handle", "Discord with its number", "en", "I'm ⟦janedoe#1234⟧ on there"),
        ("handle", "Discord without", "en", "my discord is ⟦jane.doe7⟧"),
        ("handle", "Skype", "en", "skype ⟦live:jane.doe_3⟧ works too"),
        ("handle", "WeChat", "zh", "加我微信 ⟦jane_doe92⟧ 看图"),
        ("handle", "LINE", "th", "ทักมาที่ line id: ⟦jane.doe92⟧"),
        ("handle", "Reddit", "en", "posted by ⟦u/jane_doe92⟧ last week"),
        ("handle", "Mastodon", "en", "I am ⟦@jane@mastodon.example⟧ there"),
        ("handle", "user name", "en", "my username is ⟦janedoe92⟧, look me up"),
        # Phones
        ("phone", "international", "en", "call ⟦+1 212-555-0123⟧ now"),
        ("phone", "00 in place of +", "de", "meine Nummer ist ⟦0049 151 23456789⟧"),
        ("phone", "United States", "en", "call ⟦(212) 736-5000⟧ or write"),
        ("phone", "United States, dots", "en", "it is ⟦212.736.5001⟧ as always"),
        ("phone", "United Kingdom", "en", "ring ⟦020 7946 0958⟧ and ask"),
        ("phone", "Indonesia", "id", "telp ⟦0812 3456 7890⟧ ya"),
        ("phone", "Germany", "de", "ruf an: ⟦030 90182000⟧"),
        ("phone", "Germany, slash", "de", "bitte unter ⟦0171/2345678⟧ melden"),
        ("phone", "France", "fr", "joignable au ⟦06 12 34 56 78⟧ le soir"),
        ("phone", "Spain", "es", "llámame al ⟦612 345 678⟧"),
        ("phone", "Italy", "it", "chiamatemi al ⟦333 123 4567⟧"),
        ("phone", "Portugal", "pt", "liga para o ⟦912 345 678⟧"),
        ("phone", "Brazil", "pt", "meu zap é ⟦(11) 98765-4321⟧"),
        ("phone", "Netherlands", "nl", "bel me op ⟦06-12345678⟧"),
        ("phone", "Poland", "pl", "mój telefon ⟦501 234 567⟧"),
        ("phone", "Russia", "ru", "звоните ⟦8 (912) 345-67-89⟧"),
        ("phone", "Turkey", "tr", "beni ara ⟦0532 123 45 67⟧"),
        ("phone", "India", "en", "WhatsApp me on ⟦98765 43210⟧"),
        ("phone", "China", "zh", "我的手机号是⟦13812345678⟧"),
        ("phone", "Japan", "ja", "電話は⟦090-1234-5678⟧です"),
        ("phone", "Korea", "ko", "전화 ⟦010-1234-5678⟧ 주세요"),
        ("phone", "Mexico", "es", "mi celular es ⟦55 1234 5678⟧"),
        ("phone", "Australia", "en", "my mobile is ⟦0412 345 678⟧"),
        ("phone", "Arabic digits", "ar", "اتصل بي على ⟦٠٥٠١٢٣٤٥٦٧⟧ شكرا"),
        ("phone", "Persian digits", "fa", "شماره من ⟦۰۹۱۲۳۴۵۶۷۸۹⟧ است"),
        ("phone", "Devanagari digits", "hi", "मेरा फोन नंबर ⟦९८७६५ ४३२१०⟧ है"),
        ("phone", "full-width digits", "ja", "電話⟦０９０－１２３４－５６７８⟧"),
        ("phone", "spelled out", "en", "text me at ⟦five five five two one two six seven eight nine⟧ ok"),
        ("phone", "keycaps", "id", "WA ⟦0️⃣8️⃣1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣8️⃣9️⃣0️⃣⟧ kak"),
        # Cards and accounts
        ("card", "spaces", "en", "card ⟦4111 1111 1111 1111⟧ was charged"),
        ("card", "dots", "en", "card ⟦4111.1111.1111.1111⟧ was charged"),
        ("card", "hyphens", "en", "my ⟦5555-5555-5555-4444⟧ was charged twice"),
        ("card", "spaced hyphens", "en", "my ⟦4111 - 1111 - 1111 - 1111⟧ was charged twice"),
        ("card", "slashes", "en", "card ⟦4111/1111/1111/1111⟧ was charged"),
        ("card", "American Express", "en", "amex ⟦3782 822463 10005⟧ declined"),
        ("card", "Arabic digits", "ar", "بطاقتي ⟦٤١١١ ١١١١ ١١١١ ١١١١⟧ رفضت"),
        ("card", "security code", "en", "they asked for my cvv ⟦123⟧, exp 04/27 too"),
        ("account", "IBAN, grouped", "de", "meine IBAN ist ⟦DE89 3704 0044 0532 0130 00⟧ bitte"),
        ("account", "IBAN, compact", "en", "refund to ⟦GB82WEST12345698765432⟧ please"),
        ("account", "IBAN, small letters", "fr", "remboursez sur ⟦fr14 2004 1010 0505 0001 3m02 606⟧ svp"),
        ("account", "account number", "en", "to account number ⟦12345678⟧, sort code ⟦12-34-56⟧"),
        ("account", "bank and number", "id", "transfer ke BCA ⟦1234567890⟧ dulu"),
        ("account", "bitcoin wallet", "en", "paid to ⟦1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa⟧ and waited"),
        ("account", "ethereum wallet", "en", "send to ⟦0x52908400098527886E0F7030069857D2E4169EE7⟧"),
        # Numbers that states and companies give to people
        ("id", "social security number", "en", "they wanted my SSN ⟦123-45-6789⟧, why"),
        ("id", "social security number alone", "en", "I had to give ⟦123-45-6789⟧ to return it"),
        ("id", "social insurance, Canada", "en", "my SIN is ⟦046 454 286⟧"),
        ("id", "national insurance, UK", "en", "asked for ⟦QQ 12 34 56 C⟧ at the desk"),
        ("id", "NHS number", "en", "my NHS number is ⟦943 476 5919⟧"),
        ("id", "passport", "en", "passport number ⟦X1234567⟧ was asked for"),
        ("id", "passport", "de", "meine Reisepassnummer ⟦C01X00T47⟧ musste ich angeben"),
        ("id", "passport", "fr", "mon passeport n° ⟦12AB34567⟧"),
        ("id", "passport", "ru", "паспорт ⟦45 12 345678⟧ потребовали"),
        ("id", "DNI", "es", "mi DNI ⟦12345678Z⟧ no hace falta"),
        ("id", "codice fiscale", "it", "ho dato ⟦RSSMRA85T10A562S⟧ al corriere"),
        ("id", "numéro de sécurité sociale", "fr", "mon numéro ⟦1 84 12 76 451 089 46⟧ a fuité"),
        ("id", "CPF", "pt", "meu CPF ⟦123.456.789-09⟧ vazou"),
        ("id", "Aadhaar", "en", "shared my Aadhaar ⟦2345 6789 0124⟧ with them"),
        ("id", "PAN", "en", "needed my PAN card ⟦ABCPD1234F⟧"),
        ("id", "NIK", "id", "diminta NIK ⟦3174012304900001⟧ segala"),
        ("id", "resident identity card", "zh", "身份证号⟦11010519491231002X⟧泄露了"),
        ("id", "resident number", "ko", "주민등록번호 ⟦900101-1234568⟧ 요구"),
        ("id", "PESEL", "pl", "podałem PESEL ⟦44051401359⟧"),
        ("id", "BSN", "nl", "mijn BSN is ⟦111222333⟧"),
        ("id", "personnummer", "sv", "de ville ha ⟦811228-9874⟧ av mig"),
        ("id", "TC kimlik", "tr", "TC kimlik no ⟦10000000146⟧ istediler"),
        ("id", "CURP", "es", "mi CURP ⟦HEGG560427MVZRRL04⟧"),
        ("id", "RUT", "es", "mi RUT es ⟦12.345.678-5⟧"),
        ("id", "driving licence", "en", "driver's license ⟦D1234567⟧ was scanned"),
        ("id", "number plate", "en", "the van, license plate ⟦7ABC123⟧, blocked us"),
        ("id", "number plate", "de", "Kennzeichen ⟦M-AB 1234⟧ stand im Weg"),
        ("id", "customer number", "de", "Kundennummer ⟦4711-0815⟧, keine Antwort"),
        ("id", "insurance number", "en", "policy number ⟦AB-1234567⟧ is mine"),
        # Orders and parcels
        ("order", "order number", "en", "order #⟦12345678⟧ was late"),
        ("order", "Amazon's order number", "en", "⟦113-1234567-7654321⟧ is lost"),
        ("order", "order number", "de", "Bestellnummer ⟦20240017⟧ kam nie an"),
        ("order", "order number", "fr", "ma commande n° ⟦FR-458712⟧ est perdue"),
        ("order", "order number", "es", "el pedido ⟦7845123⟧ no llegó"),
        ("order", "order number", "zh", "订单号⟦2024050112345678⟧还没到"),
        ("order", "order number", "ru", "заказ № ⟦4581277⟧ не пришёл"),
        ("order", "UPS", "en", "UPS says ⟦1Z999AA10123456784⟧ is out"),
        ("order", "post, S10", "en", "still waiting, ⟦RR123456785GB⟧ shows nothing"),
        ("order", "USPS", "en", "see ⟦9400 1000 0000 0000 0000 00⟧ stuck"),
        ("order", "Amazon Logistics", "en", "⟦TBA123456789012⟧ was marked delivered"),
        ("order", "tracking number", "en", "tracking number ⟦7712 3456 7890⟧ is dead"),
        ("order", "Sendungsnummer", "de", "Sendungsnummer ⟦00340434161094042557⟧ ohne Status"),
        ("order", "resi", "id", "no resi ⟦JP1234567890⟧ tidak bergerak"),
        # Machines, places and dates
        ("ip", "IPv4", "en", "posted from ⟦203.0.113.42⟧ they said"),
        ("ip", "IPv6", "en", "my address ⟦2001:db8:85a3::8a2e:370:7334⟧ got banned"),
        ("device", "MAC", "en", "the router ⟦00:1A:2B:3C:4D:5E⟧ drops out"),
        ("device", "MAC, hyphens", "en", "device ⟦00-1A-2B-3C-4D-5E⟧ unknown"),
        ("device", "IMEI", "en", "phone IMEI ⟦490154203237518⟧ is blocked"),
        ("coordinates", "decimal degrees", "en", "left at ⟦52.520008, 13.404954⟧ in the rain"),
        ("coordinates", "degrees and letters", "en", "left at ⟦52.5200° N, 13.4050° E⟧ in the rain"),
        ("coordinates", "degrees, minutes, seconds", "en", "it is at ⟦52°31'12\"N 13°24'18\"E⟧ now"),
        ("birthdate", "DOB", "en", "they need my DOB ⟦12/05/1984⟧"),
        ("birthdate", "born on", "en", "I was born on ⟦May 12, 1984⟧ and still"),
        ("birthdate", "geboren am", "de", "geboren am ⟦12.05.1984⟧ in Kiel"),
        ("birthdate", "né le", "fr", "je suis née le ⟦12 mai 1984⟧"),
        ("birthdate", "nacido el", "es", "nací el ⟦12 de mayo de 1984⟧"),
        ("birthdate", "tanggal lahir", "id", "tanggal lahir ⟦12 Mei 1984⟧"),
        ("birthdate", "生年月日", "ja", "生年月日は⟦1984年5月12日⟧です"),
        ("birthdate", "дата рождения", "ru", "дата рождения ⟦12.05.1984⟧"),
        # Postal addresses
        ("address", "United States", "en", "ship it to ⟦742 Evergreen Terrace, Springfield, IL 62704⟧ please"),
        ("address", "United States, flat", "en", "I live at ⟦1600 Maple Avenue Apt 4B⟧ and"),
        ("address", "United Kingdom", "en", "send to ⟦12 Baker Street, London NW1 6XE⟧ thanks"),
        ("address", "post code alone", "en", "never delivers to ⟦SW1A 1AA⟧ on time"),
        ("address", "post office box", "en", "sent to ⟦PO Box 1234⟧ again"),
        ("address", "Germany", "de", "wohne in der ⟦Musterstraße 12, 10115 Berlin⟧ ganz oben"),
        ("address", "France", "fr", "livré au ⟦12 rue de la Paix, 75002 Paris⟧ enfin"),
        ("address", "Spain", "es", "vivo en ⟦Calle Mayor 5, 28013 Madrid⟧ y no llegó"),
        ("address", "Italy", "it", "abito in ⟦Via Garibaldi 12, 00153 Roma⟧ da anni"),
        ("address", "Brazil", "pt", "moro na ⟦Rua das Flores, 123⟧ e não chegou"),
        ("address", "Indonesia", "id", "kirim ke ⟦Jl. Merdeka No. 10⟧ ya"),
        ("address", "Netherlands", "nl", "bezorg op ⟦Dorpsstraat 5, 1234 AB Utrecht⟧ graag"),
        ("address", "Poland", "pl", "mieszkam na ⟦ul. Kwiatowa 12/3⟧ od lat"),
        ("address", "Russia", "ru", "живу ⟦ул. Ленина, д. 12, кв. 3⟧ и жду"),
        ("address", "Japan", "ja", "住所は⟦東京都渋谷区神南1-2-3⟧です"),
        ("address", "China", "zh", "寄到⟦北京市朝阳区建国路88号⟧吧"),
        # Words that open doors, and names that people give themselves
        ("password", "password", "en", "support asked and my password is ⟦Hunter2!x⟧ now"),
        ("password", "PIN", "en", "my PIN is ⟦4821⟧, imagine"),
        ("password", "Passwort", "de", "das Passwort lautet ⟦sonne1984⟧"),
        ("name", "my name is", "en", "My name is ⟦Jane Doe⟧ and I waited"),
        ("name", "ich heiße", "de", "Ich heiße ⟦Erika Mustermann⟧ und warte"),
        ("name", "me llamo", "es", "me llamo ⟦Ana Pérez⟧ y sigo esperando"),
        ("name", "我叫", "zh", "我叫⟦王小明⟧，一直在等"),
        # Links
        ("url", "link with a token", "en", "see ⟦https://x.example/a?token=abc#f⟧."),
        ("url", "Telegram link", "en", "join ⟦t.me/jane_doe⟧ today"),
        ("url", "link with credentials", "en", "⟦ftp://jo:pw@host.example/file⟧ was open"),
    )
)
