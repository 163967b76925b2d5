"""Mail: what a person wrote, without what programs put around it; who sent it, as far as the own server says so."""

from __future__ import annotations

import json
import time
from datetime import UTC
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.files.charsets import repaired
from connectors.files.letters import words
from connectors.files.letters.headers import file_name
from connectors.files.submit import read
from connectors.intake import Delivery, Skipped
from connectors.mapping import load
from connectors.sources import Source, email
from connectors.systems import Unreadable
from connectors.taking import take

FIXTURES = Path(__file__).parent / "intake"
MANIFEST = json.loads((FIXTURES / "manifest.json").read_text(encoding="utf-8"))["fixtures"]
MAPPING = load("email_complaint")
MTA = "mx.hotline.example.org"
HEAD = "From: Malee <malee@mail.example.org>\r\nSubject: Help\r\nDate: Mon, 16 Nov 2026 21:04:11 +0700\r\nMessage-ID: <1@x.example>\r\n"
THAI = "นายจ้างยึดหนังสือเดินทางและไม่จ่ายค่าจ้าง"


def raw(body: str | bytes = "They keep our passports.\r\n", *more: str, head: str = HEAD) -> bytes:
    lines = "".join(f"{line}\r\n" for line in more)
    return (head + lines + "\r\n").encode() + (body.encode() if isinstance(body, str) else body)


def record(body: str | bytes = "They keep our passports.\r\n", *more: str, mta: str = "") -> dict[str, Any]:
    return email.record(raw(body, *more), mta)


def taken(mail: bytes, authserv_id: str = "") -> Any:
    source = Source("mailbox", connector="email", pull={"authserv_id": authserv_id})
    (found,) = take(source, MAPPING, email.delivered(mail, source), "PULL_TLS")
    return found


@pytest.mark.parametrize("file", ["email__plain.eml", "email__html_th.eml"])
def test_every_mail_comes_to_what_the_manifest_says(file: str) -> None:
    entry = next(f for f in MANIFEST if f["file"] == file)
    (found,) = read(FIXTURES / file, Source("mailbox", connector="email"), MAPPING)
    assert isinstance(found, Delivery) and found.body is not None
    assert found.root_id == entry["native_id"]
    said = entry["expect"]
    assert found.body.submitted_at is not None
    got = {
        "channel": found.body.channel,
        "language": found.body.language,
        "admin1": found.body.admin1,
        "consent_given": found.body.consent,
        "submitted_at": found.body.submitted_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    assert {k: v for k, v in got.items() if k in said} == {
        k: v for k, v in said.items() if k != "indicators_from_text"
    }
    told = " ".join(n.text for n in found.body.narratives)
    assert "track.example.net" not in told and "<" not in told


# Words


def test_of_html_what_is_read_is_left() -> None:
    html = (
        '<html><head><title>CANARY</title><style>p{}</style></head><body><div style="display:none">CANARY</div>'
        "<p>Not&nbsp;paid &amp; <b>locked</b> in<script>CANARY</script><br>since <!-- CANARY --> May</p>"
        '<img src="https://track.example.net/CANARY"><a href="https://CANARY.example">here</a>'
        "<ul><li>one<li>two</ul><blockquote>CANARY<blockquote>CANARY</blockquote></blockquote>5 < 6"
    )
    found = record(html, "Content-Type: text/html; charset=utf-8")["text"]
    assert found == "Not paid & locked in\nsince May\nhere\n\none\ntwo\n\n5 < 6"
    assert "CANARY" not in found


def test_what_a_mail_answers_to_is_left_out_but_never_all_of_it() -> None:
    answer = "Still not paid.\r\n\r\nOn Mon, 16 Nov 2026 at 21:04,\r\nHotline <h@example.org> wrote:\r\n> Are you paid?\r\n"
    assert record(answer + "> Really?\r\n\r\nMalee\r\n")["text"] == "Still not paid.\n\nMalee"
    assert (
        "CANARY" not in record("New words\r\n\r\n-----Original Message-----\r\nFrom: h\r\nCANARY\r\n")["text"]
    )
    only = "> They keep our passports.\r\n"
    assert record(only)["text"] == only.strip()
    quoted = "<blockquote>They keep our passports.</blockquote>"
    assert record(quoted, "Content-Type: text/html")["text"] == "They keep our passports."


def test_what_is_passed_on_is_what_is_said() -> None:
    forwarded = raw("See below\r\n> They keep our passports.\r\n", head=HEAD.replace("Help", "Fwd: Help"))
    assert "They keep our passports" in email.record(forwarded)["text"]


def test_lines_that_flow_are_joined() -> None:
    text = "They keep our \r\npassports.\r\nNobody is paid.\r\n"
    assert (
        record(text, "Content-Type: text/plain; format=flowed")["text"]
        == "They keep our passports.\nNobody is paid."
    )


# Encodings


@pytest.mark.parametrize(
    ("bytes_in", "declared"),
    [
        ("cp874", "tis-620"),
        ("cp874", "windows-874"),
        ("cp874", "iso-8859-11"),
        ("cp874", "iso-8859-1"),
        ("cp874", "windows-1252"),
        ("cp874", "us-ascii"),
        ("cp874", "utf-8"),
        ("cp874", "x-unknown"),
        ("cp874", ""),
        ("utf-8", "tis-620"),
        ("utf-8", "iso-8859-1"),
        ("utf-8", ""),
        ("utf-16", "utf-16"),
    ],
)
def test_thai_is_read_whatever_it_is_called(bytes_in: str, declared: str) -> None:
    kind = f"Content-Type: text/plain{f'; charset={declared}' if declared else ''}"
    assert record(THAI.encode(bytes_in), kind, "Content-Transfer-Encoding: 8bit")["text"] == THAI


def test_other_languages_stay_what_they_are_declared() -> None:
    for text, charset in (
        ("Señor José, ¿qué pasó?", "iso-8859-1"),
        ("Привет, не платят", "koi8-r"),
        ("護照被扣", "big5"),
    ):
        assert record(text.encode(charset), f"Content-Type: text/plain; charset={charset}")["text"] == text


@pytest.mark.parametrize("wrong", ["cp1252", "latin-1", "cp874"])
def test_noise_is_mended_only_where_there_is_one_way(wrong: str) -> None:
    noise = "".join(bytes([b]).decode(wrong, "replace").replace("\ufffd", chr(b)) for b in THAI.encode())
    assert repaired(noise) == THAI
    assert record(f"{noise}\r\nWe are ten.\r\n")["text"] == f"{THAI}\nWe are ten."
    assert record(noise)["note"] == "mojibake repaired"


@pytest.mark.parametrize(
    "text", ["Café à Genève", "Ä Ö Ü", "ÀÉ", "£5 © ™", THAI, "ລາວ", "Łódź", "Ã", "naïve â€"]
)
def test_what_is_no_noise_is_left_alone(text: str) -> None:
    assert repaired(text) == text


def test_subject_and_names_are_read_in_any_encoding() -> None:
    head = (
        b"From: =?tis-620?B?"
        + b"yceywtLC"
        + b"?= <a@x.example>\r\nSubject: "
        + THAI.encode("cp874")
        + b"\r\n\r\nx"
    )
    found = email.record(head)
    assert found["subject"] == THAI
    assert found["from"]["address"] == "a@x.example" and found["from"]["name"].isprintable()


# Headers


def test_no_header_breaks_out_of_its_line() -> None:
    evil = "=?utf-8?q?Help=0D=0ABcc:_CANARY@x.example=00=E2=80=AE?="
    found = email.record(raw(head=f"From: {evil} <a@x.example>\r\nSubject: {evil}\r\n"))
    for text in (found["subject"], found["from"]["name"]):
        assert text == "Help Bcc: CANARY@x.example"
    assert email.record(raw(head="From: a\r\n b <c@x.example>\r\nSubject: x\r\n y\r\n"))["subject"] == "x y"


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Tue, 17 Nov 2026 08:00:00 +0700", "2026-11-17T08:00:00+07:00"),
        ("17 Nov 2026 01:00 GMT", "2026-11-17T01:00:00+00:00"),
        ("17 Nov 2569 01:00 +0700", "2026-11-17T01:00:00+07:00"),
        ("Tue, 17 Nov 2026 08:00:00 -0000", "2026-11-17T08:00:00+00:00"),
        ("Tue, 17 Nov 2026 08:00:00", None),
        ("yesterday +0700", None),
        ("", None),
    ],
)
def test_a_time_has_a_zone_or_is_none(date: str, expected: str | None) -> None:
    assert email.record(raw(head=f"From: a@x.example\r\nDate: {date}\r\n"))["date"] == expected


def test_without_a_date_the_servers_own_time_counts() -> None:
    head = "Received: from a by b; Tue, 17 Nov 2026 09:00:00 +0700\r\nFrom: a@x.example\r\n"
    assert email.record(raw(head=head))["date"] == "2026-11-17T09:00:00+07:00"


def test_a_thread_is_named_by_its_first_mail() -> None:
    found = record("more", "References: <0@x.example> <5@x.example>", "In-Reply-To: <5@x.example>")
    assert (found["message_id"], found["thread_root"], found["reply"]) == (
        "<1@x.example>",
        "<0@x.example>",
        True,
    )
    delivery = taken(raw("More was taken.", "In-Reply-To: <5@x.example>"))
    assert (delivery.root_id, delivery.op) == ("<5@x.example>", "UPDATE")
    assert record()["thread_root"] == "<1@x.example>"


def test_a_mail_without_an_id_is_known_by_its_bytes() -> None:
    one, other = raw(head="From: a@x.example\r\n"), raw("else", head="From: a@x.example\r\n")
    assert (
        email.record(one)["message_id"]
        == email.record(one)["message_id"]
        != email.record(other)["message_id"]
    )
    assert len(email.record(raw(head=f"From: a@x\r\nMessage-ID: <{'a' * 900}@x>\r\n"))["message_id"]) < 200


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("Auto-Submitted: auto-replied", "AUTO_REPLY"),
        ("Auto-Submitted: auto-generated (holiday)", "AUTO_REPLY"),
        ("Auto-Submitted: no", "MESSAGE"),
        ("X-Autoreply: yes", "AUTO_REPLY"),
        ("Precedence: auto_reply", "AUTO_REPLY"),
        ("Precedence: bulk", "LIST"),
        ("List-Id: <news.x.example>", "LIST"),
        ("List-Unsubscribe: <https://x.example>", "LIST"),
        ("Return-Path: <>", "BOUNCE"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=b", "BOUNCE"),
        ("X-Priority: 1", "MESSAGE"),
    ],
)
def test_what_a_program_sent_is_no_report(line: str, kind: str) -> None:
    assert record("text", line)["kind"] == kind
    assert isinstance(taken(raw("text", line)), Skipped) == (kind != "MESSAGE")


AR = (
    "Authentication-Results: {}; dkim=pass header.d=mail.example.org; dmarc=pass header.from=mail.example.org"
)


@pytest.mark.parametrize(
    ("lines", "mta", "passed"),
    [
        ([AR.format(MTA)], MTA, True),
        ([AR.format(MTA.upper())], MTA, True),
        ([AR.format(MTA + " 1")], MTA, True),
        ([AR.format(MTA)], "", False),
        ([AR.format("mx.else.example")], MTA, False),
        ([AR.format(f"mx.else.example ({MTA})")], MTA, False),
        ([AR.format(MTA).replace("=pass", "=fail"), AR.format(MTA)], MTA, False),
        ([f"Authentication-Results: {MTA}; dkim=pass header.d=mail.example.org"], MTA, True),
        ([f"Authentication-Results: {MTA}; dkim=pass header.i=@example.org"], MTA, True),
        ([f"Authentication-Results: {MTA}; dkim=pass header.d=else.example"], MTA, False),
        ([f"Authentication-Results: {MTA}; dkim=pass header.d=org"], MTA, False),
        ([f"Authentication-Results: {MTA}; dkim=pass header.d=mail.example.org; dmarc=fail"], MTA, False),
        ([f"Authentication-Results: {MTA}; spf=pass smtp.mailfrom=mail.example.org"], MTA, False),
        ([f"Authentication-Results: {MTA}; none (dmarc=pass)"], MTA, False),
        ([AR.format(MTA), "From: boss@else.example"], MTA, False),
    ],
)
def test_only_the_own_server_says_who_sent_a_mail(lines: list[str], mta: str, passed: bool) -> None:
    assert record("text", *lines, mta=mta)["auth"]["passed"] is passed


def test_a_mail_that_nobody_vouches_for_takes_the_place_of_no_other_where_the_server_says_so() -> None:
    line = "In-Reply-To: <0@x.example>"
    forged, proven = taken(raw("x", line), MTA), taken(raw("x", line, AR.format(MTA)), MTA)
    assert (forged.root_id, forged.op) == ("<1@x.example>", "CREATE")
    assert (proven.root_id, proven.op) == ("<0@x.example>", "UPDATE")


@pytest.mark.parametrize(
    "words_of_a_worker",
    [
        "Please DELETE  my report",
        "I want to withdraw my complaint now",
        "กรุณาลบรายงานของฉัน",
        "ขอถอนคำร้องค่ะ",
        "ကျေးဇူးပြု၍ ကျွန်တော့်တိုင်ကြားချက်ကို ဖျက်ပေးပါ",
        "សូមលុបរបាយការណ៍របស់ខ្ញុំ",
        "ກະລຸນາລຶບລາຍງານຂອງຂ້ອຍ",
        "Xin hãy xóa báo cáo của tôi",
        "Tolong hapus laporan saya",
        "कृपया मेरो उजुरी हटाउनुहोस्",
        "আমার অভিযোগ মুছে দিন",
        "请删除我的举报",
    ],
)
def test_words_that_may_ask_for_a_withdrawal_wait_for_somebody(words_of_a_worker: str) -> None:
    found = taken(raw(words_of_a_worker, "Content-Type: text/plain; charset=utf-8"))
    assert isinstance(found, Delivery)
    assert (found.body, found.reason) == (None, "WITHDRAWAL_ASKED")


# Parts


def test_files_are_listed_and_a_mail_in_a_mail_is_one() -> None:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@x.example", "Help"
    message.set_content("See the photo.")
    message.add_alternative("<p>See <b>the</b> photo.</p>", subtype="html")
    message.add_attachment(
        b"\x89PNG" + bytes(996), maintype="image", subtype="png", filename="../../etc/pass\u202ewd.png"
    )
    inner = EmailMessage()
    inner["Subject"] = "Inner"
    inner.set_content("CANARY")
    message.add_attachment(inner)
    found = email.record(message.as_bytes())
    assert found["text"] == "See the photo."
    assert [(a["name"], a["mime"], a["bytes"]) for a in found["attachments"]] == [
        ("pass wd.png", "image/png", 1000),
        (None, "message/rfc822", None),
    ]
    delivery = taken(message.as_bytes())
    assert delivery.body is not None and len(delivery.body.attachments) == 2
    assert delivery.body.attachments[0].action == "LISTED"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\boss\\a.pdf", "a.pdf"),
        (".hidden", "hidden"),
        ("a\r\nX: y", "a X: y"),
        ("=?utf-8?b?4Liq4LmI4Lin4LiZ?=.pdf", "ส่วน.pdf"),
        ("..", None),
        (None, None),
        ("x" * 500 + ".pdf", "x" * 146 + ".pdf"),
    ],
)
def test_a_files_name_leads_nowhere(given: str | None, expected: str | None) -> None:
    assert file_name(given) == expected


def test_an_mbox_is_its_mails() -> None:
    from io import BytesIO

    box = (
        b"From a Mon Nov 16\n" + raw("one\r\n\r\n>From here on\r\n") + b"\nFrom b Mon Nov 16\n" + raw("two\n")
    )
    one, two = (email.record(m) for m in email.messages(BytesIO(box)))
    assert (one["text"], two["text"]) == ("one\n\nFrom here on", "two")


@pytest.mark.parametrize(
    "wrong", [b"", b"\n\nbody", b"id,text\n1,a\n", b"\xff\xfe\x00", b"X-Only: x\n\nbody"]
)
def test_what_is_no_mail_is_unreadable(wrong: bytes) -> None:
    with pytest.raises(Unreadable, match="shape"):
        email.record(wrong)


def test_nesting_and_size_have_ends() -> None:
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(40))
    with pytest.raises(Unreadable, match="depth"):
        email.record(HEAD.encode() + nested.encode() + b"\r\nx")
    many = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(5000))
    with pytest.raises(Unreadable, match="depth"):
        email.record(HEAD.encode() + many.encode() + b"\r\nx")
    with pytest.raises(Unreadable, match="size"):
        email.record(raw("x" * (26 << 20)))
    with pytest.raises(Unreadable, match="size"):
        email.record(raw(head=HEAD + "X: y\r\n" * 100_000))


@pytest.mark.parametrize(
    "unit", ["<!--", "<a ", "<a '", '<a "', "<", "</", "<script>", "&#", "<!", "<blockquote>", "<p><"]
)
def test_html_takes_time_as_long_as_it_is(unit: str) -> None:
    began = time.process_time()
    words.of_html(unit * (400_000 // len(unit)), quotes=False)
    assert time.process_time() - began < 5


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=500),
    st.sampled_from([b"", HEAD.encode() + b"\r\n", HEAD.encode() + b"Content-Type: text/html\r\n\r\n"]),
)
def test_any_bytes_are_a_record_or_unreadable(body: bytes, head: bytes) -> None:
    try:
        found = email.record(head + body, MTA)
    except Unreadable as refusal:
        assert str(refusal) in {"encoding", "syntax", "shape", "depth", "size"}
    else:
        json.dumps(found, ensure_ascii=False).encode()


HEADERS = st.sampled_from(
    "From To Date Subject Message-ID References Content-Type Content-Transfer-Encoding Content-Disposition"
    " Authentication-Results MIME-Version Received".split()
)
VALUES = st.text(
    st.sampled_from(list('()<>@,;:\\"/[]?=.\t abn0\r\u0e01')) | st.characters(max_codepoint=255), max_size=60
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(HEADERS, VALUES), max_size=8), st.text(max_size=100))
def test_any_headers_are_a_record_or_unreadable(lines: list[tuple[str, str]], body: str) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    try:
        found = email.record(f"From: a@x.example\r\n{head}\r\n{body}".encode(), MTA)
    except Unreadable as refusal:
        assert str(refusal) in {"encoding", "syntax", "shape", "depth", "size"}
    else:
        json.dumps(found, ensure_ascii=False).encode()
