"""Bengali, in its own script and romanised. Titles and kin terms follow the name."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "আমার নাম ঠীষূগো, আমি কারখানায় কাজ করি": "আমার নাম <NAME>, আমি কারখানায় কাজ করি",
    "মালিক ৩ মাস বেতন দেয় না": "মালিক ৩ মাস বেতন দেয় না",
    "ঠীষূগো ভাইকে বের করে দিছে": "<NAME> ভাইকে বের করে দিছে",
    "১৬ ফেব্রুয়ারি ২০২৫ তারিখে": "<DATE> তারিখে",
    "amar naam Zqxv": "amar naam <NAME>",
}
ENDINGS = tuple("কে র এর য় তে টা টি টার টাকে গুলো গুলি দের রা েরা ের ও ই".split())
"""Case endings and particles that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
