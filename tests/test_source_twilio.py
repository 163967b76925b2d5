"""Twilio: messages, calls and recordings, as forms and as events; who withheld their number is nobody."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
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

from connectors.sources.twilio import SYSTEM
from connectors.systems import Delivered, Record, Unreadable

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
