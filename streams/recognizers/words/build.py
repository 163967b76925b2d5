"""Build the general word lists and the name lists from licensed sources: ``python -m streams.recognizers.words.build``.

Needs the extra ``words`` (exact versions: the bytes depend on them), a folder with the annotated corpora and the source
archive of khmer-tokenizer; NOTICE.md says where they come from and under which licences. Nothing here runs in the
service. What is written depends on the hand-written lists as well (names leave the general lists, words of the domain
stay): build again after changing those.
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from streams.recognizers.words import rules, sources
from streams.recognizers.words.rules import Names, Tagged

HERE = Path(__file__).parent
FREQUENT, PEOPLE = 5_000, 6_000
WESTERN = ("de_DE", "en_IE", "en_KE", "en_NG", "en_NZ", "en_PK", "fr_FR", "it_IT", "nl_NL", "pt_BR", "tr_TR")
"""Locales whose names are taken for names in every Latin-script list, though they are in no name list here."""

LATIN = ("en", "es", "id", "tl", "vi")
BIG_CITY, TOWN = 300_000, 15_000
"""Inhabitants: the name of a big city is no word unless listed by hand, that of a town may be a frequent word."""

TAIL = 12_000
"""Rank from which wordfreq's lists of the smaller languages are mostly names and foreign words."""

KHMER_PLACES = ("អូរ", "គោក", "ត្រពាំង", "វត្ត", "កំពង់", "បឹង", "ភ្នំ", "ព្រែក", "ស្ទឹង", "ជ្រោយ", "កោះ")
"""Stream, mound, pond, pagoda, port, lake, hill, canal, river, cape, island: how names of villages begin."""

ABROAD = 1_000
"""Rank before which a word is not taken for a name of another language."""


@dataclass(frozen=True)
class Inputs:
    """The two things no package brings, and the folder of the hand-written lists."""

    corpora: Path
    khmer: Path
    hand: Path

    def by_hand(self, language: str, kind: str) -> list[str]:
        """A hand-written list; none yet is an empty one."""
        path = self.hand / f"{language}.{kind}.txt"
        return path.read_text(encoding="utf-8").split("\n") if path.exists() else []


@dataclass(frozen=True)
class Material:
    """What the sources give for one language.

    ``words`` by frequency; ``persons`` and ``places`` by usefulness, ``romanised`` ones apart; ``named``: further
    evidence of names, with the rank before which each may be a word as well (``spared``: that rank for persons);
    ``ordinary``: words that are words whatever names they resemble.
    """

    words: list[str]
    persons: list[str]
    places: list[str] = field(default_factory=list)
    named: list[tuple[Iterable[str], int]] = field(default_factory=list)
    romanised: list[str] = field(default_factory=list)
    ordinary: list[str] = field(default_factory=list)
    spared: int = 0
    frequent: int = FREQUENT


def _faker_people(*locales: str) -> list[str]:
    lists = ("first_names", "first_names_female", "first_names_male", "first_names_unisex", "last_names")
    return [name for locale in locales for name in sources.faker("person", locale, *lists)]


def _places(*countries: str) -> list[str]:
    """Names of the towns of these countries in every script."""
    return list(sources.places(*countries))


def _romanised_places(*countries: str) -> list[str]:
    """Their chief names only, which are in Latin letters."""
    return list(sources.places(*countries, chief=True))


def _shortest(names: list[str], language: str, most: int) -> list[str]:
    """Short names first: those are the ones that could be read as words."""
    return sorted(set(rules.cleaned(names, language)), key=lambda name: (len(name), name))[:most]


def _annotated(tokens: list[Tagged]) -> tuple[frozenset[str], frozenset[str]]:
    """Tokens of a corpus that are mostly persons, and mostly places."""
    persons = rules.mostly_named(*rules.outside_and_inside(tokens, "PER", "NEP"))
    return persons, rules.mostly_named(*rules.outside_and_inside(tokens, "LOC", "NEL"))


def _with_corpus(language: str, tokens: list[Tagged]) -> list[str]:
    """Words of wordfreq, before its tail those of a corpus outside its entities: the tail is full of names."""
    listed = list(sources.wordfreq(language))
    outside, _ = rules.outside_and_inside(tokens)
    return listed[:TAIL] + _ranked(outside, least=2) + listed[TAIL:]


def english(_: Inputs) -> Material:
    """Words of wordfreq without what is mostly Spanish, French or German."""
    own = sources.wordfreq("en")
    others = [sources.wordfreq(language) for language in ("es", "fr", "de")]
    words = list(own)
    kept = words[:FREQUENT] + [
        word for word in words[FREQUENT:60_000] if not any(rules.foreign(word, own, o, 3) for o in others)
    ]
    return Material(
        words=kept,
        persons=_faker_people("en_US", "en_GB", "en_IN", "en_TH"),
        places=list(sources.places("TH", "MM", "KH", "LA", "MY", "SG", people=TOWN, chief=True)),
        named=[(_faker_people(*WESTERN), FREQUENT)],
        ordinary=sources.faker("lorem", "en_US", "word_list"),
        spared=100,
    )


def spanish(_: Inputs) -> Material:
    """Words of wordfreq that are not English text."""
    own, other = sources.wordfreq("es"), sources.wordfreq("en")
    return Material(
        words=[word for word in list(own)[:60_000] if not rules.foreign(word, own, other, 5)],
        persons=_faker_people("es_MX", "es_ES", "es_CO", "es_AR", "es_CL"),
        named=[(_faker_people(*WESTERN), ABROAD)],
        spared=100,
    )


def indonesian(inputs: Inputs) -> Material:
    """Words of wordfreq that are not English text; the news corpus says which of them are names."""
    own, other = sources.wordfreq("id"), sources.wordfreq("en")
    folder = inputs.corpora / "idner-news-2k"
    tokens = sources.columns(folder / f"{part}.txt" for part in ("train", "dev", "test"))
    lowered = [(token.lower(), tag) for token, tag in tokens]
    persons, places = _annotated(lowered)
    return Material(
        words=[word for word in _with_corpus("id", lowered) if not rules.foreign(word, own, other, 5)],
        persons=_faker_people("id_ID"),
        places=sources.faker("address", "id_ID", "streets", "cities") + _romanised_places("ID"),
        named=[(persons, 0), (places, FREQUENT), (_faker_people(*WESTERN), ABROAD)],
        spared=200,
    )


def tagalog(_: Inputs) -> Material:
    """Words of wordfreq, with the English ones: Filipinos mix both in a sentence. Names are Spanish and English."""
    return Material(
        words=list(sources.wordfreq("fil")),
        persons=_faker_people("es_ES", "en_US"),
        places=sources.faker("address", "fil_PH", "province_lgus", "metro_manila_lgus")
        + list(sources.places("PH", people=5_000, chief=True)),
        named=[(_faker_people(*WESTERN), ABROAD)],
        ordinary=sources.faker("lorem", "en_US", "word_list"),
        spared=100,
    )


def vietnamese(_: Inputs) -> Material:
    """Syllables of wordfreq. Nearly every given name is a word as well; a surname is not."""
    return Material(
        words=list(sources.wordfreq("vi")),
        persons=_faker_people("vi_VN") + sources.faker("person", "vi_VN", "middle_names"),
        named=[(sources.faker("person", "vi_VN", "last_names"), 0), (_faker_people(*WESTERN), ABROAD)],
        spared=1_500,
        frequent=3_000,
    )


def chinese(_: Inputs) -> Material:
    """Words of wordfreq (simplified characters); jieba's dictionary says which are names, often wrongly."""
    return Material(
        romanised=sources.faker("person", "zh_TW", "first_romanized_names", "last_romanized_names")
        + sources.faker("person", "zh_CN", "first_romanized_names", "last_romanized_names"),
        words=list(sources.wordfreq("zh"))[:40_000],
        persons=_faker_people("zh_CN", "zh_TW"),
        places=sources.faker("address", "zh_CN", "cities", "districts")
        + list(sources.places("CN", people=100_000)),
        named=[(sources.jieba_names(), FREQUENT)],
        spared=2_000,
    )


def hindi(inputs: Inputs) -> Material:
    """Words of wordfreq, then those of the news corpus outside its entities."""
    folder = inputs.corpora / "IL-NER-hindi"
    tokens = list(sources.columns(folder / f"Hindi-{part}.txt" for part in ("dev", "test")))
    persons, places = _annotated(tokens)
    return Material(
        words=_with_corpus("hi", tokens),
        romanised=_faker_people("en_IN"),
        persons=_faker_people("hi_IN"),
        places=sources.faker("address", "hi_IN", "cities") + _places("IN"),
        named=[(persons, 0), (places, FREQUENT), (_faker_people("ne_NP", "mr_IN"), ABROAD)],
    )


def nepali(inputs: Inputs) -> Material:
    """Words of the news corpus outside its entities, then frequent Hindi words (much of the vocabulary is shared)."""
    tokens = list(sources.columns([inputs.corpora / "nepali-ner" / "total.bio"]))
    persons, places = _annotated(tokens)
    outside, _ = rules.outside_and_inside(tokens)
    counted = _ranked(outside, least=2)
    once = _ranked(outside, least=1)[len(counted) :]
    return Material(
        romanised=_romanised_places("NP"),
        words=counted + once + list(sources.wordfreq("hi"))[:FREQUENT],
        persons=_faker_people("ne_NP"),
        places=sources.faker("address", "ne_NP", "cities", "districts") + _places("NP"),
        named=[(persons, 0), (places, FREQUENT), (_faker_people("hi_IN", "mr_IN"), ABROAD)],
        spared=200,
        frequent=len(counted),
    )


def bengali(_: Inputs) -> Material:
    """Words of wordfreq."""
    return Material(
        romanised=_romanised_places("BD"),
        words=list(sources.wordfreq("bn"))[:40_000],
        persons=_faker_people("bn_BD"),
        places=sources.faker("address", "bn_BD", "area_names", "cities") + _places("BD", "IN"),
    )


def thai(inputs: Inputs) -> Material:
    """Words of pythainlp's list, by the counts of two corpora."""
    counts = sources.thai_counts()
    words = sorted(sources.pythainlp("words_th"), key=lambda word: (-counts[word], word))
    text, inside = sources.thai_ner(inputs.corpora / "thai-ner" / "data-1.5.txt")
    listed = inside.keys() & set(words)
    given = sources.pythainlp("person_names_female_th") + sources.pythainlp("person_names_male_th")
    families = sources.pythainlp("family_names_th")
    places = sources.faker("address", "th_TH", "amphoes", "tambons") + _places("TH")
    return Material(
        romanised=_faker_people("en_TH") + _romanised_places("TH"),
        words=[word for word in words if counts[word]],
        persons=_faker_people("th_TH") + _shortest(given, "th", 3_000) + _shortest(families, "th", 1_500),
        places=places,
        named=[
            (given, 1_500),
            (families, FREQUENT),
            ([word for word in listed if inside[word] >= text.count(word)], 1_500),
        ],
        spared=1_500,
    )


def burmese(_: Inputs) -> Material:
    """Headwords of myanmar-words and recurring words of burmesenlp, by the counts of pymyanlp."""
    counts, running = sources.pymyanlp_counts(), sources.burmesenlp_words()
    known = {*sources.myanmar_words(), *(word for word, n in running.items() if n > 1)}
    words = sorted(known, key=lambda word: (-counts[word], -running[word], word))
    places = [name for kind in ("towns", "villages") for name in sources.burmesenlp_names(kind)]
    return Material(
        romanised=_romanised_places("MM"),
        words=[word for word in words if counts[word] + running[word]],
        persons=sources.burmesenlp_names("female_names") + sources.burmesenlp_names("male_names"),
        places=_places("MM") + _shortest(places, "my", PEOPLE),
        spared=1_500,
    )


def khmer(inputs: Inputs) -> Material:
    """The words of khmerthings, then SIL's list by use in compounds (nobody has counted Khmer under a free licence)."""
    common = [*sources.khmerthings("words"), *sources.khmerthings("modern")]
    used = rules.used_in_compounds(rules.cleaned(sources.khmer_dictionary(inputs.khmer), "km"))
    # Half of the list's shortest entries are pieces of words and of Bible names: those must be in use.
    rest = [
        word
        for word, n in used.items()
        if (n > 2 or len(word) > 4) and (word in KHMER_PLACES or not word.startswith(KHMER_PLACES))
    ]
    return Material(
        romanised=_romanised_places("KH"),
        words=common + rest,
        persons=sources.khmerthings("names", leave_out=("titles", "public figures")),
        places=_places("KH"),
        ordinary=common,
        frequent=2_500,
    )


def lao(_: Inputs) -> Material:
    """Headwords that several of laonlp's lists have, by use in compounds; then the other ones of its dictionary."""
    names = (
        "lao-eng-dictionary.csv",
        "lo_spellcheck_dict.txt",
        "Lao-Dictionary.txt",
        "wiktionary-20210720.txt",
    )
    lists = [rules.cleaned(sources.laonlp(name), "lo") for name in names]
    dictionary = set(lists[0])
    times = Counter(word for words in lists for word in words)
    used = rules.used_in_compounds(times)
    order = sorted((word for word in used if times[word] > 1), key=lambda word: times[word] < 3)
    return Material(
        romanised=_romanised_places("LA"),
        words=[*order, *(word for word in used if word in dictionary)],
        persons=[],
        places=_places("LA"),
        spared=1_500,
        frequent=3_000,
    )


RECIPES: dict[str, Callable[[Inputs], Material]] = {
    "bn": bengali,
    "en": english,
    "es": spanish,
    "hi": hindi,
    "id": indonesian,
    "km": khmer,
    "lo": lao,
    "my": burmese,
    "ne": nepali,
    "th": thai,
    "tl": tagalog,
    "vi": vietnamese,
    "zh": chinese,
}


def _ranked(counts: Counter[str], least: int) -> list[str]:
    return sorted((word for word, n in counts.items() if n >= least), key=lambda word: (-counts[word], word))


def _evidence(language: str, materials: dict[str, Material], inputs: Inputs) -> Iterator[Names]:
    """Everything that says of a word that it is a name, and before which rank it may be a word all the same."""
    here = materials[language]

    def names(words: Iterable[str], spared: int) -> Names:
        return Names(frozenset(rules.cleaned(words, language)), spared)

    latin = language in LATIN
    yield names(here.persons, here.spared)
    yield names(here.places, FREQUENT)
    yield from (names(words, spared) for words, spared in here.named)
    yield names(inputs.by_hand(language, "names"), here.spared)
    yield names(_marked(language, inputs), len(here.words))
    yield names(sources.places(people=BIG_CITY, chief=latin), 0)
    if latin:
        yield names(sources.places(people=TOWN, chief=True), FREQUENT)
        for other, material in materials.items():
            if other != language:
                abroad = FREQUENT if language == "en" else ABROAD
                yield names(inputs.by_hand(other, "names"), abroad)
                yield names(material.persons if other in LATIN else material.romanised, abroad)


def _marked(language: str, inputs: Inputs) -> list[str]:
    return [entry[:-1].lower() for entry in inputs.by_hand(language, "domain") if entry.endswith("*")]


def build(inputs: Inputs) -> dict[str, str]:
    """The text of every generated list by its file name."""
    materials = {language: recipe(inputs) for language, recipe in RECIPES.items()}
    files = {}
    for language, material in materials.items():
        by_hand = (entry.rstrip("*").lower() for entry in inputs.by_hand(language, "domain"))
        words = rules.cleaned(material.words, language)
        entries = list(
            rules.vetted(
                words,
                list(_evidence(language, materials, inputs)),
                {*by_hand, *rules.cleaned(material.ordinary, language)},
                language,
            )
        )
        romanised = rules.cleaned(material.romanised, "en")
        native = rules.cleaned([*material.persons, *material.places], language)
        people = sorted([*romanised, *native][:PEOPLE])
        files[f"{language}.general.txt"] = rules.general(entries, material.frequent)
        files[f"{language}.people.txt"] = "".join(f"{name}\n" for name in people)
    return files


FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--corpora", type=FOLDER, required=True, help="Folder with the four annotated corpora.")
@click.option("--khmer-tokenizer", type=FILE, required=True, help="Source archive of khmer-tokenizer.")
@click.option("--hand", type=FOLDER, default=HERE, help="Folder of the hand-written lists.")
@click.option("--out", type=FOLDER, default=HERE, help="Folder to write to.")
@click.option("--check", is_flag=True, help="Write nothing; fail and name the files that would change.")
def main(corpora: Path, khmer_tokenizer: Path, hand: Path, out: Path, check: bool) -> None:
    """Build LANG.general.txt and LANG.people.txt for every language."""
    changed = []
    for name, text in build(Inputs(corpora, khmer_tokenizer, hand)).items():
        path = out / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            changed.append(name)
            if not check:
                path.write_text(text, encoding="utf-8", newline="\n")
    click.echo(f"changed: {' '.join(changed) or 'nothing'}")
    sys.exit(1 if check and changed else 0)


if __name__ == "__main__":
    main()
