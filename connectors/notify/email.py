"""E-mail over SMTP (RFC 5321), over TLS, in plain text and simple HTML.

The Message-ID is the message's own, so a mail that is sent twice is shown once by most mailboxes. Mails about one alert
are one conversation. ``Auto-Submitted`` (RFC 3834) keeps away answers of machines.
"""

import ssl
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from hashlib import sha256
from html import escape
from typing import Annotated, Literal

import aiosmtplib
from pydantic import AfterValidator, Field, model_validator

from connectors.notifying.channel import Channel, Options, Outcome, Secret, Sent, about_tls, on_this_machine
from connectors.notifying.message import Message, plain

_PORTS = {"starttls": 587, "tls": 465, "none": 25}


def _address(text: str) -> str:
    try:
        found = Address(addr_spec=text)
    except (ValueError, IndexError, LookupError):
        found = Address()
    if not (found.username and found.domain and text.isascii()):
        raise ValueError("must be a mail address such as duty@example.org")
    return text


Mail = Annotated[str, AfterValidator(_address)]


class EmailOptions(Options):
    """A mail server and who gets mail from it.

    Attributes:
        host: the server's name, as in its certificate.
        port: 587 for STARTTLS, 465 for TLS, where not told otherwise.
        security: ``starttls``, ``tls``, or ``none``, which only a server on this machine may have.
        user: the account; empty where the server wants no login.
        password: its password.
        sender: address the mail is from.
        to: addresses it goes to; all of them see each other.
    """

    host: str = Field(min_length=1)
    port: int = Field(0, ge=0, le=65_535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password: Secret | None = None
    sender: Mail
    to: tuple[Mail, ...] = Field(min_length=1, max_length=50)

    @model_validator(mode="after")
    def _not_in_clear(self) -> "EmailOptions":
        if bool(self.user) != (self.password is not None):
            raise ValueError("user and password belong together")
        if self.security == "none" and not on_this_machine(self.host):
            raise ValueError('security = "none" is for a mail server on this machine')
        return self


def prepare(options: EmailOptions, message: Message, now: datetime) -> EmailMessage:
    """Return the mail: the same for the same message, whenever it is sent."""
    domain = options.sender.rpartition("@")[2]
    mail = EmailMessage(policy.SMTP)
    mail["From"] = Address("Chorus", addr_spec=options.sender)
    mail["To"] = [Address(addr_spec=address) for address in options.to]
    mail["Subject"] = f"[Chorus] {message.subject}"
    mail["Date"] = message.at
    mail["Message-ID"] = f"<{message.message_id}@{domain}>"
    if len(keys := {item.notice.key for item in message.items}) == 1:
        mail["References"] = f"<{sha256(keys.pop().encode()).hexdigest()[:32]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain(message) + "\n", cte="base64")
    mail.add_alternative(_html(message), subtype="html", cte="base64")
    mail["Content-Language"] = message.language  # after its parts: they would have taken it with them
    return mail


def _html(message: Message) -> str:
    parts = []
    for item in message.items:
        link = f'<p><a href="{escape(item.link)}">{escape(item.link)}</a></p>' if item.link else ""
        body = f"<p>{escape(item.body)}</p>" if item.body else ""
        parts.append(f"<h2>{escape(item.title)}</h2>{body}{link}")
    return (
        f'<!doctype html><html lang="{message.language}"><head><meta charset="utf-8">'
        f'<title>{escape(message.subject)}</title></head><body style="font:16px/1.5 sans-serif;max-width:40em">'
        f"{''.join(parts)}</body></html>\n"
    )


async def send(options: EmailOptions, mail: EmailMessage) -> Sent:
    """Hand a mail to the server."""
    client = aiosmtplib.SMTP(
        hostname=options.host,
        port=options.port or _PORTS[options.security],
        use_tls=options.security == "tls",
        start_tls=False,  # by us, below: to know what failed
        tls_context=ssl.create_default_context(cafile=options.ca_file or None),
        local_hostname=options.sender.rpartition("@")[2],  # the machine's own name is nobody's business
        timeout=options.connect_seconds,
    )
    lacks: Outcome = "UNREACHABLE"  # what is said of a server that cannot do the next thing
    try:
        async with client:
            client.timeout = options.read_seconds
            if options.security == "starttls":
                lacks = "TLS"
                await client.starttls()
            if options.password:
                lacks = "LOGIN"
                await client.login(options.user, options.password.get_secret_value())
            lacks = "FAILING"
            refused, _ = await client.send_message(mail, sender=options.sender, recipients=[*options.to])
            client.timeout = 2  # it has the mail; what it says to our farewell changes nothing
    except aiosmtplib.SMTPRecipientsRefused as error:
        return _answered(max(one.code for one in error.recipients), about_mail=True)
    except aiosmtplib.SMTPResponseException as error:
        return _answered(error.code, about_mail=isinstance(error, aiosmtplib.SMTPDataError))
    except aiosmtplib.SMTPTimeoutError:
        return Sent("TIMEOUT")
    except OSError as error:  # a connection that broke, or was never made
        return Sent("TLS" if about_tls(error) else "UNREACHABLE")
    except aiosmtplib.SMTPException:
        return Sent(lacks)
    return Sent("PARTLY" if refused else "DELIVERED", 250)


def _answered(code: int, *, about_mail: bool) -> Sent:
    """Return what a reply code means (RFC 5321, 4.2; RFC 4954, 6): about this mail, or about us."""
    if code in (530, 534, 535, 538):
        return Sent("LOGIN", code)
    return Sent("REFUSED" if about_mail and code >= 500 else "FAILING", code)


CHANNEL = Channel("email", EmailOptions, prepare, send)
