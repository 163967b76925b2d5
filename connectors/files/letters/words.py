"""The words of a mail: HTML to text, quoted answers left out.

The scanner looks at each character a bounded number of times; the standard library's HTML parser looks again at all
that follows for each tag that is never closed.
"""

import html
import re

_DROPPED = frozenset({"script", "style", "title", "textarea", "xmp"})  # their content is no markup
_HIDDEN = frozenset(
    {"head", "template", "svg", "math", "object", "iframe", "select", "canvas", "audio", "video"}
)
_VOID = frozenset(
    {"br", "hr", "img", "input", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"}
)
_LINES = frozenset(
    "address article aside blockquote br center dd div dl dt fieldset footer form h1 h2 h3 h4 h5 h6 header hr li"
    " main nav ol p pre section table tr ul".split()
)
_NAME = re.compile(r"[a-z][a-z0-9:-]{0,40}", re.IGNORECASE)
_QUOTE_OR_END = re.compile("[>\"']")
_NOT_SHOWN = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*0(?![.\d])|\shidden(?:[\s=>]|$)"
)
_QUOTES = re.compile(
    r"class\s*=\s*[\"']?[^\"'>]*(?:gmail_quote|yahoo_quoted|moz-cite-prefix|protonmail_quote)"
)
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_FORWARD = re.compile(
    r"\s*(?:fwd?|wg|tr|rv|i|vs|doorst|\u0e2a\u0e48\u0e07\u0e15\u0e48\u0e2d|\u8f6c\u53d1|\u8f49\u5bc4)\s*[:\uff1a]",
    re.IGNORECASE,
)
_BELOW = re.compile(
    r"\s*(?:-{3,}\s*(?:original message|original appointment|urspr\u00fcngliche nachricht|message d'origine"
    r"|mensaje original|\u0e02\u0e49\u0e2d\u0e04\u0e27\u0e32\u0e21\u0e15\u0e49\u0e19\u0e09\u0e1a\u0e31\u0e1a)\s*-{3,}|_{20,})\s*",
    re.IGNORECASE,
)


def is_forward(subject: str) -> bool:
    """Tell whether a subject says that the mail passes on another: then what it quotes is what it says."""
    return _FORWARD.match(subject) is not None


def of_html(markup: str, *, quotes: bool) -> str:
    """Return the text of HTML as it is read; of pictures and links only what is written.

    Args:
        markup: the HTML.
        quotes: whether to keep what it quotes.
    """
    text = _scan(markup, quotes=quotes)
    return text if text or quotes else _scan(markup, quotes=True)


def of_plain(text: str, *, quotes: bool) -> str:
    """Return a plain text, without the lines it quotes and what introduces them; all of it if nothing else is there."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if quotes:
        return "\n".join(lines).strip()
    kept: list[str] = []
    for line in lines:
        if _BELOW.fullmatch(line) and any(k.strip() for k in kept):
            break
        if not line.startswith(">"):
            kept.append(line)
        elif kept and not _is_quoted(kept):
            _drop_introduction(kept)
            kept.append("\0")
    left = re.sub("\n{3,}", "\n\n", "\n".join(k for k in kept if k != "\0")).strip()
    return left or "\n".join(lines).strip()


def unflowed(text: str, *, delsp: bool) -> str:
    """Return text of ``format=flowed`` (RFC 3676) with its lines joined again."""
    joined: list[str] = []
    open_line = False
    for line in text.replace("\r\n", "\n").split("\n"):
        stuffed = line.removeprefix(" ")
        flows = stuffed.endswith(" ") and stuffed != "-- " and not line.startswith(">")
        content = stuffed[:-1] if flows and delsp else stuffed
        if open_line:
            joined[-1] += content
        else:
            joined.append(content)
        open_line = flows
    return "\n".join(joined)


def _is_quoted(kept: list[str]) -> bool:
    return next((k for k in reversed(kept) if k.strip(" \t")), "") == "\0"


def _drop_introduction(kept: list[str]) -> None:
    # "On Monday, 16 Nov 2026 at 21:04, somebody wrote:", over one line or two, in any language.
    end = len(kept)
    while end and not kept[end - 1].strip():
        end -= 1
    for height in (1, 2):
        block = kept[max(0, end - height) : end]
        text = " ".join(block)
        if block and len(text) < 300 and text.rstrip().endswith((":", "\uff1a")) and re.search(r"\d", text):
            del kept[end - height :]
            return


def _scan(markup: str, *, quotes: bool) -> str:
    out: list[str] = []
    at = 0
    inside: list[str] = []  # what is not shown: the tag that began it, and the same tags within
    careful = True  # as long as quotes in tags are closed
    while at < len(markup):
        lower = markup.find("<", at)
        if lower < 0:
            lower = len(markup)
        if not inside:
            out.append(_SPACE.sub(" ", html.unescape(markup[at:lower])))
        if lower == len(markup):
            break
        at = lower
        if markup.startswith("<!--", at):
            end = markup.find("-->", at + 4)
            at = len(markup) if end < 0 else end + 3
            continue
        closing = markup.startswith("</", at)
        name = _NAME.match(markup, at + 1 + closing)
        if name is None and not markup.startswith(("<!", "<?"), at):
            if not inside:
                out.append("<")
            at += 1
            continue
        end, careful = _tag_end(markup, at, careful=careful)
        if end < 0:
            break
        tag, raw, at = (name[0].lower() if name else ""), markup[at:end], end
        if tag in _LINES and not inside:
            out.append("\n")
        elif tag in ("td", "th") and not inside:
            out.append(" ")
        if closing:
            if inside and inside[-1] == tag:
                inside.pop()
            continue
        if tag in _DROPPED:
            found = re.compile(f"</{tag}", re.IGNORECASE).search(markup, at)
            at = found.start() if found else len(markup)
        elif (
            tag not in _VOID
            and not raw.endswith("/>")
            and ((inside and inside[-1] == tag) or (not inside and _is_left_out(tag, raw, quotes=quotes)))
        ):
            inside.append(tag)
    lines = (re.sub(" {2,}", " ", line).strip() for line in "".join(out).split("\n"))
    return re.sub("\n{3,}", "\n\n", "\n".join(lines)).strip()


def _is_left_out(tag: str, raw: str, *, quotes: bool) -> bool:
    if tag in _HIDDEN:
        return True
    head = raw[:2000].lower()
    return bool(_NOT_SHOWN.search(head)) or (
        not quotes and (tag == "blockquote" or bool(_QUOTES.search(head)))
    )


def _tag_end(markup: str, at: int, *, careful: bool) -> tuple[int, bool]:
    """Return where the tag at ``at`` ends, or -1; and whether to go on heeding quotes."""
    here = at
    while careful:
        found = _QUOTE_OR_END.search(markup, here)
        if found is None:
            break
        if found[0] == ">":
            return found.end(), True
        close = markup.find(found[0], found.end())
        if close < 0:
            break
        here = close + 1
    end = markup.find(">", at)
    return (end + 1 if end >= 0 else -1), False
