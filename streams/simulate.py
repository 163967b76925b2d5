"""A season of made-up reports, with planted outbreaks whose truth is known.

`season(seed, start)` returns everything a trial run needs: a register of workplaces, the deliveries three
sources would send (a hotline over HTTP, a union's CSV rows, a worker-voice app's JSON lines) in order of
arrival, and the truth about what was planted. Among the good deliveries are repeated, broken and hostile
ones, each marked with what should become of it.

Pure: the same arguments give the same bytes; no clock, no I/O. Persons, companies and numbers are invented.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import accumulate
from random import Random

SOURCES = ("hotline", "union", "voiceapp")
KINDS = (
    "GOOD",
    "REPEAT",  # a good delivery sent again, byte for byte
    "MALFORMED",  # hotline: the door answers 422
    "UNAUTHORISED",  # hotline: wrong token, 401
    "OVERSIZE",  # hotline: body over 1 MB, 413
    "UNMAPPABLE",  # files: accepted, then a dead letter of the mapping
    "IMPLAUSIBLE",  # any source: accepted, then a dead letter in the stream (impossible dates)
)
UNION_HEADER = (
    "ref_no", "received", "province", "district", "workplace", "sector", "worker_name", "phone",
    "nationality", "sex", "age", "issues", "incident_date", "workers", "urgency", "complaint", "language",
    "consent", "officer", "remarks",
)  # fmt: skip

HOSTILE_SHARE = 0.02
REPEAT_SHARE = 0.01
OVERSIZE_IN_SEASON = 2
OVERSIZE_BYTES = 1_100_000
_ORDINARY_WORKPLACES = 1_320
_UNREGISTERED_WORKPLACES = 160
_QUIET_SHARE = 0.006  # of all baseline reports: the outbreak workplaces together, outside their outbreak
_SOURCE_WEIGHTS = (70, 10, 20)
_BANGKOK = timezone(timedelta(hours=7))


# ------------------------------------------------------------------------------------------ what comes out


@dataclass(frozen=True, slots=True)
class Workplace:
    """One row of the workplace register."""

    workplace_id: str
    name: str
    aliases: tuple[str, ...]
    country: str
    admin1: str
    isic_division: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing a source sends: a request body (hotline), a CSV row as JSON (union), a JSON line (voiceapp).

    `headers` are the ones the sender sets itself; only an UNAUTHORISED delivery brings its own (wrong)
    `Authorization`, for all others the player adds the source's token. `workplace_id` (None when the report
    names no registered one) and `outbreak` (an index into `Season.outbreaks`) are truth for the test bench
    and are never sent.
    """

    at: datetime
    source: str
    kind: str
    id: str
    payload: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    workplace_id: str | None = None
    outbreak: int | None = None


@dataclass(frozen=True, slots=True)
class Outbreak:
    """What was planted: days are counted from 0 at `start`, both ends included."""

    sector: str
    admin1: str
    indicator: str
    first_day: int
    last_day: int
    kind: str
    workplace_ids: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Season:
    """A register, the deliveries in order of arrival, and the truth about them."""

    start: datetime
    days: int
    workplaces: list[Workplace] = field(repr=False)
    deliveries: list[Delivery] = field(repr=False)
    outbreaks: list[Outbreak]
    expected: dict[str, int]
    union_header: tuple[str, ...] = field(default=UNION_HEADER, repr=False)


# ------------------------------------------------------------------------------------------ the vocabulary
# The words the union and the app use are the words of connectors/mappings/; a test keeps the two together.


@dataclass(frozen=True, slots=True)
class _Trade:
    section: str
    weight: float
    union: str
    app: str
    words: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Province:
    union: str
    app: str
    weight: float


@dataclass(frozen=True, slots=True)
class _Issue:
    union: str
    app: str
    weight: float
    severity: str
    en: tuple[str, ...]
    th: tuple[str, ...]


TRADES = {
    "01": _Trade("A", 7, "Farming", "farm", (("Farm", "ฟาร์ม"), ("Orchard", "สวนผลไม้"))),
    "03": _Trade("A", 6, "Fishing", "fishing", (("Fishery", "การประมง"), ("Aquaculture", "เพาะเลี้ยงสัตว์น้ำ"))),
    "10": _Trade(
        "C", 20, "Food processing", "foodProcessing",
        (("Seafood", "ซีฟู้ด"), ("Frozen Foods", "โฟรเซ่นฟู้ดส์"), ("Cannery", "อาหารกระป๋อง")),
    ),
    "13": _Trade("C", 6, "Textiles", "textiles", (("Textile", "สิ่งทอ"), ("Weaving", "การทอ"))),
    "14": _Trade("C", 11, "Garments", "garments", (("Garment", "การ์เมนท์"), ("Apparel", "แอพพาเรล"))),
    "16": _Trade("C", 3, "Wood products", "wood", (("Timber", "ค้าไม้"), ("Woodwork", "งานไม้"))),
    "22": _Trade("C", 7, "Rubber", "rubber", (("Rubber", "รับเบอร์"), ("Plastics", "พลาสติก"))),
    "26": _Trade("C", 7, "Electronics", "electronics", (("Electronics", "อิเล็กทรอนิกส์"), ("Circuit", "วงจร"))),
    "29": _Trade("C", 6, "Vehicle parts", "autoParts", (("Auto Parts", "ออโต้พาร์ท"), ("Axle", "เพลารถ"))),
    "41": _Trade("F", 9, "Building", "construction", (("Construction", "ก่อสร้าง"), ("Builders", "การโยธา"))),
    "42": _Trade("F", 3, "Civil engineering", "roadworks", (("Roadworks", "งานทาง"), ("Piling", "เสาเข็ม"))),
    "47": _Trade("G", 4, "Retail", "retail", (("Market", "มาร์เก็ต"), ("Store", "สโตร์"))),
    "52": _Trade("H", 4, "Warehousing", "warehouse", (("Logistics", "โลจิสติกส์"), ("Cold Storage", "ห้องเย็น"))),
    "55": _Trade("I", 5, "Hotels", "hotel", (("Resort", "รีสอร์ท"), ("Hotel", "โฮเทล"))),
    "56": _Trade("I", 4, "Restaurants", "restaurant", (("Restaurant", "ภัตตาคาร"), ("Catering", "จัดเลี้ยง"))),
    "81": _Trade("N", 5, "Cleaning", "cleaning", (("Cleaning", "ทำความสะอาด"), ("Gardening", "จัดสวน"))),
}  # fmt: skip

PROVINCES = {
    "TH-10": _Province("Bangkok", "กรุงเทพมหานคร", 16),
    "TH-11": _Province("Samut Prakan", "สมุทรปราการ", 11),
    "TH-12": _Province("Nonthaburi", "นนทบุรี", 4),
    "TH-13": _Province("Pathum Thani", "ปทุมธานี", 7),
    "TH-14": _Province("Ayutthaya", "พระนครศรีอยุธยา", 6),
    "TH-19": _Province("Saraburi", "สระบุรี", 3),
    "TH-20": _Province("Chon Buri", "ชลบุรี", 10),
    "TH-21": _Province("Rayong", "ระยอง", 6),
    "TH-22": _Province("Chanthaburi", "จันทบุรี", 2),
    "TH-23": _Province("Trat", "ตราด", 2),
    "TH-24": _Province("Chachoengsao", "ฉะเชิงเทรา", 4),
    "TH-25": _Province("Prachin Buri", "ปราจีนบุรี", 3),
    "TH-27": _Province("Sa Kaeo", "สระแก้ว", 1.5),
    "TH-30": _Province("Nakhon Ratchasima", "นครราชสีมา", 4),
    "TH-50": _Province("Chiang Mai", "เชียงใหม่", 3),
    "TH-51": _Province("Lamphun", "ลำพูน", 2),
    "TH-63": _Province("Tak", "ตาก", 5),
    "TH-70": _Province("Ratchaburi", "ราชบุรี", 2.5),
    "TH-71": _Province("Kanchanaburi", "กาญจนบุรี", 2),
    "TH-73": _Province("Nakhon Pathom", "นครปฐม", 5),
    "TH-74": _Province("Samut Sakhon", "สมุทรสาคร", 12),
    "TH-83": _Province("Phuket", "ภูเก็ต", 4),
    "TH-84": _Province("Surat Thani", "สุราษฎร์ธานี", 4),
    "TH-85": _Province("Ranong", "ระนอง", 2),
    "TH-90": _Province("Songkhla", "สงขลา", 5),
}

ISSUES = {
    "WOW": _Issue(
        "unpaid wages", "unpaidWages", 26, "MEDIUM",
        ("We have not been paid for two months.", "They cut a third of my wage and will not say why."),
        ("ไม่ได้รับค่าจ้างมาสองเดือนแล้ว", "ถูกหักค่าจ้างโดยไม่มีเหตุผล"),
    ),
    "EOT": _Issue(
        "excessive overtime", "excessiveHours", 20, "MEDIUM",
        ("We work fourteen hours a day without a day off.", "Overtime is forced and nobody may refuse it."),
        ("ต้องทำงานวันละสิบสี่ชั่วโมง ไม่มีวันหยุด", "ถูกบังคับให้ทำงานล่วงเวลา ปฏิเสธไม่ได้"),
    ),
    "AWL": _Issue(
        "living conditions", "badConditions", 14, "MEDIUM",
        ("Twelve of us sleep in one room.", "There are no gloves and the air burns the eyes."),
        ("ห้องพักนอนกันสิบสองคน", "ไม่มีถุงมือ สารเคมีแสบตามาก"),
    ),
    "DEC": _Issue(
        "deception", "brokenPromises", 13, "MEDIUM",
        ("The contract I signed here is not the one I was promised.", "The pay is not what they told us."),
        ("สัญญาที่ได้เซ็นไม่ตรงกับที่ตกลงไว้", "งานและค่าแรงไม่เหมือนที่นายหน้าบอก"),
    ),
    "INT": _Issue(
        "threats", "threats", 6, "HIGH",
        ("They threaten to call the police if we complain.", "The foreman shouts that he will send us back."),
        ("ถูกขู่ว่าจะแจ้งตำรวจถ้าร้องเรียน", "หัวหน้างานขู่ว่าจะส่งกลับประเทศ"),
    ),
    "RID": _Issue(
        "documents kept", "passportHeld", 5, "HIGH",
        ("The office keeps our passports.", "My work permit is locked in the manager's desk."),
        ("บริษัทยึดหนังสือเดินทางไว้", "ใบอนุญาตทำงานถูกเก็บไว้ที่สำนักงาน ขอคืนไม่ได้"),
    ),
    "DEB": _Issue(
        "debt", "debt", 5, "HIGH",
        ("I owe the agent so much that I cannot stop working.", "The travel debt grows every month."),
        ("ติดหนี้นายหน้าจนลาออกไม่ได้", "หนี้ค่าเดินทางเพิ่มขึ้นทุกเดือน"),
    ),
    "ROM": _Issue(
        "cannot leave", "lockedIn", 4, "HIGH",
        ("The gate is locked at night and a guard stops us.", "We are not allowed to leave the compound."),
        ("ประตูล็อกตอนกลางคืน ยามไม่ให้ออก", "ไม่อนุญาตให้ออกจากที่พัก"),
    ),
    "AOV": _Issue(
        "abuse of status", "statusAbuse", 3, "HIGH",
        ("They pay us less because our papers have run out.", "They know we cannot read and make us sign."),
        ("จ่ายน้อยกว่าเพราะเอกสารหมดอายุ", "ให้เซ็นเอกสารทั้งที่อ่านไม่ออก"),
    ),
    "PSV": _Issue(
        "violence", "violence", 2.5, "CRITICAL",
        ("A supervisor hit a worker last week.", "A guard touched a woman in the dormitory."),
        ("หัวหน้างานทำร้ายร่างกายคนงาน", "มีการล่วงละเมิดในหอพัก"),
    ),
    "ISO": _Issue(
        "isolation", "cutOff", 1.5, "HIGH",
        ("Our phones were taken and the camp is far from any road.", "We may not call our families."),
        ("ถูกยึดโทรศัพท์ ที่พักอยู่ไกลมาก", "ไม่ให้โทรหาครอบครัว"),
    ),
}  # fmt: skip

NATIONALITIES = {"TH": "Thai", "MM": "Myanmar", "KH": "Cambodia", "LA": "Laos"}
GENDERS = {"f": "female", "m": "male"}
URGENCY_UNION = {"CRITICAL": "urgent", "HIGH": "high", "MEDIUM": "normal", "LOW": "low"}
URGENCY_APP = {"CRITICAL": "danger", "HIGH": "high", "MEDIUM": "medium", "LOW": "low"}
ROLES_APP = {
    "WORKER": "worker",
    "FORMER_WORKER": "formerWorker",
    "COWORKER": "coWorker",
    "FAMILY": "familyMember",
}
SCOPES_APP = {"AGGREGATE_STATISTICS": "statistics", "CASE_HANDLING": "case", "CONTACT_BACK": "callMe"}
APP_FORM = "worker-voice-3"

_CHANNELS = {"VOICE_CALL": 40, "LINE": 18, "FACEBOOK": 14, "SMS": 10, "WEB_FORM": 12, "WHATSAPP": 6}
_ROLES = {"WORKER": 76, "FORMER_WORKER": 8, "COWORKER": 9, "FAMILY": 7}

_STEMS = (
    ("suwan", "สุวรรณ"), ("phet", "เพชร"), ("siri", "ศิริ"), ("chai", "ชัย"), ("rung", "รุ่ง"), ("thong", "ทอง"),
    ("kiat", "เกียรติ"), ("wattana", "วัฒนา"), ("charoen", "เจริญ"), ("sap", "ทรัพย์"), ("mongkhon", "มงคล"),
    ("phaisan", "ไพศาล"), ("boon", "บุญ"), ("lap", "ลาภ"), ("anan", "อนันต์"), ("krai", "ไกร"), ("wong", "วงศ์"),
    ("narin", "นรินทร์"), ("sombat", "สมบัติ"), ("duang", "ดวง"), ("kaeo", "แก้ว"), ("mani", "มณี"), ("phon", "พล"),
    ("thep", "เทพ"), ("udom", "อุดม"), ("yuen", "ยืน"), ("saeng", "แสง"), ("arun", "อรุณ"), ("nakha", "นาคา"),
    ("wiset", "วิเศษ"), ("damrong", "ดำรง"), ("itthi", "อิทธิ"),
)  # fmt: skip
_SUFFIXES = (("Co Ltd", "จำกัด"), ("Factory", "โรงงาน"), ("Group", "กรุ๊ป"), ("Limited Partnership", "หจก."))

_THAI_FIRST = (
    ("Somchai", "สมชาย"), ("Malee", "มาลี"), ("Prasert", "ประเสริฐ"), ("Wanida", "วนิดา"), ("Anong", "อนงค์"),
    ("Kitti", "กิตติ"), ("Sunee", "สุนีย์"), ("Wichai", "วิชัย"), ("Pranee", "ปราณี"), ("Nattaya", "ณัฐยา"),
    ("Somsak", "สมศักดิ์"), ("Duangjai", "ดวงใจ"), ("Thawatchai", "ธวัชชัย"), ("Ratree", "ราตรี"),
)  # fmt: skip
_THAI_LAST = (
    ("Kaewmanee", "แก้วมณี"), ("Srisuk", "ศรีสุข"), ("Thongdee", "ทองดี"), ("Boonmak", "บุญมาก"), ("Jaidee", "ใจดี"),
    ("Rungrot", "รุ่งโรจน์"), ("Saengthong", "แสงทอง"), ("Phumjai", "ภูมิใจ"), ("Wongsiri", "วงศ์ศิริ"),
    ("Charoensap", "เจริญทรัพย์"), ("Nuanchan", "นวลจันทร์"), ("Intharat", "อินทรัตน์"), ("Panyawong", "ปัญญาวงศ์"),
)  # fmt: skip
_BURMESE = (
    ("Aung", "အောင်", "อ่อง"), ("Ko", "ကို", "โก"), ("Lin", "လင်း", "ลิน"), ("Zaw", "ဇော်", "ซอ"),
    ("Min", "မင်း", "มิน"), ("Htet", "ထက်", "เท็ต"), ("Thida", "သီတာ", "ธีดา"), ("Win", "ဝင်း", "วิน"),
    ("Su", "စု", "ซู"), ("Hlaing", "လှိုင်", "ไลง์"), ("Nilar", "နီလာ", "นิลา"), ("Moe", "မိုး", "โม"),
    ("Kyaw", "ကျော်", "จอ"), ("Khin", "ခင်", "ขิ่น"),
)  # fmt: skip
_KHMER_LAST = (
    ("Sok", "សុខ", "สก"),
    ("Chan", "ចាន់", "จัน"),
    ("Kim", "គឹម", "คิม"),
    ("Chea", "ជា", "เจีย"),
    ("Keo", "កែវ", "แก้ว"),
)
_KHMER_FIRST = (
    ("Dara", "ដារ៉ា", "ดารา"), ("Sophea", "សុភា", "โสเภีย"), ("Rithy", "រិទ្ធី", "ริทธี"),
    ("Bopha", "បុប្ផា", "บุปผา"), ("Vuthy", "វុទ្ធី", "วุทธี"), ("Sreymom", "ស្រីមុំ", "สไรมุม"),
)  # fmt: skip
_LAO_FIRST = (("Bounmy", "บุญมี"), ("Khamla", "คำหล้า"), ("Noy", "น้อย"), ("Somphone", "สมพอน"), ("Keo", "แก้ว"))
_LAO_LAST = (("Keovong", "แก้ววงศ์"), ("Sisavath", "สีสะหวาด"), ("Phommachan", "พมมะจัน"), ("Vongsa", "วงสา"))

_DISTRICTS = (
    "Mueang",
    "Ban Phaeo",
    "Krathum Baen",
    "Klaeng",
    "Si Racha",
    "Bang Phli",
    "Mae Sot",
    "Sadao",
    "Hat Yai",
)
_BRANDS = ("Northwind Outdoor", "Bluefin Pantry", "Halden Home", "Marlow & Reed", "Tessel")
_RECRUITERS = (
    "Golden Bridge Manpower",
    "Two Rivers Labour Agency",
    "Lucky Star Recruitment",
    "Mekong Step Agency",
)
_QUEUES = ("central", "east", "south", "night")
_OFFICERS = ("officer 1", "officer 2", "officer 3", "branch desk")
_TIMES_TO_CALL = (
    "after eight in the evening",
    "on Sunday only",
    "LINE only, do not call",
    "before the morning shift",
)

_GENERAL_EN = (
    "I want to know how to change my employer.",
    "How do I extend my work permit?",
    "Is Sunday paid double?",
)
_GENERAL_TH = ("อยากทราบวิธีเปลี่ยนนายจ้าง", "จะต่อใบอนุญาตทำงานอย่างไร", "วันหยุดนักขัตฤกษ์ได้ค่าแรงเท่าไร")
_BURMESE_LINES = (
    "ကျွန်တော့်နာမည် {name} ပါ။ {place} မှာ အလုပ်လုပ်ပါတယ်။ လစာ မရသေးပါဘူး။ ဖုန်း {phone} ကို ဆက်သွယ်ပါ။",
    "အလုပ်ရှင်က ပတ်စပို့ကို သိမ်းထားပါတယ်။ ကူညီပေးပါ။ {name}၊ ဖုန်း {phone}။",
    "{place} မှာ အချိန်ပို လုပ်ခိုင်းပါတယ်။ နားရက် မရှိပါဘူး။",
)
_KHMER_LINES = (
    "ខ្ញុំឈ្មោះ {name} ធ្វើការនៅ {place}។ ខ្ញុំមិនទាន់បានទទួលប្រាក់ខែទេ។ ទូរស័ព្ទ {phone}។",
    "ថៅកែរក្សាទុកលិខិតឆ្លងដែនរបស់ខ្ញុំ។ សូមជួយ។ {name} លេខ {phone}។",
    "នៅ {place} យើងត្រូវធ្វើការថែមម៉ោងរាល់ថ្ងៃ គ្មានថ្ងៃសម្រាកទេ។",
)

# Local hours in Bangkok: few calls before dawn, a lunch bump, the peak after the shift.
_HOURS_LOCAL = (2, 1, 1, 1, 1, 2, 4, 5, 6, 6, 6, 7, 9, 7, 6, 6, 7, 9, 13, 16, 16, 13, 8, 4)
_HOURS_UTC = tuple(_HOURS_LOCAL[(hour + 7) % 24] for hour in range(24))
_OFFICE_HOURS_UTC = tuple(1 if 2 <= hour < 10 else 0 for hour in range(24))
_WEEKDAYS = (1.06, 1.02, 1.00, 1.00, 0.98, 0.94, 1.00)  # Monday to Sunday, mean 1


# ------------------------------------------------------------------------------------------------ planting


@dataclass(frozen=True, slots=True)
class _Plan:
    kind: str
    sector: str
    admin1: str
    indicator: str
    first_day: int
    length: int
    per_day: int
    divisions: tuple[str, ...]

    @property
    def last_day(self) -> int:
        return self.first_day + self.length - 1

    @property
    def workplaces(self) -> int:
        return 1 if self.kind == "SINGLE_WORKPLACE" else self.per_day * self.length


_PLANS = (
    _Plan("SINGLE_WORKPLACE", "F", "TH-20", "ROM", 12, 7, 40, ("41",)),
    _Plan("OUTBREAK", "C", "TH-74", "RID", 24, 14, 10, ("10", "10", "10", "13", "14", "22")),
    _Plan("OUTBREAK", "A", "TH-21", "DEB", 42, 14, 10, ("01", "01", "03")),
)


def season(seed: int, start: datetime, days: int = 60, reports_per_day: int = 140) -> Season:
    """Make the season that begins at `start` (UTC midnight) and is the same for the same arguments.

    Baseline traffic is about `reports_per_day`, broken deliveries included. On top of it come two OUTBREAKs
    (days 24 to 37 and 42 to 55: about ten workplaces a day, each once, its indicator first, and all with
    consent to aggregate statistics) and one SINGLE_WORKPLACE surge (days 12 to 18: about forty reports a day
    from different people about one workplace). In a shorter season an episode that has not begun by the last
    day is left out, and one that has not ended is cut.
    """
    if start.utcoffset() != timedelta(0) or start.timetz().replace(tzinfo=None) != datetime.min.time():
        raise ValueError("start must be midnight in UTC")
    if days < 1 or reports_per_day < 1:
        raise ValueError("days and reports_per_day must be at least 1")
    start = start.astimezone(UTC)
    rng = Random(seed)  # noqa: S311 (a simulation must be repeatable; nothing secret comes from here)
    world = _World(rng)
    plans = [plan for plan in _PLANS if plan.first_day < days]
    slots = sorted(
        _baseline(rng, world, start, days, reports_per_day) + _planted(rng, world, start, days),
        key=lambda slot: slot.at,
    )
    deliveries = _render_all(rng, slots)
    deliveries += _repeats(rng, deliveries, start + timedelta(days=days))
    deliveries.sort(key=lambda delivery: (delivery.at, delivery.source, delivery.id))
    outbreaks = [
        Outbreak(
            plan.sector, plan.admin1, plan.indicator, plan.first_day, min(plan.last_day, days - 1), plan.kind,
            tuple(site.workplace_id for site in world.reserved[plan]),
        )
        for plan in plans
    ]  # fmt: skip
    tally = Counter(delivery.kind for delivery in deliveries)
    return Season(start, days, world.register, deliveries, outbreaks, {kind: tally[kind] for kind in KINDS})


def as_csv(deliveries: Iterable[Delivery]) -> str:
    """Write the union's rows among `deliveries`, in their order, as one CSV file with its header line."""
    out = io.StringIO()
    writer = csv.DictWriter(out, UNION_HEADER, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(json.loads(delivery.payload) for delivery in deliveries if delivery.source == "union")
    return out.getvalue()


class _World:
    """The register, how often each workplace reports, and the workplaces kept for the outbreaks."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._stems: set[str] = set()
        self._thai_stems: set[str] = set()
        affinity = {
            (admin1, division): province.weight * trade.weight * rng.lognormvariate(0, 0.7)
            for admin1, province in PROVINCES.items()
            for division, trade in TRADES.items()
        }
        homes = list(affinity)
        weights = list(accumulate(affinity.values()))
        drawn = rng.choices(homes, cum_weights=weights, k=_ORDINARY_WORKPLACES + _UNREGISTERED_WORKPLACES)
        sites: list[tuple[_Plan | None, Workplace]] = [
            (None, self._invent(admin1, division)) for admin1, division in drawn[:_ORDINARY_WORKPLACES]
        ]
        for planned in _PLANS:
            for _ in range(planned.workplaces):
                sites.append((planned, self._invent(planned.admin1, rng.choice(planned.divisions))))
        rng.shuffle(sites)

        self.register: list[Workplace] = []
        self.reserved: dict[_Plan, list[Workplace]] = {plan: [] for plan in _PLANS}
        ordinary: list[Workplace] = []
        for number, (plan, site) in enumerate(sites, start=1):
            row = replace(site, workplace_id=f"WP-{number:05d}")
            self.register.append(row)
            (ordinary if plan is None else self.reserved[plan]).append(row)
        self.unregistered = [
            self._invent(admin1, division) for admin1, division in drawn[_ORDINARY_WORKPLACES:]
        ]
        self._unregistered_cumulative = list(accumulate(_zipf(len(self.unregistered))))
        self._quiet_plan = {
            site.workplace_id: plan
            for plan, kept in self.reserved.items()
            if plan.kind == "OUTBREAK"
            for site in kept
        }
        rng.shuffle(ordinary)  # the numbers in the register are not to tell who reports most
        quiet = [site for kept in self.reserved.values() for site in kept]
        ordinary_rates = _zipf(len(ordinary))
        each_quiet = sum(ordinary_rates) * _QUIET_SHARE / (1 - _QUIET_SHARE) / len(quiet)
        self._reporting = ordinary + quiet
        self._cumulative = list(accumulate(ordinary_rates + [each_quiet] * len(quiet)))

    def draw(self, day: int) -> Workplace:
        """Choose who reports on `day`: an outbreak's workplaces not within a week of their outbreak."""
        while True:
            site = self._rng.choices(self._reporting, cum_weights=self._cumulative)[0]
            plan = self._quiet_plan.get(site.workplace_id)
            if plan is None or not plan.first_day - 7 <= day <= plan.last_day + 7:
                return site

    def draw_unregistered(self) -> Workplace:
        """Choose one of the workplaces that reports name but the register does not hold."""
        return self._rng.choices(self.unregistered, cum_weights=self._unregistered_cumulative)[0]

    def _invent(self, admin1: str, division: str) -> Workplace:
        rng = self._rng
        while True:
            parts = rng.sample(_STEMS, rng.choice((2, 2, 3)))
            stem, thai = "".join(part[0] for part in parts), "".join(part[1] for part in parts)
            if stem not in self._stems and thai not in self._thai_stems:
                break
        self._stems.add(stem)
        self._thai_stems.add(thai)
        word, thai_word = rng.choice(TRADES[division].words)
        suffix, thai_suffix = rng.choice(_SUFFIXES)
        short = f"{stem.capitalize()} {word}"
        aliases = (short, f"{thai}{thai_word} {thai_suffix}") if rng.random() < 0.6 else (short,)
        return Workplace("", f"{short} {suffix}", aliases, "TH", admin1, division)


def _zipf(count: int) -> list[float]:
    """Rates that fall like one over the rank, flattened at the top: the busiest sends about 1.5 %."""
    return [1 / (rank + 15) for rank in range(count)]


# ----------------------------------------------------------------------------------- who reports, and when


@dataclass(frozen=True, slots=True)
class _Slot:
    at: datetime
    source: str
    kind: str
    site: Workplace | None
    admin1: str
    division: str
    plan: _Plan | None = None
    plan_index: int | None = None


def _baseline(rng: Random, world: _World, start: datetime, days: int, reports_per_day: int) -> list[_Slot]:
    day_of: list[int] = []
    for day in range(days):
        mean = reports_per_day * _WEEKDAYS[(start.weekday() + day) % 7]
        day_of += [day] * max(0, round(rng.gauss(mean, math.sqrt(mean))))
    extra = sum(plan.per_day * max(0, min(days, plan.last_day + 1) - plan.first_day) for plan in _PLANS)
    kinds = ["GOOD"] * len(day_of)
    broken = rng.sample(range(len(day_of)), min(len(day_of), round(HOSTILE_SHARE * (len(day_of) + extra))))
    for count, index in enumerate(broken):
        rest = ("MALFORMED", "UNAUTHORISED", "UNMAPPABLE", "IMPLAUSIBLE")
        kinds[index] = "OVERSIZE" if count < OVERSIZE_IN_SEASON else rest[count % len(rest)]

    slots = []
    for day, kind in zip(day_of, kinds, strict=True):
        source = _source(rng, kind)
        site: Workplace | None
        place = rng.random()
        if place < 0.82:
            home = site = world.draw(day)
        elif place < 0.93:
            home = site = world.draw_unregistered()
        else:
            home, site = world.draw(day), None
        at = _moment(rng, start, day, source)
        slots.append(_Slot(at, source, kind, site, home.admin1, home.isic_division))
    return slots


def _planted(rng: Random, world: _World, start: datetime, days: int) -> list[_Slot]:
    slots = []
    for index, plan in enumerate(_PLANS):
        waiting = list(world.reserved[plan])
        rng.shuffle(waiting)
        for day, count in enumerate(_daily_counts(rng, plan), start=plan.first_day):
            for _ in range(count):
                site = waiting[0] if plan.kind == "SINGLE_WORKPLACE" else waiting.pop()
                if day < days:
                    source = _source(rng, "GOOD")
                    at = _moment(rng, start, day, source)
                    slots.append(
                        _Slot(at, source, "GOOD", site, site.admin1, site.isic_division, plan, index)
                    )
    return slots


def _daily_counts(rng: Random, plan: _Plan) -> list[int]:
    """Uneven days around the plan's mean that add up to it exactly."""
    counts = [plan.per_day] * plan.length
    order = rng.sample(range(plan.length), plan.length)
    for more, less in zip(order[0::2], order[1::2], strict=False):
        shift = rng.randint(0, max(1, plan.per_day // 10))
        counts[more] += shift
        counts[less] -= shift
    return counts


def _source(rng: Random, kind: str) -> str:
    if kind in ("MALFORMED", "UNAUTHORISED", "OVERSIZE"):
        return "hotline"
    if kind == "UNMAPPABLE":
        return rng.choice(("union", "voiceapp"))
    return rng.choices(SOURCES, _SOURCE_WEIGHTS)[0]


def _moment(rng: Random, start: datetime, day: int, source: str) -> datetime:
    hours = _OFFICE_HOURS_UTC if source == "union" else _HOURS_UTC
    hour = rng.choices(range(24), hours)[0]
    return start + timedelta(days=day, hours=hour, seconds=rng.randrange(3600))


def _repeats(rng: Random, deliveries: Sequence[Delivery], end: datetime) -> list[Delivery]:
    good = [delivery for delivery in deliveries if delivery.kind == "GOOD"]
    repeats = []
    for first in rng.sample(good, min(len(good), round(REPEAT_SHARE * len(deliveries)))):
        delay = timedelta(seconds=rng.choice((20, 60, 300, 1800, 7200, 43200)) + rng.randrange(20))
        at = min(first.at + delay, end - timedelta(milliseconds=1))
        repeats.append(replace(first, at=at, kind="REPEAT"))
    return repeats


# ------------------------------------------------------------------------------------------- what they say


@dataclass(frozen=True, slots=True)
class _Person:
    latin: str
    thai: str
    native: str
    nationality: str
    phone: str
    gender: str
    age: int


@dataclass(frozen=True, slots=True)
class _Report:
    id: str
    submitted_at: datetime
    occurred_on: date | None
    person: _Person
    anonymous: bool
    role: str
    site_text: str | None
    admin1: str | None
    division: str | None
    indicators: tuple[str, ...]
    severity: str
    language: str
    text: str
    consent: str
    scopes: tuple[str, ...]
    workers: int | None
    accused: str


class _Crowd:
    """People: anybody, or somebody new (every report of a surge is to come from another person)."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._fresh_phones = rng.sample(range(100, 1000), 900)
        self._seen: set[str] = set()

    def someone(self) -> _Person:
        """Anybody; the same name or number may come again."""
        return self._make(self._rng.randrange(100, 1000))

    def someone_new(self) -> _Person:
        """A person whose name and number no earlier call gave."""
        number = self._fresh_phones.pop()
        while (person := self._make(number)).latin in self._seen:
            pass
        self._seen.add(person.latin)
        return person

    def _make(self, number: int) -> _Person:
        rng = self._rng
        nationality = rng.choices(("TH", "MM", "KH", "LA"), (45, 35, 12, 8))[0]
        if nationality == "MM":
            parts = rng.sample(_BURMESE, 3)
            latin, native, thai = (
                " ".join(part[0] for part in parts), "".join(part[1] for part in parts),
                "".join(part[2] for part in parts),
            )  # fmt: skip
        elif nationality == "KH":
            last, first = rng.choice(_KHMER_LAST), rng.choice(_KHMER_FIRST)
            latin, native, thai = (f"{last[column]} {first[column]}" for column in range(3))
        else:
            firsts, lasts = (_THAI_FIRST, _THAI_LAST) if nationality == "TH" else (_LAO_FIRST, _LAO_LAST)
            given, family = rng.choice(firsts), rng.choice(lasts)
            latin, thai = (f"{given[column]} {family[column]}" for column in range(2))
            native = thai
        return _Person(
            latin, thai, native, nationality, f"+66 80 000 0{number:03d}", rng.choice("fm"),
            min(62, max(18, round(rng.gauss(31, 8)))),
        )  # fmt: skip


def _render_all(rng: Random, slots: Iterable[_Slot]) -> list[Delivery]:
    crowd = _Crowd(rng)
    numbers: Counter[str] = Counter()
    deliveries = []
    for slot in slots:
        numbers[slot.source] += 1
        report = _report(rng, crowd, slot, _native_id(rng, slot, numbers[slot.source]))
        if slot.source == "hotline":
            payload, headers = _hotline(rng, report, slot.kind)
        elif slot.source == "union":
            payload, headers = _union(rng, report, slot.kind), {}
        else:
            payload, headers = _voiceapp(rng, report, slot.kind), {}
        known = (slot.site.workplace_id or None) if slot.site is not None else None
        deliveries.append(
            Delivery(slot.at, slot.source, slot.kind, report.id, payload, headers, known, slot.plan_index)
        )
    return deliveries


def _native_id(rng: Random, slot: _Slot, number: int) -> str:
    if slot.source == "hotline":
        return f"H-{slot.at:%Y}-{number:06d}"
    if slot.source == "union":
        return f"U/{slot.at:%Y}/{number:05d}"
    return f"wv-{rng.getrandbits(40):010x}-{number:05d}"


def _report(rng: Random, crowd: _Crowd, slot: _Slot, native_id: str) -> _Report:
    plan = slot.plan
    person = crowd.someone_new() if plan is not None and plan.kind == "SINGLE_WORKPLACE" else crowd.someone()
    accused = crowd.someone()
    anonymous = rng.random() < 0.15
    indicators = _indicators(rng, plan.indicator if plan is not None else None)
    language = rng.choices(("th", "en"), (54, 46))[0]
    if person.nationality in ("MM", "KH") and rng.random() < 0.12:
        language = "my" if person.nationality == "MM" else "km"
    consent, scopes = _consent(rng, slot.source, aggregate=plan is not None and plan.kind == "OUTBREAK")
    site_text = None
    if slot.site is not None:
        site_text = rng.choice(slot.site.aliases) if rng.random() < 0.12 else slot.site.name
    planted = plan is not None
    submitted_at = slot.at - timedelta(seconds=rng.randrange(5, 240))
    occurred_on: date | None = (submitted_at.astimezone(_BANGKOK) - timedelta(days=_days_ago(rng))).date()
    if slot.kind == "IMPLAUSIBLE":
        occurred_on, submitted_at = rng.choice(
            (
                (date(2187, 5, 1), submitted_at),
                (date(1907, 3, 2), submitted_at),
                (occurred_on, submitted_at.replace(year=2099, day=min(submitted_at.day, 28))),
            )
        )
    elif rng.random() < 0.2:
        occurred_on = None
    return _Report(
        id=native_id,
        submitted_at=submitted_at,
        occurred_on=occurred_on,
        person=person,
        anonymous=anonymous,
        role=rng.choices(tuple(_ROLES), tuple(_ROLES.values()))[0],
        site_text=site_text,
        admin1=slot.admin1 if planted or slot.source != "hotline" or rng.random() < 0.93 else None,
        division=slot.division if planted or rng.random() < 0.85 else None,
        indicators=indicators,
        severity=_severity(rng, indicators),
        language=language,
        text=_narrative(rng, accused, language, person, anonymous, site_text, slot.admin1, indicators),
        consent=consent,
        scopes=scopes,
        workers=rng.choice((2, 3, 5, 8, 12, 20, 40, 120)) if rng.random() < 0.4 else None,
        accused=accused.latin,
    )


def _days_ago(rng: Random) -> int:
    return min(20, int(rng.expovariate(0.45)))


def _indicators(rng: Random, first: str | None) -> tuple[str, ...]:
    """One to three codes without repetition, `first` (if given) in front; now and then a report has none."""
    if first is None and rng.random() < 0.05:
        return ()
    wanted = rng.choices((1, 2, 3), (65, 28, 7))[0]
    codes = tuple(ISSUES)
    weights = tuple(issue.weight for issue in ISSUES.values())
    chosen = [] if first is None else [first]
    while len(chosen) < wanted:
        code = rng.choices(codes, weights)[0]
        if code not in chosen:
            chosen.append(code)
    return tuple(chosen)


def _severity(rng: Random, indicators: Sequence[str]) -> str:
    if not indicators:
        return "LOW"
    if rng.random() < 0.08:
        return "UNKNOWN"
    found = {ISSUES[code].severity for code in indicators}
    if "CRITICAL" in found:
        return "CRITICAL" if rng.random() < 0.6 else "HIGH"
    return "HIGH" if "HIGH" in found else rng.choice(("MEDIUM", "MEDIUM", "LOW"))


def _consent(rng: Random, source: str, *, aggregate: bool) -> tuple[str, tuple[str, ...]]:
    """Consent as the source can record it: the union asks once, for statistics and the case together."""
    roll = 0.0 if aggregate else rng.random()
    if source == "union":
        if roll < 0.85:
            return "YES", ("CASE_HANDLING", "AGGREGATE_STATISTICS")
        return ("NO", ()) if roll < 0.93 else ("UNKNOWN", ())
    if roll < 0.85:
        scopes = ["AGGREGATE_STATISTICS"]
        if rng.random() < 0.37:
            scopes.append("CASE_HANDLING")
            if rng.random() < 0.5:
                scopes.append("CONTACT_BACK")
        return "YES", tuple(scopes)
    if roll < 0.89:
        return "YES", ("CASE_HANDLING",)
    return ("NO", ()) if roll < 0.95 else ("UNKNOWN", ())


def _narrative(
    rng: Random,
    accused: _Person,
    language: str,
    person: _Person,
    anonymous: bool,
    site_text: str | None,
    admin1: str,
    indicators: Sequence[str],
) -> str:
    phone = _as_written(rng, person.phone)
    if language in ("my", "km"):
        lines = _BURMESE_LINES if language == "my" else _KHMER_LINES
        place = site_text or ("စက်ရုံ" if language == "my" else "រោងចក្រ")
        line = lines[2] if anonymous else rng.choice(lines)
        return line.format(name=person.native, place=place, phone=phone)
    if language == "th":
        place = site_text or f"โรงงานแห่งหนึ่งใน{PROVINCES[admin1].app}"
        opening = rng.choice((f"ทำงานอยู่ที่ {place}", f"ผู้ร้องเป็นลูกจ้าง {place}"))
        named = f"{'ผม' if person.gender == 'm' else 'ดิฉัน'}ชื่อ {person.thai} ทำงานที่ {place}"
        told = [rng.choice(ISSUES[code].th) for code in indicators[:2]] or [rng.choice(_GENERAL_TH)]
        boss = f"หัวหน้าชื่อ {accused.thai}"
        closing = (
            ("กรุณาอย่าบอกบริษัท", boss, "", "") if anonymous else (f"โทร {phone}", boss, f"ติดต่อเบอร์ {phone}", "")
        )
    else:
        place = site_text or f"a factory in {PROVINCES[admin1].union}"
        opening = rng.choice(
            (f"I work at {place}.", f"The caller works at {place} in {PROVINCES[admin1].union}.")
        )
        named = rng.choice(
            (f"My name is {person.latin} and I work at {place}.", f"{person.latin} is employed by {place}.")
        )
        told = [rng.choice(ISSUES[code].en) for code in indicators[:2]] or [rng.choice(_GENERAL_EN)]
        boss = f"The supervisor is called {accused.latin}."
        closing = (
            ("Please do not tell the company.", boss, "", "")
            if anonymous
            else (f"Please call {phone} after work.", boss, f"My number is {phone}.", "")
        )
    first = opening if anonymous or rng.random() < 0.5 else named
    return " ".join(part for part in (first, *told, rng.choice(closing)) if part)


def _as_written(rng: Random, phone: str) -> str:
    """The ways people write a number: international, national with dashes, national without."""
    national = "0" + phone.removeprefix("+66 ").replace(" ", "")
    return rng.choice((phone, f"{national[:3]}-{national[3:6]}-{national[6:]}", national))


# --------------------------------------------------------------------------------- how each source says it


def _hotline(rng: Random, report: _Report, kind: str) -> tuple[bytes, dict[str, str]]:
    """Canonical JSON, as `POST /v1/reports` takes it."""
    headers = {"Content-Type": "application/json"}
    person = report.person
    said: dict[str, object] = {
        "id": report.id,
        "submitted_at": report.submitted_at.astimezone(_BANGKOK).isoformat(),
        "channel": rng.choices(tuple(_CHANNELS), tuple(_CHANNELS.values()))[0],
        "language": report.language,
        "reporter_role": report.role,
        "reporter_anonymous": report.anonymous,
        "gender": person.gender,
        "nationality": person.nationality,
        "country": "TH",
        "severity": report.severity,
        "indicators": list(report.indicators),
        "narratives": [{"key": "story", "text": report.text, "lang": report.language}],
        "consent": report.consent,
        "consent_scopes": list(report.scopes),
        "staff_refs": [f"agent-{rng.randrange(1, 13):02d}"],
    }
    optional: dict[str, object | None] = {
        "occurred_on": report.occurred_on.isoformat() if report.occurred_on else None,
        "workplace_name": report.site_text,
        "admin1": report.admin1,
        "isic_division": report.division,
        "workers_affected": report.workers,
    }
    if report.consent == "YES":
        optional["consent_text_id"] = "hotline-2"
    if not report.anonymous:
        optional |= {
            "reporter_name": person.latin,
            "reporter_phones": [person.phone.replace(" ", "")],
            "age_years": person.age,
        }
        if rng.random() < 0.1:
            optional["reporter_emails"] = [person.latin.lower().replace(" ", ".") + "@mail.example"]
        if rng.random() < 0.15:
            optional["safe_contact"] = rng.choice(_TIMES_TO_CALL)
        if rng.random() < 0.03:
            optional["reporter_id_numbers"] = [f"MX{rng.randrange(10**6):06d}"]
        if rng.random() < 0.05:
            optional["reporter_address"] = (
                f"{rng.randrange(1, 200)}/{rng.randrange(1, 40)} Moo {rng.randrange(1, 12)}"
            )
    if report.site_text and rng.random() < 0.1:
        optional["workplace_address"] = (
            f"{rng.randrange(1, 400)} Moo {rng.randrange(1, 12)}, {rng.choice(_DISTRICTS)}"
        )
    if rng.random() < 0.2:
        optional["admin2_text"] = rng.choice(_DISTRICTS)
    if {"DEB", "DEC"} & set(report.indicators) and rng.random() < 0.5:
        optional["recruiter_name"] = rng.choice(_RECRUITERS)
    if rng.random() < 0.04:
        optional["employer_names"] = [report.accused]
    if rng.random() < 0.05:
        optional["brand_names"] = [rng.choice(_BRANDS)]
    if rng.random() < 0.05:
        optional |= {"lat": round(rng.uniform(7, 19), 5), "lon": round(rng.uniform(98.5, 103.5), 5)}
    if rng.random() < 0.01:
        optional["minor_involved"] = True
    if rng.random() < 0.1:
        optional["unmapped"] = {"queue": rng.choice(_QUEUES)}
    said |= {name: value for name, value in optional.items() if value is not None}

    if kind == "MALFORMED":
        name, value = rng.choice(
            (
                ("passport_photo", "attached"),  # no such field
                ("age_years", "about thirty"),
                ("narratives", report.text),
                ("indicators", {"first": "WOW"}),
                ("submitted_at", "yesterday evening"),
                ("consent", "PERHAPS"),
            )
        )
        said[name] = value
    elif kind == "UNAUTHORISED":
        headers["Authorization"] = f"Bearer not-a-token-{rng.getrandbits(64):016x}"
    elif kind == "OVERSIZE":
        said["narratives"] = [{"key": "story", "text": "a " * (OVERSIZE_BYTES // 2), "lang": "en"}]
    return _json(said), headers


def _union(rng: Random, report: _Report, kind: str) -> bytes:
    """A row of the union's complaint book: column name to text."""
    person = report.person
    named = not report.anonymous
    row = dict.fromkeys(UNION_HEADER, "")
    row |= {
        "ref_no": report.id,
        "received": f"{report.submitted_at.astimezone(_BANGKOK):%Y-%m-%d %H:%M}",
        "province": PROVINCES[report.admin1].union if report.admin1 else "",
        "district": rng.choice(_DISTRICTS) if rng.random() < 0.3 else "",
        "workplace": report.site_text or "",
        "sector": TRADES[report.division].union if report.division else "",
        "worker_name": person.latin if named else "",
        "phone": _as_written(rng, person.phone) if named else "",
        "nationality": NATIONALITIES[person.nationality],
        "sex": GENDERS[person.gender],
        "age": str(person.age) if named else "",
        "issues": ";".join(ISSUES[code].union for code in report.indicators),
        "incident_date": report.occurred_on.isoformat() if report.occurred_on else "",
        "workers": str(report.workers) if report.workers else "",
        "urgency": URGENCY_UNION.get(report.severity, ""),
        "complaint": report.text,
        "language": report.language,
        "consent": {"YES": "yes", "NO": "no"}.get(report.consent, rng.choice(("not asked", ""))),
        "officer": rng.choice(_OFFICERS),
        "remarks": rng.choice(("met at the gate", "came with a friend")) if rng.random() < 0.1 else "",
    }
    if kind == "UNMAPPABLE":
        blank = dict.fromkeys(UNION_HEADER, "")
        row = rng.choice(  # a line that breaks off, a subtotal, a line moved sideways
            (
                blank | {"ref_no": report.id, "received": row["received"]},
                blank | {"ref_no": report.id, "district": "Total", "workers": str(rng.randrange(5, 60))},
                blank | {"ref_no": report.id, "workplace": row["complaint"], "age": row["province"]},
            )
        )
    return _json(row)


def _voiceapp(rng: Random, report: _Report, kind: str) -> bytes:
    """One line of the worker-voice app's export."""
    person = report.person
    site: dict[str, object] = {"province": PROVINCES[report.admin1].app if report.admin1 else None}
    if report.site_text:
        site["name"] = report.site_text
    if report.division:
        site["industry"] = TRADES[report.division].app
    if rng.random() < 0.3:
        site["gps"] = {"lat": round(rng.uniform(7, 19), 5), "lng": round(rng.uniform(98.5, 103.5), 5)}
    worker: dict[str, object] = {
        "role": ROLES_APP[report.role],
        "gender": GENDERS[person.gender],
        "nationality": person.nationality,
    }
    if not report.anonymous:
        worker |= {"displayName": person.latin, "phones": [person.phone.replace(" ", "")], "age": person.age}
    consent: dict[str, object] = {"uses": [SCOPES_APP[scope] for scope in report.scopes]}
    if report.consent != "UNKNOWN":
        consent["given"] = "agree" if report.consent == "YES" else "decline"
    answers: dict[str, object] = {
        "site": site,
        "worker": worker,
        "topics": [ISSUES[code].app for code in report.indicators],
        "story": {"text": report.text, "lang": report.language},
        "consent": consent,
    }
    if report.severity in URGENCY_APP:
        answers["urgency"] = URGENCY_APP[report.severity]
    if report.occurred_on:
        answers["happenedOn"] = report.occurred_on.isoformat()
    if report.workers:
        answers["affectedCount"] = report.workers
    line: dict[str, object] = {
        "sessionId": report.id,
        "formId": APP_FORM,
        "formVersion": "3.4",
        "finishedAt": f"{report.submitted_at:%Y-%m-%dT%H:%M:%S}Z",
        "locale": report.language,
        "deviceId": f"dev-{rng.getrandbits(32):08x}",
        "answers": answers,
    }
    if kind == "UNMAPPABLE":
        line = rng.choice(
            (
                line | {"formId": "training-quiz-1", "answers": {"q1": "b", "q2": "a", "score": 7}},
                line | {"answers": {}},
                {"sessionId": report.id, "event": "heartbeat", "battery": rng.randrange(5, 100)},
            )
        )
    return _json(line)


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
