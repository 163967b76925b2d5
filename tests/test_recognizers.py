"""The text redactor of the case path: what must never be left in a text, and what happens when it cannot be judged."""

import importlib
import pkgutil
import random
import traceback
import unicodedata

import pytest

from streams import recognizers
from streams.recognizers import LABELS, LONGEST, PLACEHOLDERS, Redactor, Undecidable, build_redactor, residue
from streams.recognizers._languages import chosen
from streams.recognizers._lexicon import CUES, entries, own_cues
from streams.recognizers._shadow import shadow
from streams.steps.known import BadGazetteer

LANGUAGES = [m.name for m in pkgutil.iter_modules(recognizers.__path__) if len(m.name) == 2]
FILES = [*LANGUAGES, "any"]
NAME = "Zqxv Wongdeekul"
SYLLABLES = (
    "zq",
    "xv",
    "wong",
    "dee",
    "kul",
    "phra",
    "thon",
    "myn",
    "htw",
    "ngo",
    "aye",
    "lwin",
    "suv",
    "bor",
)
THAI_SYLLABLES = ("ฐิ", "ฌาน", "วรัญ", "ญู", "ฏิ", "ธฤษ", "ณัฏ", "ฬา", "ฆัณ", "ภัทร์")


def module(name):
    return importlib.import_module(f"streams.recognizers.{name}")


@pytest.fixture(scope="module")
def redactor():
    return build_redactor()


@pytest.fixture(scope="module")
def rules():
    """The rules without the context model, so that training it anew changes no example."""
    return build_redactor(context=False)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [(name, text, out) for name in FILES for text, out in module(name).EXAMPLES.items()],
)
def test_every_language_file_redacts_its_own_examples(rules, name, text, expected):
    assert rules.redact(text, None if name == "any" else name).text == expected


@pytest.mark.parametrize("name", FILES)
def test_every_file_carries_examples(name):
    assert len(module(name).EXAMPLES) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_cues_in_the_order_of_the_sections(language):
    named = [line[1:-1] for line in entries(language, "cues") if line.startswith("[")]
    assert named == list(CUES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_reads_the_ten_digits_aloud(language):
    assert {digit for section, _, digit in own_cues(language) if section == "digit"} == set("0123456789")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["domain", "names"])
def test_the_lists_are_sorted_and_say_nothing_twice(language, kind):
    words = [word for word in entries(language, kind) if word]
    assert len(words) > 250
    assert words == sorted(words, key=lambda word: (word.rstrip("*").lower(), word))
    assert len({word.rstrip("*") for word in words}) == len(words)
    assert all(unicodedata.is_normalized("NFC", word) for word in words)


def test_every_entity_has_a_label_and_every_label_a_placeholder(redactor):
    entities = {entity for one in redactor.recognizers for entity in one.supported_entities}
    assert entities <= LABELS.keys()
    assert set(LABELS.values()) == PLACEHOLDERS.keys()


@pytest.mark.parametrize(
    "text", ["My name is Zqxv, call 081 234 5678.", "ผมชื่อสม\u200bชาย โทร ๐๘๑๒๓๔๕๖๗๘", "e\u0301 Zqxv Ⓢⓞⓜ ok"]
)
def test_spans_are_of_the_original_and_reproduce_the_redacted_text(redactor, text):
    redacted = redactor.redact(text, None)
    rebuilt, position = "", 0
    for span in redacted.spans:
        assert position <= span.start < span.end <= len(text)
        rebuilt += text[position : span.start] + PLACEHOLDERS[span.label]
        position = span.end
    assert rebuilt + text[position:] == redacted.text


def test_a_name_on_no_list_is_removed(redactor):
    assert redactor.redact("my boss Zqxv Wongdeekul hit me", "en").text == "my boss <NAME> hit me"


def test_names_made_of_random_syllables_never_stay(redactor):
    rng = random.Random(7)
    for _ in range(200):
        name = "".join(rng.choices(SYLLABLES, k=4)) + " " + "".join(rng.choices(SYLLABLES, k=3))
        left = redactor.redact(f"the boss {name} took my passport", "en").text
        assert left in ("the boss <NAME> took my passport", "the boss <WORD> took my passport")
        thai = "".join(rng.choices(THAI_SYLLABLES, k=3))
        assert thai not in redactor.redact(f"เพื่อนของผม {thai} โดนตี", "th").text


@pytest.mark.parametrize("name", ["Happy", "Hope Light", "Kitchen", "Good Choice"])
def test_an_ordinary_word_used_as_a_name_is_removed_after_a_cue(redactor, name):
    assert name not in redactor.redact(f"My name is {name} and i work at night", "en").text


@pytest.mark.parametrize(
    "number",
    [
        "๐๘๑๒๓๔๕๖๗๘",
        "๐๘๑-๒๓๔ ๕๖๗๘",
        "၀၉၇၁၂၃၄၅၆",
        "０８１２３４５",
        "0 8 1\n2 3 4",
        "08\u200b12\u200b34",
        "⓪⑧①②③",
    ],
)
def test_a_joined_number_is_removed_in_whatever_digits(redactor, number):
    left = redactor.redact(f"call {number} please", "en").text
    assert left in ("call <CONTACT> please", "call <ID> please")


@pytest.mark.parametrize(
    "mark", ["\u200b", "\u200d", "\u202e", "\u00ad", "\ufeff", "\u034f", "\U000e0041", "\x00"]
)
def test_an_invisible_character_inside_a_name_does_not_save_it(redactor, mark):
    redacted = redactor.redact(f"my boss Zq{mark}xv hit me", "en")
    assert "Zq" not in redacted.text and "xv" not in redacted.text


@pytest.mark.parametrize("name", ["Сергей", "Ελένη", "𝐙𝐪𝐱𝐯", "Ⓩⓠⓧⓥ", "Zq\u0489xv", "\ue001\ue002"])
def test_letters_of_another_script_are_removed(redactor, name):
    assert redactor.redact(f"the boss {name} hit me again", "en").text in (
        "the boss <WORD> hit me again",
        "the boss <NAME> hit me again",
    )


def test_short_numbers_and_plain_words_stay(redactor):
    text = "They cut 300 baht a day and hold my passport for 6 months, 12 hours of work"
    assert redactor.redact(text, "en").text == text


def test_a_regional_language_tag_and_no_tag_find_the_same_language(redactor):
    text = "นายจ้างไม่จ่ายค่าแรง"
    assert redactor.redact(text, "th-TH") == redactor.redact(text, None) == redactor.redact(text, "TH")


@pytest.mark.parametrize(
    ("text", "hint", "read_as"),
    [
        ("hola me llamo Pedro y no me pagan", None, "es"),
        ("nama saya Budi, gaji tidak dibayar", "und", "id"),
        ("the boss did not pay", None, "en"),
        ("เจ้านายไม่จ่ายเงิน", "en", "th"),
        ("मालिक पैसे नहीं देता", "ne", "ne"),
        ("မလေးရှားမှာ အလုပ်လုပ်တယ် boss", "en", "my"),
        ("call the boss นะ", "en", "en"),
        ("gaji", "ms", "id"),
        ("sahod", "fil-PH", "tl"),
        ("hello", "de", None),
        ("Меня бьют", "en", None),
    ],
)
def test_the_hint_is_followed_unless_the_letters_say_otherwise(redactor, text, hint, read_as):
    assert chosen(text, hint, redactor.languages) == read_as


@pytest.mark.parametrize("language", ["xx", "fr", "", "de-AT"])
def test_a_language_without_a_list_is_refused_and_the_refusal_does_not_quote(redactor, language):
    text = " ".join(["my", "name", "is", NAME])
    with pytest.raises(Undecidable) as refused:
        redactor.redact(text, language)
    told = repr(refused.value) + str(refused.value) + "".join(traceback.format_exception(refused.value))
    assert str(refused.value) == "language" and NAME not in told


@pytest.mark.parametrize("language", ["en", None])
def test_a_text_mostly_in_an_unknown_script_is_refused(redactor, language):
    with pytest.raises(Undecidable, match=r"^language$"):
        redactor.redact("Меня бьют и не платят, boss", language)


def test_a_failing_recogniser_drops_the_text(monkeypatch):
    redactor = build_redactor()

    def fails(reading):
        raise ValueError(reading.text)

    one = next(r for r in redactor.recognizers if r.supported_language == "en")
    monkeypatch.setattr(one, "find", fails)
    with pytest.raises(Undecidable, match=r"^recogniser$") as refused:
        redactor.redact("Wongdeekul hit me", "en")
    assert refused.value.__context__ is None and refused.value.__cause__ is None


def test_what_the_recognisers_missed_is_refused_at_the_last_look(monkeypatch):
    redactor = build_redactor()
    for recogniser in redactor.recognizers:
        monkeypatch.setattr(recogniser, "find", lambda reading: iter(()))
    with pytest.raises(Undecidable, match=r"^residue$"):
        redactor.redact("call 081 234 5678", "en")


def test_a_known_name_that_is_left_is_refused_at_the_last_look(monkeypatch, tmp_path):
    path = a_gazetteer(tmp_path, "kind,name,aliases\nVESSEL,First Light,\n")
    redactor = build_redactor(gazetteers=lambda: [path])
    for recogniser in redactor.recognizers:
        monkeypatch.setattr(recogniser, "find", lambda reading: iter(()))
    assert redactor.redact("we work at night", "en").text == "we work at night"
    with pytest.raises(Undecidable, match=r"^residue$"):
        redactor.redact("we work on the first  light at night", "en")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0 8-1.2 3", ("DIGITS",)),
        ("a@b.co", ("EMAIL", "HANDLE")),
        ("www.x", ("URL",)),
        ("@som", ("HANDLE",)),
        ("๐๘๑๒๓", ("DIGITS",)),
        ("<ID> 300 baht, 9,000 baht, 20.00-08.00", ()),
    ],
)
def test_the_last_look_names_what_it_finds(text, found):
    assert residue(text) == found


def test_the_end_of_a_very_long_text_is_one_removed_span(redactor):
    text = "no food " * 999 + "call 081 234 5678 now " + "no food " * 5000
    last = redactor.redact(text, "en").spans[-1]
    assert last.start <= LONGEST < last.end == len(text) and last.label == "UNKNOWN_WORD"
    assert last.start == text.index("081")


def test_an_empty_text_is_an_empty_text(redactor):
    assert redactor.redact("", None).text == "" and redactor.redact("", None).spans == ()


def test_a_redacted_text_does_not_print(redactor):
    assert "hit" not in repr(redactor.redact("Zqxv hit me", "en"))


def test_reading_a_text_logs_nothing_of_it(redactor, caplog):
    with caplog.at_level("DEBUG"):
        redactor.redact("my boss Zqxv hit me", "en")
    assert "Zqxv" not in caplog.text and "hit" not in caplog.text


def test_the_redactor_is_one_object_for_many_texts(redactor):
    assert isinstance(redactor, Redactor)
    assert redactor.redact("Zqxv", "en") == redactor.redact("Zqxv", "en")


def a_gazetteer(tmp_path, text):
    path = tmp_path / "names.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Lucky Home Garment Co Ltd", "we sew at LUCKY-HOME every day"),
        ("Lucky Home Garment Co Ltd", "we sew at lucky home garment co., ltd."),
        ("Công ty Bình Minh", "em lam o binh minh"),
        ("บ้านใหม่", "เราอยู่ บ้านใหม่ ค่ะ"),
        ("First Light", "boat first  light"),
    ],
)
def test_a_name_of_the_installation_goes_however_it_is_written(tmp_path, name, written):
    path = a_gazetteer(tmp_path, f'kind,name,aliases\nEMPLOYER,"{name}",\n')
    left = build_redactor(gazetteers=lambda: [path], context=False).redact(written, None).text
    assert not any(
        word.casefold() in left.casefold() for word in ("lucky", "binh", "minh", "ใหม่", "first", "light")
    )


def test_a_name_inside_a_longer_word_stays(tmp_path):
    path = a_gazetteer(tmp_path, "kind,name,aliases\nVESSEL,Work,\n")
    assert build_redactor(gazetteers=lambda: [path]).redact("the workers", "en").text == "the workers"


@pytest.mark.parametrize(
    "text", ["kind,name\nEMPLOYER,\n", "kind,name\nSECRET,Wongdeekul\n", "name\nWongdeekul\n"]
)
def test_a_gazetteer_that_cannot_be_used_is_refused_without_its_names(tmp_path, text):
    path = a_gazetteer(tmp_path, text)
    with pytest.raises(BadGazetteer) as refused:
        build_redactor(gazetteers=lambda: [path])
    assert "names.csv, line 2" in str(refused.value) and "Wongdeekul" not in str(refused.value)


def test_a_gazetteer_in_another_encoding_is_refused_without_its_names(tmp_path):
    path = tmp_path / "names.csv"
    path.write_bytes("kind,name\nPERSON,Peña Wongdeekul\n".encode("latin-1"))
    with pytest.raises(BadGazetteer, match=r"^names\.csv: not CSV in UTF-8$") as refused:
        build_redactor(gazetteers=lambda: [path])
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    ("zawgyi", "unicode"),
    [("ျမန္မာႏိုင္ငံ", "မြန်မာနိုင်ငံ"), ("ကြ်န္ေတာ္ ေက်ာင္း", "ကျွန်တော် ကျောင်း"), ("ဦးေအာင္ၾကီး", "ဦးအောင်ကြီး")],
)
def test_zawgyi_is_read_as_unicode_and_unicode_stays(zawgyi, unicode):
    assert shadow(zawgyi).text == unicode == shadow(unicode).text


def test_spans_of_a_zawgyi_text_are_of_the_text_as_it_came(redactor):
    text = "ကြ်န္ေတာ့္နာမည္ ဇော်မင်းထက် ပါ ဖုန္း ၀၉၇၁၂၃၄၅၆"
    redacted = redactor.redact(text, "my")
    assert "၉၇" not in redacted.text and redacted.spans[-1].end == len(text)
