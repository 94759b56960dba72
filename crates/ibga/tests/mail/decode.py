"""Reads a mail from standard input by the rules of Python's email package, and prints what is in it as JSON."""

import email
import email.policy
import json
import sys

mail = email.message_from_binary_file(sys.stdin.buffer, policy=email.policy.default)
text, html = mail.get_body(("plain",)), mail.get_body(("html",))
print(json.dumps({
    "type": mail.get_content_type(),
    "defects": [str(defect) for part in mail.walk() for defect in part.defects],
    "headers": {name: str(value) for name, value in mail.items()},
    "to": [address.addr_spec for address in mail["To"].addresses],
    "text": text.get_content(),
    "html": html.get_content(),
}))
