"""Burmese. Written without spaces between words; names are made of syllables that are words as well."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES = {
    "ကျွန်တော့်နာမည် ဂွီထွူညွိ ပါ။ စက်ရုံမှာ အလုပ်လုပ်တယ်။": "ကျွန်တော့်နာမည် <NAME> ပါ။ စက်ရုံမှာ အလုပ်လုပ်တယ်။",
    "သူဌေးက လစာ ၃ လ မပေးဘူး။": "သူဌေးက လစာ ၃ လ မပေးဘူး။",
    "ကိုအောင်လှ က ကျွန်တော့်ကို ရိုက်တယ်။": "ကို<NAME> က ကျွန်တော့်ကို ရိုက်တယ်။",
    "၂.၃.၂၀၂၂ နေ့က မီးလောင်တယ်။": "<DATE> နေ့က မီးလောင်တယ်။",
    "မှတ်ပုံတင် ၁၂/မရက(နိုင်)၁၂၃၄၅၆": "မှတ်ပုံတင် <ID>",
    "ဖုန်း ၀၉၇၁၂၃၄၅၆": "ဖုန်း <CONTACT>",
    "သူေဌးက လစာ မေပးဘူး": "သူေဌးက လစာ မေပးဘူး",
}

_DATE = (
    r"(?:\d{4}\s?(?:ခုနှစ်|ခု|နှစ်)?\s?[၊,]?\s?)?[\u1000-\u103f]{2,12}လ\s?\d{1,2}\s?ရက်|\d{1,2}\s?ရက်(?:နေ့)?\s?\d{1,2}\s?လ"
    r"(?:\s?\d{4})?"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("my", "DATE_TIME", _DATE)]
