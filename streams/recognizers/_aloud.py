"""Numbers read aloud digit by digit, and names spelled letter by letter."""

from collections.abc import Callable, Iterator

from streams.recognizers._finder import Finder, Found
from streams.recognizers._lexicon import DIGIT
from streams.recognizers._reading import COMMA, NUMBER, WORD, Reading, Token

_PLUS = frozenset(("plus", "plas", "más", "mas", "tambah", "cộng", "cong"))
_MULTIPLES = frozenset(
    ("double", "triple", "doble", "dobel", "ganda", "तीन बार", "डबल", "ट्रिपल", "ডাবল", "ดับเบิล")
)


class ReadAloud(Finder):
    """Five or more digits said one by one, in words or mixed with figures; names spelled letter by letter."""

    ENTITIES = ("PHONE_NUMBER", "PERSON")

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        tokens = reading.items
        for start, end, entity in self._runs(tokens, self._is_digit, 5, "PHONE_NUMBER"):
            before = next((one for one in reversed(tokens) if one.end <= start), None)
            if before and (
                before.text in _PLUS or (len(before.text) <= 3 and before.kind == WORD and not before.cue)
            ):
                start = before.start  # "plus six six", and the letter of a passport said by its name
            yield start, end, entity
        yield from self._runs(reading.items, self._is_letter, 3, "PERSON")

    @staticmethod
    def _is_digit(token: Token) -> bool:
        if token.kind == NUMBER:
            return len(token.text) <= 3 and token.text.isdigit()
        return bool(token.cue & DIGIT) or token.text in _MULTIPLES

    @staticmethod
    def _is_letter(token: Token) -> bool:
        return token.kind == WORD and len(token.text) == 1

    @staticmethod
    def _runs(
        tokens: list[Token], belongs: Callable[[Token], bool], least: int, entity: str
    ) -> Iterator[Found]:
        if sum(map(belongs, tokens)) < least:
            return
        run: list[Token] = []
        for index, token in enumerate([*tokens, None]):
            if token is not None and belongs(token) and (not run or token.gap <= COMMA):
                run.append(token)
                continue
            if token is not None and len(run) >= 3 and token.gap <= COMMA:
                following = tokens[index + 1 : index + 3]
                if len(following) == 2 and all(belongs(one) and one.gap <= COMMA for one in following):
                    continue  # one word of another kind among digits: "four none seven"
            words = sum(one.kind != NUMBER for one in run)
            if len(run) >= least and words >= 3:
                yield run[0].start, run[-1].end, entity
            run = [token] if token is not None and belongs(token) else []
