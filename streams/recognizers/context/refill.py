"""Templates with other names: every identifier of an annotated message replaced by another of its kind.

What comes back has the form of what was given (`corpus.Row`). Chance comes in as an argument.
"""

import random
import re
from collections.abc import Callable
from functools import cache
from typing import Any

from streams.recognizers._lexicon import DOMAIN, FREQUENT, LATIN, NAME, STAR, UNSPACED, own_words
from streams.recognizers.context.corpus import Row

Filler = Callable[[random.Random, str, str, str], str]
"""(chance, label, language, what stood there) -> what stands there instead."""

NAMED = ("PERSON", "WORKPLACE", "ADDRESS", "VEHICLE_OR_VESSEL", "SOCIAL_HANDLE")

_ONSETS = {
    "latin": "b br ch d dh g gh h j k kh kr l m my n ng nh ny p ph pr qu r s sh sr t th tr ts v w x y z zh".split(),
    "th": "ก ข ค ง จ ฉ ช ซ ฐ ฑ ณ ด ต ถ ท ธ น บ ป ผ พ ภ ม ย ร ล ว ศ ส ห อ".split(),
    "lo": "ກ ຂ ຄ ງ ຈ ສ ຊ ຍ ດ ຕ ຖ ທ ນ ບ ປ ຜ ພ ມ ຢ ຣ ລ ວ ຫ ອ".split(),
    "km": "ក ខ គ ឃ ង ច ឆ ជ ញ ដ ឋ ណ ត ថ ទ ធ ន ប ផ ព ភ ម យ រ ល វ ស ហ ឡ អ".split(),
    "my": "က ခ ဂ င စ ဆ ဇ ည တ ထ ဒ န ပ ဖ ဗ ဘ မ ယ ရ လ ဝ သ ဟ အ ကျ ခြ မြ ထွ ညွ လှ".split(),
    "hi": "क ख ग घ च छ ज झ ट ठ ड ढ त थ द ध न प फ ब भ म य र ल व श स ह".split(),
    "bn": "ক খ গ ঘ চ ছ জ ঝ ট ঠ ড ঢ ত থ দ ধ ন প ফ ব ভ ম য র ল শ স হ".split(),
}
_RIMES = {
    "latin": "a ai an ang ao ar at aw ay e ee eng er i in ing it o om on ong oo u uk un ung uy ya".split(),
    "th": "า ี ิ ู ุ ัน ัง าน าร ิน ุล อน ัย าย ม น ร์".split(),
    "lo": "າ ີ ິ ູ ຸ ັນ ັງ ານ າຍ ອນ ົນ ົມ ິດ".split(),
    "km": "ា ី ិ ូ ុ ាន ាង ិន ី៏ ន ង ម ៀង ឿន".split(),
    "my": "ာ ီ ူ ု ိ င်း န်း ယ် င် န် ိုင် ွေး ေး ောင် ော် ိမ့်".split(),
    "hi": "ा ी ि ू ु े ो न र ल ्य ंग ेश".split(),
    "bn": "া ী ি ূ ু ে ো ন র ল ং েশ".split(),
}
_RARE_HAN = "璟瑾翊璇珺霖骁煜昶琰祺澍晟淏熠轶弢霈劼旻赟钰翀洺"
_SURNAMES_HAN = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余杜叶程魏苏吕丁任沈姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戴莫孔向汤"


def script_of(text: str, language: str) -> str:
    """Whose letters a name is written in: "latin" or a language."""
    if re.search(f"[{LATIN}]", text) or not text.strip():
        return "latin"
    for owner, letters in UNSPACED.items():
        if re.search(f"[{letters}]", text):
            return owner
    return "bn" if re.search("[\u0980-\u09ff]", text) else "hi"


def syllables(rng: random.Random, script: str, count: int) -> str:
    """A word that is on no list, made of syllables of a script."""
    if script == "zh":
        return "".join(rng.choices(_RARE_HAN, k=count))
    return "".join(rng.choice(_ONSETS[script]) + rng.choice(_RIMES[script]) for _ in range(count))


def unlisted(rng: random.Random, label: str, language: str, stood: str) -> str:
    """A name that is on no list, of as many words and in the script and case of the one that stood there."""
    script = script_of(stood, language)
    if script == "zh":
        surname = rng.choice(_SURNAMES_HAN) if label == "PERSON" else rng.choice(_RARE_HAN)
        return surname + syllables(rng, "zh", max(1, min(3, len(stood) - 1)))

    def other(match: re.Match[str]) -> str:
        word = match[0]
        if script in UNSPACED:
            return syllables(rng, script, max(2, min(4, len(word) // 3)))
        made = syllables(rng, script, rng.choice((2, 2, 3)))
        return made.upper() if word.isupper() and len(word) > 1 else made.title() if word[0].isupper() else made

    letters = rf"[{LATIN}]{{2,}}" if script == "latin" else r"[^\W\d_][^\s\d,.()/-]*"
    return re.sub(letters, other, stood)


@cache
def _pool(language: str, script: str, tiers: tuple[int, ...], starred: bool) -> tuple[str, ...]:
    """Listed words of these tiers in a script, at least two letters; with ``starred``, of domain words only those."""
    found = []
    for word, known in own_words(language).items():
        if len(word) < 2 or known % STAR not in tiers or (starred and known % STAR == DOMAIN and not known & STAR):
            continue
        if (re.match(f"[{LATIN}]", word) and script == "latin") or (script != "latin" and script_of(word, "") == script):
            found.append(word)
    return tuple(sorted(found))


def varied(rng: random.Random, label: str, language: str, stood: str) -> str:
    """A name of any kind: as it stood, on no list, of listed names, or of ordinary words."""
    kind = rng.random()
    if kind < 0.2:
        return stood
    if kind < 0.5:
        return unlisted(rng, label, language, stood)
    script = script_of(stood, language)
    tiers = (NAME,) if kind < 0.7 else (DOMAIN, FREQUENT) if kind < 0.9 else (FREQUENT,)
    source = language if script in ("latin", language) or (script == "hi" and language in ("hi", "ne")) else script
    pool = _pool(source, script, tiers, True) or _pool("en", "latin", tiers, True)
    if not pool:
        return unlisted(rng, label, language, stood)
    if script in UNSPACED:
        words = re.split(r"(\s+)", stood)
        return "".join(
            word if not word.strip() else "".join(rng.choices(pool, k=2 if len(word) > 3 else 1)) for word in words
        )

    def other(match: re.Match[str]) -> str:
        word, made = match[0], rng.choice(pool)
        return made.upper() if word.isupper() and len(word) > 1 else made.title() if word[0].isupper() else made

    letters = rf"[{LATIN}]{{2,}}" if script == "latin" else r"[^\W\d_][^\s\d,.()/-]*"
    return re.sub(letters, other, stood)


def refilled(row: Row, rng: random.Random, filler: Filler, labels: tuple[str, ...] = NAMED) -> dict[str, Any]:
    """The row with each identifier of ``labels`` replaced; one value stays one value throughout a message."""
    text, language = row["text"], row["lang"]
    made: dict[tuple[str, str], str] = {}
    pieces: list[str] = []
    spans: list[dict[str, Any]] = []
    position = size = 0
    for span in sorted(row["spans"], key=lambda one: one["start"]):
        kept = text[position : span["start"]]
        stood = text[span["start"] : span["end"]]
        key = (span["label"], stood)
        if span["label"] in labels and key not in made:
            made[key] = filler(rng, span["label"], language, stood)
        value = made.get(key, stood)
        pieces += [kept, value]
        start = size + len(kept)
        spans.append({"start": start, "end": start + len(value), "label": span["label"]})
        size = start + len(value)
        position = span["end"]
    return {**row, "text": "".join([*pieces, text[position:]]), "spans": spans}
