"""Twilio: messages, calls and recordings, as forms and as events; who withheld their number is nobody."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from form_servers import fetched, swept
from intake_fixtures import (
    INTAKE,
    MANIFEST,
    assert_as_the_manifest_says,
    delivered,
    only,
    outcome,
    read,
    taken,
)
from local_api import asking, served

from connectors.sources.twilio import SYSTEM
from connectors.systems import Delivered, Listed, Page, Record, Unreadable

SMS, VOICE, WHATSAPP = (f"twilio__{n}.txt" for n in ("sms_inbound", "voice_inbound", "whatsapp_inbound"))
FORM = "application/x-www-form-urlencoded; charset=UTF-8"


def form(**given: str) -> Record:
    return SYSTEM.records(Delivered(urlencode(given).encode(), FORM))[0]


@pytest.mark.parametrize(
    ("name", "kind", "scheme", "phone", "media"),
    [
        (SMS, "message", "sms", "+66800000501", 0),
        (VOICE, "call", "voice", "+66800000502", 0),
        (WHATSAPP, "message", "whatsapp", "+66800000503", 1),
    ],
)
@pytest.mark.parametrize("content_type", [FORM, ""])
def test_each_form_is_read(
    name: str, kind: str, scheme: str, phone: str, media: int, content_type: str
) -> None:
    record = SYSTEM.records(Delivered((INTAKE / name).read_bytes(), content_type))[0]
    assert (record["kind"], record["scheme"], record["phone"]) == (kind, scheme, phone)
    assert record["report_id"] == MANIFEST[name]["native_id"]
    assert len(record["media"]) == media and not record["withheld"]


def test_the_key_to_a_call_is_not_kept() -> None:
    assert b"CallToken" in delivered(VOICE).body
    assert "CallToken" not in SYSTEM.records(delivered(VOICE))[0]


@pytest.mark.parametrize(
    "number",
    [
        "+266696687",
        "266696687",
        "+7378742833",
        "+2562533",
        "+8656696",
        "+86282452253",
        "anonymous",
        "Restricted",
        "",
        "unavailable",
        "whatsapp:",
        "whatsapp:anonymous",
    ],
)
def test_who_withheld_the_number_is_nobody(number: str) -> None:
    record = form(CallSid="CA1", From=number)
    assert record["withheld"] and record["phone"] is None


@pytest.mark.parametrize("number", ["+66800000501", "+2666966871", "26669668", "+66anonymous"])
def test_other_numbers_are_numbers(number: str) -> None:
    assert form(CallSid="CA1", From=number)["phone"] == number


def test_a_voice_note_has_no_body() -> None:
    record = form(
        MessageSid="MM1",
        From="whatsapp:+66800000599",
        NumMedia="2",
        MediaUrl0="https://api.twilio.com/a",
        MediaContentType0="audio/ogg",
        MediaUrl1="https://api.twilio.com/b",
        MessageType="audio",
    )
    assert "Body" not in record
    assert record["media"] == [
        {"url": "https://api.twilio.com/a", "content_type": "audio/ogg"},
        {"url": "https://api.twilio.com/b", "content_type": None},
    ]


def test_a_recording_belongs_to_its_call() -> None:
    record = form(
        CallSid="CA1", RecordingSid="RE1", RecordingUrl="https://api.twilio.com/RE1", From="+66800000501"
    )
    assert (record["kind"], record["report_id"]) == ("recording", "CA1")
    assert [m["url"] for m in record["media"]] == ["https://api.twilio.com/RE1"]
    assert form(RecordingSid="RE1")["report_id"] == "RE1"


def test_events_are_read_like_forms() -> None:
    event = {
        "specversion": "1.0",
        "type": "com.twilio.messaging.inbound-message.received",
        "id": "EZ1",
        "data": {"messageSid": "SM1", "from": "+66800000501", "body": "ကူညီပါ", "numMedia": 0},
    }
    for value in (event, [event]):
        (record,) = read("twilio", value)
        assert (record["report_id"], record["phone"], record["Body"]) == ("SM1", "+66800000501", "ကူညီပါ")
        assert record["EventType"] == event["type"]
    (record,) = read("twilio", {"message_sid": "SM2", "from": "whatsapp:+66800000501", "body": "hi"})
    assert (record["report_id"], record["scheme"]) == ("SM2", "whatsapp")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "shape"),
        (b"Body=CANARY", "shape"),
        (b"MessageSid=SM1&Body=%ff", "encoding"),
        (b"MessageSid=SM1&Body=\xff", "encoding"),
        (b"&".join(b"a=1" for _ in range(100_000)), "size"),
        (b"{}", "shape"),
        (b'{"messageSid": 7}', "shape"),
        (b'{"specversion": "1.0", "data": "CANARY"}', "shape"),
        (b"[7]", "shape"),
    ],
)
def test_what_twilio_does_not_send_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        SYSTEM.records(Delivered(body))
    assert str(caught.value) == why


def test_a_name_that_comes_twice_counts_once() -> None:
    assert SYSTEM.records(Delivered(b"MessageSid=SM1&Body=one&Body=two", FORM))[0]["Body"] == "one"


def test_a_good_answer_is_empty() -> None:
    answers: Any = SYSTEM.answers
    assert (answers.accepted, answers.bad, answers.busy) == (204, 204, 503)


@pytest.mark.parametrize("name", [SMS, VOICE, WHATSAPP])
def test_the_fixtures_become_what_the_manifest_says(name: str) -> None:
    (one,) = assert_as_the_manifest_says(name, HOTLINE)
    told = MANIFEST[name]["expect"]
    if "narrative" in told and told["narrative"] is None:
        assert only([one]).body.narratives == ()


# Its API.


class Account:
    """Lists as their source has them: newest first, dates to the day, a token that names the next row."""

    def __init__(self, messages: int = 0, calls: int = 0) -> None:
        self.asked: list[dict[str, str]] = []
        self.rows = {
            "messages": [self.message(f"SM{n:03}", hour=n) for n in range(messages)],
            "calls": [self.call(f"CA{n:03}", hour=n, minute=30) for n in range(calls)],
        }

    @staticmethod
    def when(hour: int, minute: int = 0) -> str:
        return (
            f"{'Mon' if hour < 24 else 'Tue'}, {16 + hour // 24} Nov 2026 {hour % 24:02}:{minute:02}:07 +0000"
        )

    def message(self, sid: str, hour: int, **more: Any) -> dict[str, Any]:
        told = {
            "sid": sid,
            "direction": "inbound",
            "status": "received",
            "num_media": "0",
            "body": f"body {sid}",
        }
        route = {"account_sid": "AC1", "from": "+66800000501", "to": "+66800009998", "price": None}
        return told | route | {"date_created": self.when(hour), "date_sent": self.when(hour)} | more

    def call(self, sid: str, hour: int, minute: int, **more: Any) -> dict[str, Any]:
        told = {
            "sid": sid,
            "direction": "inbound",
            "status": "completed",
            "caller_name": None,
            "duration": "60",
        }
        route = {"account_sid": "AC1", "from": "+266696687", "to": "+66800009998"}
        return told | route | {"date_created": "", "start_time": self.when(hour, minute)} | more

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        if headers.get("authorization") != "Basic " + "U0sxOmtleQ==":  # SK1:key
            return 401, {}
        self.asked.append(query | {"path": path})
        name = path.removeprefix("/2010-04-01/Accounts/AC1/").removesuffix(".json").lower()
        if name.endswith("/media"):
            uri = path.removesuffix(".json")
            return 200, {"media_list": [{"content_type": "audio/ogg", "uri": f"{uri}/ME1.json"}]}
        what, _, sid = name.partition("/")
        if sid:
            found = [row for row in self.rows[what] if row["sid"].lower() == sid]
            return (200, found[0]) if found else (404, {})
        rows = sorted(self.rows[what], key=lambda row: row["sid"], reverse=True)
        day = query.get("DateSent>") or query.get("StartTime>") or ""
        rows = [r for r in rows if f"2026-11-{(r.get('date_sent') or r.get('start_time'))[5:7]}" >= day]
        rows = [r for r in rows if r["sid"] < query.get("PageToken", "Z")]
        size = int(query["PageSize"])
        more = httpx.QueryParams(query | {"PageToken": rows[size - 1]["sid"]}) if len(rows) > size else None
        return 200, {what: rows[:size], "next_page_uri": f"{path}?{more}" if more else None}


def pull(url: str, checkpoint: str | None = None, **options: str) -> list[Page]:
    told = {"url": f"{url}/2010-04-01/Accounts/AC1", "page_size": "4", **options}
    with asking(url, SYSTEM.pull.login(told, "SK1:key")) as http:
        return list(SYSTEM.pull.since(http, told, checkpoint))


def ids(pages: list[Page]) -> list[str]:
    return [record["report_id"] for page in pages for record in page.records]


def test_the_oldest_comes_first_though_the_newest_is_listed_first_and_the_rest_comes_from_a_checkpoint() -> (
    None
):
    account = Account(30, 30)
    with served(account) as url:
        messages = pull(url)
        assert ids(messages) == [f"SM{n:03}" for n in range(30)]
        assert {query["path"][-13:] for query in account.asked} == {"Messages.json"}
        both = pull(url, what="calls,messages")
        assert ids(both) == [f"{kind}{n:03}" for n in range(30) for kind in ("SM", "CA")]
        assert messages[-1].checkpoint == "2026-11-17T05:00:07+00:00"
        account.asked.clear()
        again = pull(url, "2026-11-17T02:30:07+00:00", what="messages,calls")
        assert ids(again) == ["CA026", "SM027", "CA027", "SM028", "CA028", "SM029", "CA029"]
        first = [query for query in account.asked if "PageToken" not in query]
        assert [query.get("DateSent>") or query.get("StartTime>") for query in first] == ["2026-11-17"] * 2


def test_every_page_has_a_checkpoint_of_its_own() -> None:
    account = Account()
    account.rows["messages"] = [account.message(f"SM{n:03}", hour=n // 20) for n in range(450)]
    with served(account) as url:
        pages = pull(url, page_size="1000")
        assert [(len(p.records), p.checkpoint) for p in pages] == [
            (200, "2026-11-16T09:00:07+00:00"),
            (200, "2026-11-16T19:00:07+00:00"),
            (50, "2026-11-16T22:00:07+00:00"),
        ]
        rest = ids(pull(url, pages[0].checkpoint, page_size="1000"))
        assert {*rest} == {f"SM{n:03}" for n in range(180, 450)}, "all of its second again"


def test_a_message_of_the_list_has_the_names_of_the_webhook_and_its_media() -> None:
    account = Account()
    account.rows["messages"] = [
        account.message("MM1", 3, num_media="1", body="", **{"from": "whatsapp:+661"})
    ]
    with served(account) as url:
        (record,) = pull(url)[0].records
        picture = f"{url}/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"
        assert record == {
            "kind": "message",
            "report_id": "MM1",
            "scheme": "whatsapp",
            "phone": "+661",
            "withheld": False,
            "media": [{"url": picture, "content_type": "audio/ogg"}],
            "AccountSid": "AC1",
            "From": "whatsapp:+661",
            "To": "+66800009998",
            "MessageSid": "MM1",
            "Body": "",
            "NumMedia": "1",
            "SmsStatus": "received",
            "MediaUrl0": picture,
            "MediaContentType0": "audio/ogg",
            "Timestamp": "2026-11-16T03:00:07+00:00",
        }


def test_what_we_sent_and_what_has_not_come_whole_is_no_report() -> None:
    account = Account(1, 1)
    account.rows["messages"] += [
        account.message("SM101", 1, direction="outbound-reply"),
        account.message("SM102", 1, direction="outbound-api"),
        account.message("SM103", 1, status="receiving"),
    ]
    account.rows["calls"].append(account.call("CA101", 1, 0, direction="outbound-dial"))
    with served(account) as url:
        told = {"url": f"{url}/2010-04-01/Accounts/AC1", "what": "messages,calls", "page_size": "9"}
        assert ids(pull(url, what="messages,calls")) == ["SM000", "CA000"]
        assert swept(SYSTEM.pull, told, "SK1:key") == [
            Listed("SM000", "", at=datetime(2026, 11, 16, 0, 0, 7, tzinfo=UTC)),
            Listed("CA000", "", at=datetime(2026, 11, 16, 0, 30, 7, tzinfo=UTC)),
        ]
        asked = ["SM101", "CA000", "SM999", "SM000"]
        assert [r["report_id"] for r in fetched(SYSTEM.pull, told, asked, "SK1:key")] == ["CA000", "SM000"]


def test_a_page_of_a_list_is_read_from_a_file_too() -> None:
    account = Account(2, 1)
    account.rows["messages"].append(account.message("SM101", 1, direction="outbound-reply"))
    for what, number in (("messages", 2), ("calls", 1)):
        records = read("twilio", {what: account.rows[what], "next_page_uri": None})
        assert len(records) == number and {r["kind"] for r in records} == {what[:-1]}
    (one,) = read("twilio", account.rows["calls"][0])
    assert one["withheld"] and one["CallStatus"] == "completed"


@pytest.mark.parametrize("number", ["+6680000XXXX", "whatsapp:+6680000XXXX"])
def test_a_number_that_was_blacked_out_is_nobody(number: str) -> None:
    record = form(MessageSid="SM1", From=number)
    assert record["withheld"] and record["phone"] is None


@pytest.mark.parametrize(
    "page",
    [
        [],
        {},
        {"messages": 7},
        {"messages": [{}]},
        {"messages": [{"sid": "SM1"}]},
        {"messages": [{"sid": 1, "direction": "inbound"}]},
        {"messages": [{"sid": "SM1", "direction": "inbound", "date_sent": "CANARY"}]},
        {"messages": [{"sid": "SM1", "direction": "inbound", "date_sent": {"CANARY": 1}}]},
    ],
)
def test_a_list_that_is_none_is_refused(page: Any) -> None:
    with served(lambda *_: (200, page)) as url, pytest.raises(Unreadable, match=r"^shape$"):
        pull(url)


@pytest.mark.parametrize("options", [{"what": "faxes"}, {"what": "messages,"}, {"what": ""}])
def test_lists_that_are_none_are_refused_before_anything_is_asked(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="what is"):
        SYSTEM.pull.login(options, "AC1:token")


HOTLINE = "twilio_hotline"


def became(**given: str) -> Any:
    body = urlencode({"AccountSid": "AC1", **given}).encode()
    (one,) = taken(HOTLINE, Delivered(body, FORM))
    return outcome(one)


@pytest.mark.parametrize(
    ("given", "op"),
    [
        ({"MessageSid": "S", "Body": "STOP", "OptOutType": "STOP"}, "WITHDRAWAL_ASKED"),
        ({"MessageSid": "S", "Body": " stop "}, "WITHDRAWAL_ASKED"),
        ({"MessageSid": "S", "Body": "Stop", "SmsStatus": "received"}, "WITHDRAWAL_ASKED"),
        ({"MessageSid": "S", "Body": "ขอถอนคำร้องครับ"}, "WITHDRAWAL_ASKED"),
        ({"MessageSid": "S", "Body": "they stop us at the gate"}, "CREATE"),
        ({"MessageSid": "S", "Body": "HELP", "OptOutType": "HELP"}, "CREATE"),
        ({"MessageSid": "S", "Body": "START", "OptOutType": "START"}, "CREATE"),
        ({"MessageSid": "S", "SmsStatus": "delivered", "MessageStatus": "delivered"}, "IGNORE"),
        ({"MessageSid": "S", "SmsStatus": "sent"}, "IGNORE"),
        ({"CallSid": "C", "CallStatus": "ringing", "Direction": "inbound"}, "CREATE"),
        ({"CallSid": "C", "CallStatus": "completed", "Direction": "inbound"}, "UPDATE"),
        ({"CallSid": "C", "CallStatus": "no-answer", "Direction": "inbound"}, "IGNORE"),
        ({"CallSid": "C", "CallStatus": "busy"}, "IGNORE"),
        ({"CallSid": "C", "CallStatus": "completed", "Direction": "outbound-api"}, "IGNORE"),
        ({"CallSid": "C", "RecordingSid": "R", "RecordingUrl": "https://api.twilio.com/R"}, "UPDATE"),
    ],
)
def test_what_becomes_of_messages_and_calls(given: dict[str, str], op: str) -> None:
    assert became(**given)["op"] == op


@pytest.mark.parametrize(
    ("given", "channel"),
    [
        ({"MessageSid": "S", "From": "+66800000501"}, "SMS"),
        ({"MessageSid": "S", "From": "whatsapp:+66800000501"}, "WHATSAPP"),
        ({"MessageSid": "S", "From": "messenger:12345"}, "FACEBOOK"),
        ({"MessageSid": "S", "From": "martian:12345"}, "OTHER"),
        ({"CallSid": "C"}, "VOICE_CALL"),
        ({"CallSid": "C", "SpeechResult": "they beat us"}, "IVR"),
        ({"CallSid": "C", "RecordingSid": "R"}, "VOICEMAIL"),
        ({"CallSid": "C", "RecordingSid": "R", "RecordingSource": "DialVerb"}, "VOICE_CALL"),
    ],
)
def test_channels(given: dict[str, str], channel: str) -> None:
    assert became(**given)["channel"] == channel


def test_a_withheld_number_leaves_no_identity() -> None:
    told = became(CallSid="C", From="+266696687", Caller="+266696687", FromCountry="LS", CallStatus="ringing")
    assert told["reporter_phones"] == () and told["reporter_anonymous"] and told["country"] == "TH"


def test_a_voice_note_is_a_report_without_words() -> None:
    told = became(
        MessageSid="M",
        From="whatsapp:+66800000599",
        ProfileName="Zaw",
        MediaUrl0="https://api.twilio.com/0",
        MediaContentType0="audio/ogg",
    )
    assert (told["op"], told["narratives"], told["n_attachments"]) == ("CREATE", (), 1)
    assert told["attachments"][0].mime == "audio/ogg" and told["reporter_name"] == "Zaw"


def test_a_message_that_comes_twice_is_a_repeat_whatever_the_order_of_its_fields() -> None:
    first = only(taken(HOTLINE, delivered(SMS)))
    turned = b"&".join(reversed(delivered(SMS).body.split(b"&")))
    again = only(taken(HOTLINE, Delivered(turned, FORM)))
    assert (first.root_id, first.payload) == (again.root_id, again.payload)


def test_what_no_number_of_ours_sent_is_refused() -> None:
    (one,) = taken(HOTLINE, Delivered(b"MessageSid=SM1&Body=hello", FORM))
    assert outcome(one)["op"] == "UNMAPPABLE"
    (one,) = taken(HOTLINE, Delivered(b"hello=1", FORM))
    assert outcome(one)["op"] == "UNREADABLE"


def test_words_of_every_script_and_length() -> None:
    text = "ငါတို့ကို သော့ခတ်ထားတယ် ကယ်ပါ။ " * 1200
    told = became(MessageSid="S", Body=text)
    assert told["language"] == "my" and told["narratives"][0].text.strip() == text.strip()
    assert became(MessageSid="S", Body="พวกเราอยู่ที่สมุทรสาคร")["admin1"] == "TH-74"
    assert became(MessageSid="S", Latitude="13.5", Longitude="x")["lat"] == 13.5
