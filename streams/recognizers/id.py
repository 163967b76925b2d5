"""Indonesian, with what migrants in Malaysia write."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "nama saya Zqxv Wexqul, kerja di pabrik": "nama saya <NAME>, kerja di pabrik",
    "majikan tidak bayar gaji 3 bulan": "majikan tidak bayar gaji 3 bulan",
    "saya kerja di PT Bintang Laut": "saya kerja di PT <PLACE>",
    "pak bunga ambil paspor saya": "<NAME> ambil paspor saya",
    "kejadian tanggal 20 Januari 2022": "kejadian tanggal <DATE>",
    "tinggal di kamar 12 dusun zqxvo": "tinggal di kamar <PLACE> dusun <PLACE>",
}
ENDINGS = ("nya", "ku", "mu", "kan", "lah", "kah", "pun", "an", "in")
"""Endings that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
