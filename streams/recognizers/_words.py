"""Words that go: unknown ones, and known ones that something speaks for being a name.

Language-independent: what a word is comes from the lists (`_lexicon`), what announces a name from the cues. The rules
run in order over the tokens of a reading and mark them; each only adds.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise

from streams.recognizers._finder import Finder, Found
from streams.recognizers._lexicon import (
    ADDRESS,
    ADDRESS_AFTER,
    COMPANY_HEAD,
    CONTACT,
    DIGIT,
    FREQUENT,
    FUNCTION,
    INDUSTRY,
    NAME,
    NAME_IS,
    NUMBER_PLACE,
    PHONE,
    ROLE,
    TITLE,
    TITLE_AFTER,
    UNIT,
    VESSEL,
    WORKPLACE,
    WORKPLACE_AFTER,
)
from streams.recognizers._reading import (
    BREAK,
    COLON,
    NEAR,
    NUMBER,
    PIECE,
    TOUCHES,
    WORD,
    Reading,
    Token,
)

_HEADS = (
    TITLE | ROLE | WORKPLACE | VESSEL | ADDRESS | COMPANY_HEAD | NUMBER_PLACE | TITLE_AFTER | ADDRESS_AFTER
)
_GENERIC = INDUSTRY | WORKPLACE_AFTER | WORKPLACE | COMPANY_HEAD
_SHORT = 12  # letters of a space-delimited chunk that may be one name
_LONGEST_NAME = 5  # words
_NUMBER_SIGNS = frozenset("no nr num núm number nomor nomer numero número số so nos".split())
_ARTICLES = frozenset("el la los las del de dela delos y e da dos".split())
_PARTICLES = frozenset(
    (
        "san santa santo sta sto ban baan wat abu al el dela delos naw saw nan nang sai mi nai mehm mohd md mohammad mohammed "
        "muhammad mohamad mst mosammat sk sheikh syed abdul abd siti নো মোঃ মো မိ နော် စော နန်း နန့် စိုင်း စိုင် श्री মোহাম্মদ मोहम्मद मोहम्मद अब्दुल"
    ).split()
)
"""Little words and titles that belong to the name behind them."""

# Cue, what follows it, and how firmly: a firm cue takes the next word whatever it is.
_BEFORE = (
    (NAME_IS, "PERSON", True),
    (COMPANY_HEAD, "ORGANIZATION", True),
    (TITLE, "PERSON", False),
    (ROLE, "PERSON", False),
    (WORKPLACE, "ORGANIZATION", False),
    (VESSEL, "VEHICLE_ID", False),
    (ADDRESS, "LOCATION", False),
)
_AFTER = ((TITLE_AFTER, "PERSON"), (WORKPLACE_AFTER, "ORGANIZATION"), (ADDRESS_AFTER, "LOCATION"))


def judged(reading: Reading) -> list[Token]:
    """The tokens of a reading, those that go marked; judged once, whichever recogniser asks first."""
    if not reading.is_judged:
        _judge(reading.items)
        reading.is_judged = True
    return reading.items


def _judge(tokens: list[Token]) -> None:
    for token in tokens:
        if token.tier >= NAME:
            token.entity = "UNKNOWN_WORD"
        elif token.capital and (token.tier >= FREQUENT or token.star or not token.cue & (_GENERIC | _HEADS)):
            token.entity = "PERSON"
    _listed_lines(tokens)
    _after_cues(tokens)
    _before_cues(tokens)
    _handles(tokens)
    _beside_removed(tokens)
    _chunks(tokens)
    _numbers(tokens)


def _listed_lines(tokens: list[Token]) -> None:
    """Lines of a list begin with a name: "2. Malee, 29 years"; a list has two such lines or more."""
    heads = [index for index, token in enumerate(tokens) if token.heads_item]
    if len(heads) < 2:
        return
    for head in heads:
        name: list[Token] = []
        for token in tokens[head : head + 5]:
            if token.gap > (NEAR if name else BREAK) or token.kind == NUMBER or token.cue & FUNCTION:
                break
            name.append(token)
        if len(name) <= 4:
            for token in name:
                if not token.cue & (_HEADS | _GENERIC) or token.star:
                    token.entity = token.entity or "PERSON"


def _after_cues(tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if not token.cue:
            continue
        for cue, entity, firm in _BEFORE:
            if token.cue & cue:
                _take(tokens, index + 1, entity, firm=firm, loose=cue in (ROLE, WORKPLACE, VESSEL))


def _take(tokens: list[Token], first: int, entity: str, *, firm: bool, loose: bool) -> None:
    """Mark the name that begins at ``first``, if one does.

    ``firm``: the first word goes unless it is a function word. ``loose``: a name only may follow, so a listed word
    must look like one.
    """
    size = len(tokens)
    at = first
    skipped = None
    # "name: Mr U ...": further titles and generic words stand between the cue and the name.
    while at < size and at < first + 3 and tokens[at].gap <= COLON and not tokens[at].entity:
        between = tokens[at].cue
        if not (
            between & (_GENERIC if entity == "ORGANIZATION" else TITLE | ROLE)
            and not (firm and at == first and tokens[at].star)
        ):
            break
        skipped = tokens[at]
        at += 1
    taken = 0
    while at < size and taken < _LONGEST_NAME:
        token = tokens[at]
        if token.gap > (NEAR if taken else COLON) or token.kind == NUMBER:
            break
        if (
            token.text in _ARTICLES
            and at + 1 < size
            and tokens[at + 1].gap == NEAR
            and tokens[at + 1].namelike
        ):
            token.entity = entity  # "rancho el porvenir"
            at += 1
            continue
        if token.cue & FUNCTION and token.tier < NAME and not token.capital:
            break
        if taken and token.gap and token.kind == PIECE:
            break  # a second chunk is for `_chunks` to judge
        if token.cue & _GENERIC and entity == "ORGANIZATION" and not token.star and taken:
            break
        written_on = token.kind == PIECE and token.gap == TOUCHES and entity == "LOCATION" and not token.cue
        goes_on = taken > 0 and (token.named or (token.initial and tokens[at - 1].initial))
        begins = firm or written_on or (not loose and token.tier >= FREQUENT)
        goes = token.namelike or bool(token.entity) or goes_on or (not taken and begins)
        if not goes:
            break
        if token.entity in (None, "UNKNOWN_WORD") or token.capital:
            token.entity = entity
        taken += 1
        at += 1
    if not taken and skipped and entity == "PERSON" and (firm or skipped.star):
        skipped.entity = entity  # a title with no name behind it is one


def _before_cues(tokens: list[Token]) -> None:
    for index, token in enumerate(tokens):
        if not token.cue:
            continue
        for cue, entity in _AFTER:
            if not token.cue & cue or token.entity:
                continue
            at, taken = index - 1, 0
            while at >= 0 and taken < _LONGEST_NAME and tokens[at + 1].gap <= NEAR:
                near = tokens[at]
                if near.kind == NUMBER:
                    break
                if near.cue & _GENERIC and not near.star and not near.entity and entity == "ORGANIZATION":
                    at -= 1
                    continue
                if near.cue & (FUNCTION | _HEADS) and not near.entity and not near.star:
                    break
                firm = cue == TITLE_AFTER and near.kind == WORD and not taken and not near.cue
                if not (firm or near.namelike or near.entity):
                    break
                if near.entity in (None, "UNKNOWN_WORD"):
                    near.entity = entity
                taken += 1
                at -= 1


def _handles(tokens: list[Token]) -> None:
    """Behind the name of a messenger: what is not an ordinary word, and what touches it."""
    size = len(tokens)
    for index, token in enumerate(tokens):
        if not token.cue & CONTACT:
            continue
        at = index + 1
        while (
            at < size
            and at <= index + 3
            and tokens[at].gap <= COLON
            and tokens[at].cue & (FUNCTION | CONTACT)
        ):
            at += 1
        first = at
        for near in _profile(tokens, first) if not token.cue & PHONE else ():
            near.entity = "SOCIAL_HANDLE"
        while at < size and at < first + 4 and tokens[at].gap <= (NEAR if at > first else COLON):
            near = tokens[at]
            if near.cue & (FUNCTION | CONTACT) and not near.entity and not near.initial:
                break
            if near.kind == NUMBER and at == first:
                break
            written = near.initial and not token.initial  # "fb Loker Korea": a profile's name
            if not (near.entity or near.namelike or near.tier >= FREQUENT or near.kind == NUMBER or written):
                break
            near.entity = "SOCIAL_HANDLE"
            at += 1


def _profile(tokens: list[Token], first: int) -> list[Token]:
    """The few words between the name of a messenger and the next comma: a profile's name may be any words."""
    found: list[Token] = []
    for token in tokens[first : first + 5]:
        if token.gap > (NEAR if found else COLON):
            return found
        if (token.cue & (FUNCTION | CONTACT) and not token.entity) or len(found) == 4:
            return []
        found.append(token)
    return found


def _beside_removed(tokens: list[Token]) -> None:
    """Words that belong to a removed one beside them, and capitals between two of them."""
    for before, token in pairwise(tokens):
        if before.entity and not token.entity and _belongs(token, before, token.gap, behind=True):
            token.entity = before.entity
    for after, token in pairwise(reversed(tokens)):
        if after.entity and not token.entity and _belongs(token, after, after.gap, behind=False):
            token.entity = after.entity
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        near = token.gap <= NEAR and after.gap <= NEAR
        if near and before.entity and after.entity and before.initial and token.initial and after.initial:
            token.entity = token.entity or before.entity


def _belongs(token: Token, removed: Token, gap: int, *, behind: bool) -> bool:
    """Whether a listed word is part of the name that the removed word beside it is of.

    ``gap``: between the two; ``behind``: the word stands behind the removed one.
    """
    if gap > NEAR or NUMBER in (token.kind, removed.kind) or token.cue & FUNCTION:
        return False
    if token.star or (not behind and token.text in _PARTICLES):
        return True
    if behind and token.named and token.cue & TITLE:
        return True  # "Win Ko": a title before a name, a name behind one
    if gap == TOUCHES and token.kind == WORD and token.tier >= FREQUENT:
        return True  # joined by a hyphen
    road = token.cue & ADDRESS_AFTER and removed.capital
    return token.capital and bool(road or not token.cue & (_HEADS | _GENERIC))


def _stretches(tokens: list[Token]) -> Iterator[list[Token]]:
    """Pieces with nothing between them."""
    chunk: list[Token] = []
    for token in tokens:
        if token.kind != PIECE or token.gap != TOUCHES:
            if chunk:
                yield chunk
            chunk = []
        if token.kind == PIECE:
            chunk.append(token)
    if chunk:
        yield chunk


def _chunks(tokens: list[Token]) -> None:
    """In scripts without spaces a space means something: a short chunk partly removed goes whole, and so does a
    name-like one beside a removed one."""
    chunks = list(_stretches(tokens))
    for chunk in chunks:
        gone = [token for token in chunk if token.entity]
        short = chunk[-1].end - chunk[0].start <= _SHORT
        if gone and short and not any(token.cue and not token.entity for token in chunk):
            for token in chunk:
                token.entity = token.entity or gone[0].entity
    for left, right in pairwise(chunks):
        if right[0].gap != NEAR:
            continue
        if left[-1].entity:
            _surname(right, left[-1].entity)
        both = (*left, *right)
        if (
            all(token.star for token in both)
            and left[0].start + _SHORT >= left[-1].end
            and right[0].start + _SHORT >= right[-1].end
        ):
            for token in both:
                token.entity = token.entity or "PERSON"
        for one, other in ((left, right), (right, left)):
            if not all(token.entity for token in one) or any(token.cue & FUNCTION for token in other):
                continue
            size = other[-1].end - other[0].start
            alike = sum(token.end - token.start for token in other if token.namelike or token.entity)
            if alike == size or (2 * alike >= size and size <= _SHORT + 4):
                for token in other:
                    token.entity = token.entity or one[0].entity


def _surname(chunk: list[Token], entity: str) -> None:
    """What a chunk behind a removed one begins with, if it could be the second half of a name."""
    head: list[Token] = []
    for token in chunk:
        if token.cue and not token.entity and not token.star:
            break
        head.append(token)
    if (
        head
        and head[-1].end - head[0].start <= _SHORT + 2
        and any(token.namelike or token.entity for token in head)
    ):
        for token in head:
            token.entity = token.entity or entity


def _numbers(tokens: list[Token]) -> None:
    """Numbers that locate, and numbers that belong to a removed word: "Zqxv 5", "14 Zqxv Road"."""
    size = len(tokens)
    for index, token in enumerate(tokens):
        if token.cue & DIGIT and index and tokens[index - 1].entity == "VEHICLE_ID" and token.gap <= NEAR:
            token.entity = token.entity or "VEHICLE_ID"
        if token.kind != NUMBER or token.entity:
            continue
        before = tokens[index - 1] if index else None
        after = tokens[index + 1] if index + 1 < size else None
        counted = after is not None and after.gap <= NEAR and bool(after.cue & UNIT)
        leads = (
            after is not None
            and after.gap <= NEAR
            and after.entity
            and after.kind == WORD
            and not after.cue & UNIT
        )
        if leads and (before is None or token.gap == BREAK) and token.text.isdigit() and len(token.text) <= 5:
            token.entity = "HOUSE_NUMBER"  # a line that begins "233 Zqxv"
        if before is None:
            continue
        lettered = (
            before.kind == WORD and len(before.text) == 1 and index > 1 and token.gap <= NEAR
        )  # "room B 2"
        head = tokens[index - 2] if lettered else before
        if head.cue & (NUMBER_PLACE | ADDRESS) and tokens[index - lettered].gap <= COLON and not counted:
            token.entity = "HOUSE_NUMBER"
            if lettered:
                before.entity = "HOUSE_NUMBER"
        elif (
            before.text in _NUMBER_SIGNS
            and index > 1
            and tokens[index - 2].entity
            and before.gap <= NEAR
            and token.gap <= NEAR
        ):
            token.entity = "HOUSE_NUMBER"
        elif (
            before.entity
            and (before.kind != NUMBER or before.entity == "LOCATION")
            and token.gap <= NEAR
            and not counted
        ):
            token.entity = before.entity
        elif (
            after is not None
            and after.entity in ("LOCATION", "ORGANIZATION", "VEHICLE_ID")
            and after.gap <= NEAR
            and token.text.isdigit()
            and 2 <= len(token.text) <= 4
        ):
            token.entity = after.entity


def follow(tokens: list[Token]) -> None:
    """What goes with words that were marked after the rules had run."""
    _numbers(tokens)


def runs(tokens: Iterable[Token]) -> Iterator[Found]:
    """Spans of the marked tokens, neighbours of one entity joined."""
    start, end, entity = -1, -1, ""
    for token in tokens:
        if token.entity is None:
            if entity:
                yield start, end, entity
            entity = ""
        elif entity == token.entity and token.gap <= NEAR:
            end = token.end
        else:
            if entity:
                yield start, end, entity
            start, end, entity = token.start, token.end, token.entity
    if entity:
        yield start, end, entity


class Words(Finder):
    """Every word and piece of a text, judged by tier, cues and neighbours."""

    ENTITIES = (
        "UNKNOWN_WORD",
        "PERSON",
        "ORGANIZATION",
        "LOCATION",
        "VEHICLE_ID",
        "HOUSE_NUMBER",
        "SOCIAL_HANDLE",
    )

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        return runs(judged(reading))
