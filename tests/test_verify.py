"""Every scheme: right and wrong proofs, rotation, changed bodies and URLs, headers that are missing or no text."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator

from connectors.sources import Source, token_digest
from connectors.systems import Delivered
from connectors.verify import Unauthorised, verify

INTAKE = Path(__file__).parent / "intake"
MANIFEST = {f["file"]: f for f in json.loads((INTAKE / "manifest.json").read_text())["fixtures"]}
SCHEMES = {
    "twilio_hmac_sha1": "twilio",
    "ushahidi_hmac_sha256_url_body": "ushahidi",
    "typeform_hmac_sha256_body": "typeform",
}
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
URL = "https://intake.example.org/in/twilio/x?org=a"


def fixture(name: str) -> tuple[Source, Delivered, str]:
    told = MANIFEST[name]
    headers = {k.lower(): v for k, v in told["headers"].items()}
    delivered = Delivered(
        (INTAKE / name).read_bytes(), headers["content-type"], told.get("url") or "", headers
    )
    return Source("hotline", scheme=SCHEMES[told["verify"]["scheme"]]), delivered, told["verify"]["secret"]


SIGNED = sorted(n for n, f in MANIFEST.items() if (f.get("verify") or {}).get("scheme") in SCHEMES)


def refused(source: Source, delivered: Delivered, path: str = "", secrets: tuple[str, ...] = ()) -> None:
    with pytest.raises(Unauthorised) as caught:
        verify(source, delivered, path, secrets)
    assert str(caught.value) == ""


def test_every_scheme_of_the_manifest_that_signs_is_here() -> None:
    assert {MANIFEST[n]["verify"]["scheme"] for n in SIGNED} == set(SCHEMES)


@pytest.mark.parametrize("name", SIGNED)
def test_a_signed_fixture_is_verified_by_its_secret_and_while_it_is_rotated(name: str) -> None:
    source, delivered, secret = fixture(name)
    for live in ([secret], [secret, "new"], ["old", secret]):
        assert verify(source, delivered, "", live) == "SIGNATURE"


@pytest.mark.parametrize("name", SIGNED)
def test_a_signed_fixture_is_refused_when_anything_is_changed(name: str) -> None:
    source, delivered, secret = fixture(name)
    for live in ((), ("",), ("old", "new"), (secret + "x",), (secret.upper(),)):
        refused(source, delivered, "", live)
    refused(source, replace(delivered, body=delivered.body.replace(b"1", b"2", 1)), "", (secret,))
    refused(source, replace(delivered, body=b""), "", (secret,))
    refused(source, replace(delivered, body=b"\xff"), "", (secret,))
    for header in ("", "é", "\ud800", "sha256=", "a" * 10_000):
        headers = {k: header if "signature" in k else v for k, v in delivered.headers.items()}
        refused(source, replace(delivered, headers=headers), "", (secret,))
    refused(source, replace(delivered, headers={}), "", (secret,))


@pytest.mark.parametrize("name", [n for n in SIGNED if not n.startswith("typeform")])
def test_where_the_url_is_signed_another_url_is_refused(name: str) -> None:
    source, delivered, secret = fixture(name)
    for url in (
        "",
        delivered.url + "/",
        delivered.url.replace("https", "http"),
        delivered.url + "?a=b",
        "https://a:b/",
        "https://[",
    ):
        refused(source, replace(delivered, url=url), "", (secret,))


def twilio(
    body: bytes, url: str = URL, content_type: str = FORM, algorithm: str = "HMAC_SHA1", **signed: str
) -> Delivered:
    """Sign as Twilio does: the URL, then names and values in the order of the names."""
    text = url + "".join(f"{k}{v}" for k, v in sorted(signed.items()))
    how = hashlib.sha256 if algorithm == "HMAC_SHA256" else hashlib.sha1
    mac = base64.b64encode(hmac.new(b"token", text.encode(), how).digest()).decode()
    headers = {"x-twilio-signature": mac}
    if algorithm != "HMAC_SHA1":
        headers["x-twilio-webhooks-signature-settings"] = f"key=webhooks_sharedkey_1,algorithm={algorithm}"
    return Delivered(body, content_type, url, headers)


TWILIO = Source("hotline", scheme="twilio")


def test_twilios_new_signature_is_read_and_the_two_are_not_taken_for_one_another() -> None:
    new = twilio(b"Body=hi&Empty=", algorithm="HMAC_SHA256", Body="hi", Empty="")
    assert verify(TWILIO, new, "", ["old", "token"]) == "SIGNATURE"
    refused(TWILIO, replace(new, body=b"Body=ho&Empty="), "", ("token",))
    for settings in (
        "",
        "key=a",
        "key=a,algorithm=HMAC_SHA1",
        "algorithm=NONE",
        "algorithm=\u0130",
        "\ud800",
    ):
        changed = {**new.headers, "x-twilio-webhooks-signature-settings": settings}
        refused(TWILIO, replace(new, headers=changed), "", ("token",))


def test_an_unknown_algorithm_is_not_written_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    refused(TWILIO, twilio(b"Body=hi", algorithm="CANARY", Body="hi"), "", ("token",))
    assert "CANARY" not in caplog.text


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("https://a.example.org/x?y=1", "https://a.example.org:443/x?y=1"),
        ("https://a.example.org:443/x?y=1", "https://a.example.org/x?y=1"),
        ("http://a.example.org/x", "http://a.example.org:80/x"),
    ],
)
def test_twilio_signs_the_url_with_or_without_the_default_port(ours: str, theirs: str) -> None:
    delivered = twilio(b"Body=hi", url=theirs, Body="hi")
    assert verify(TWILIO, replace(delivered, url=ours), "", ["token"]) == "SIGNATURE"


def test_twilio_signs_the_hash_of_a_json_body() -> None:
    body = '{"text": "ကူညီပါ"}'.encode()
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    json_body = twilio(body, url, "application/json")
    assert verify(TWILIO, json_body, "", ["token"]) == "SIGNATURE"
    refused(TWILIO, replace(json_body, body=b"{}"), "", ("token",))
    # The same URL with no parameters: its signature is right, but it is not for this body.
    refused(TWILIO, replace(json_body, body=b"", content_type=FORM), "", ("token",))
    refused(TWILIO, replace(json_body, body=b"Body=hi", content_type=FORM), "", ("token",))


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", ""])
@pytest.mark.parametrize("body", [b"", b"{}", b"Body=hi"])
def test_a_body_that_no_signature_covers_is_refused(body: bytes, content_type: str) -> None:
    refused(TWILIO, twilio(body, content_type=content_type), "", ("token",))


def test_twilio_as_its_own_library_signs_it_with_a_name_that_comes_twice() -> None:
    class Twice(dict[str, list[str]]):
        def getlist(self, name: str) -> list[str]:
            return self[name]

    params = Twice({"Body": ["ขอ ความ+ช่วยเหลือ"], "Tag": ["b", "a"], "New": [""]})
    signature = RequestValidator("token").compute_signature(URL, params)
    text = "Body=%E0%B8%82%E0%B8%AD+%E0%B8%84%E0%B8%A7%E0%B8%B2%E0%B8%A1%2B%E0%B8%8A%E0%B9%88%E0%B8%A7%E0%B8%A2%E0%B9%80%E0%B8%AB%E0%B8%A5%E0%B8%B7%E0%B8%AD"
    delivered = Delivered(f"{text}&Tag=b&Tag=a&New=".encode(), FORM, URL, {"x-twilio-signature": signature})
    assert verify(TWILIO, delivered, "", ["token"]) == "SIGNATURE"


def test_a_form_of_endless_fields_or_of_no_text_is_refused() -> None:
    refused(TWILIO, twilio(b"&".join(b"a=1" for _ in range(100_000))), "", ("token",))
    refused(TWILIO, twilio(b"Body=%FF%FE"), "", ("token",))


def basic(of: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(of).decode()}


STATIC = {
    "bearer": ({"authorization": "bearer s3cret"}, "", "s3cret"),
    "basic": (basic("commcare:pässword".encode()), "", "commcare:pässword"),
    "static_header": ({"x-api-key": "s3cret"}, "", "s3cret"),
    "secret_path": ({}, "8Jx2-secret-path", "8Jx2-secret-path"),
}


def static(scheme: str, *secrets: str) -> Source:
    return Source(
        "hotline", scheme=scheme, header="X-Api-Key", token_sha256=tuple(map(token_digest, secrets))
    )


@pytest.mark.parametrize("scheme", STATIC)
def test_a_static_secret_is_known_by_its_digest_and_while_it_is_rotated(scheme: str) -> None:
    headers, path, secret = STATIC[scheme]
    for known in ([secret], [secret, "new"], ["old", secret]):
        assert verify(static(scheme, *known), Delivered(b"", headers=headers), path, ()) == "STATIC_SECRET"


@pytest.mark.parametrize("scheme", STATIC)
def test_a_wrong_or_missing_static_secret_is_refused_without_a_word(scheme: str) -> None:
    headers, path, secret = STATIC[scheme]
    good = Delivered(b"", headers=headers)
    for known in ([], ["old", "new"], [secret + "x"], [secret[:-1]]):
        refused(static(scheme, *known), good, path)
    # The empty secret is no secret, even where its digest is in the source's file.
    refused(static(scheme, ""), Delivered(b"", headers=dict.fromkeys(headers, "")), "")
    refused(static(scheme, secret, ""), Delivered(b""), "")
    # A signing secret is none of these, whatever the source's file holds besides.
    refused(static(scheme, "old"), good, path, (secret,))
    wrong = {} if path else dict.fromkeys(headers, "é")
    refused(static(scheme, secret), Delivered(b"", headers=wrong), "é" * bool(path))
    refused(static(scheme, secret), Delivered(b"", headers=dict.fromkeys(headers, "\ud800")), "\ud800")


@pytest.mark.parametrize(
    "value",
    ["Basic", "Basic ", "Basic é", "Basic !!!", "Basic YQ", "Bearer Y29tbWNhcmU6cHc=", "Y29tbWNhcmU6cHc="],
)
def test_what_is_no_basic_login_is_refused(value: str) -> None:
    refused(static("basic", "commcare:pw"), Delivered(b"", headers={"authorization": value}), "")


def test_the_static_fixtures_of_other_systems_are_verified() -> None:
    for name, header, secret in (
        ("kobo__webhook_new.json", "Authorization", "Bearer kobo-static-token"),
        ("primero__webhook_incident.json", "x-api-key", "primero-api-key"),
    ):
        headers = {k.lower(): v for k, v in MANIFEST[name]["headers"].items()}
        source = Source("s", scheme="static_header", header=header, token_sha256=(token_digest(secret),))
        assert verify(source, Delivered(b"", headers=headers), "", ()) == "STATIC_SECRET"
    headers = {k.lower(): v for k, v in MANIFEST["commcare__form_forward.json"]["headers"].items()}
    source = Source("s", scheme="basic", token_sha256=(token_digest("commcare:pw"),))
    assert verify(source, Delivered(b"", headers=headers), "", ()) == "STATIC_SECRET"


@pytest.mark.parametrize("scheme", ["", "none", "Bearer", "hmac"])
def test_a_scheme_nobody_knows_proves_nothing(scheme: str) -> None:
    source = replace(static("bearer", "s3cret"), scheme=scheme)
    refused(source, Delivered(b"", headers={"authorization": "Bearer s3cret"}), "s3cret", ("s3cret",))


def test_a_static_header_without_a_name_proves_nothing() -> None:
    refused(replace(static("static_header", "s3cret"), header=""), Delivered(b"", headers={"": ""}), "")


def test_both_live_secrets_are_tried_whatever_matched(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    digest = hmac.digest
    monkeypatch.setattr(hmac, "digest", lambda key, *rest: tried.append(key) or digest(key, *rest))
    source, delivered, secret = fixture("typeform__webhook.json")
    verify(source, delivered, "", [secret, "other"])
    assert tried == [secret.encode(), b"other"]
