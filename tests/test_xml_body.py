"""XML of strangers: its limits, and that a refusal repeats nothing."""

import pytest

from connectors.reading.xml_body import load
from connectors.systems import Unreadable

BILLION = b"""<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "SECRET"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><data><x>&c;</x></data>"""
OUTSIDE = b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/hostname">]><data><x>&x;</x></data>'


def why(raw):
    with pytest.raises(Unreadable) as caught:
        load(raw)
    assert (
        caught.value.__suppress_context__ or caught.value.__context__ is None
    )  # the parser quotes the payload
    return str(caught.value)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"<data>SECRET", "syntax"),
        (b"<data>text</data>", "shape"),
        (b"<data><a>\xff\xff</a></data>", "encoding"),
        (b'<?xml version="1.0" encoding="no-such"?><data><a>1</a></data>', "encoding"),
        (BILLION, "shape"),
        (OUTSIDE, "shape"),
        (b"<data><x>&undefined;</x></data>", "syntax"),
        (b"<a>" * 10_000 + b"</a>" * 10_000, "depth"),
        (b"<data>" + b"<a>1</a>" * 500_001 + b"</data>", "size"),
    ],
)
def test_xml_that_no_form_sends(raw, reason):
    assert why(raw) == reason


def test_xml_as_forms_send_it():
    name, root = load(
        b'<data xmlns="http://form" xmlns:n1="http://meta" id="f"><n1:meta><n1:instanceID>uuid:1</n1:instanceID>'
        b"</n1:meta><empty/><many>1</many><many>2</many></data>"
    )
    assert name == "data"
    assert root == {
        "@xmlns": "http://form",
        "@id": "f",
        "meta": {"instanceID": "uuid:1"},
        "empty": None,
        "many": ["1", "2"],
    }


def test_xml_in_utf_16_is_read_as_it_says():
    _, root = load('<?xml version="1.0" encoding="UTF-16"?><d><a>ก</a></d>'.encode("utf-16"))
    assert root == {"a": "ก"}
