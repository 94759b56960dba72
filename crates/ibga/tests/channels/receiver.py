"""A receiver of webhooks that takes nothing on trust: a request comes on standard input, the event's data leaves on standard
output. The libraries are those that the documentation of receivers names."""

import json
import sys

from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

request = json.load(sys.stdin)
Webhook(request["secret"]).verify(request["body"], request["headers"])
event = from_http_event(HTTPMessage(headers=request["headers"], body=request["body"].encode()))
json.dump({"id": event.get_id(), "type": event.get_type(), "data": event.get_data()}, sys.stdout)
