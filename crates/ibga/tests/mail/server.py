"""An SMTP server (aiosmtpd) with the faults that it is told, for the tests of mail.

Its one argument is a JSON object:
  refuse    answers by stage, such as {"MAIL": "550 no"}; a recipient's is {"RCPT al@example.org": "550 no"}
  stall     the stage at which nothing is answered any more
  drop      the stage at which the connection is cut; at CONTENT the message has been taken before
  drip      seconds between two bytes of the answer to EHLO
  flood     whether a line without an end is the answer to EHLO
  tls       "no", "offered", "broken" (anything but TLS follows the answer to STARTTLS), "injected" (the same
            packet already holds the answers to what is asked under TLS) or "first"
  auth      whether a login is offered, with or without TLS
  users     names and passwords that are let in
  cert, key files in PEM form

Stages are CONNECT, EHLO, STARTTLS, AUTH, MAIL, RCPT, DATA, CONTENT and QUIT. It prints its port, and when its standard input ends,
what it has taken and how many connections are still open.
"""

import asyncio
import json
import ssl
import sys
import time

from aiosmtpd.smtp import SMTP, AuthResult

ORDERS = json.loads(sys.argv[1])
TAKEN = []
OPEN = set()


class Handler:
    async def handle_DATA(self, server, session, envelope):
        answer = ORDERS.get("refuse", {}).get("CONTENT")
        if answer:
            return answer
        TAKEN.append({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "data": envelope.content.decode("ascii"),
            "tls": session.ssl is not None,
            "user": session.auth_data and session.auth_data.decode(),
        })
        await server.stall_or_drop("CONTENT")
        return "250 2.0.0 taken as 4711"


class Server(SMTP):
    """Every stage is met with what was ordered for it, or goes on as ever."""

    def connection_made(self, transport):
        OPEN.add(self)
        super().connection_made(transport)

    def eof_received(self):
        # Or a connection would stay half open that nobody reads from any more.
        super().eof_received()
        return False

    def connection_lost(self, error):
        OPEN.discard(self)
        super().connection_lost(error)

    injected = b""

    async def push(self, answer):
        if self.injected:
            self._writer.write(answer.encode("ascii") + b"\r\n" + self.injected)
            self.injected = b""
            return await self._writer.drain()
        await super().push(answer)

    async def stall_or_drop(self, stage):
        if ORDERS.get("stall") == stage:
            await asyncio.Event().wait()
        if ORDERS.get("drop") == stage:
            self.transport.abort()
            await asyncio.Event().wait()

    async def met(self, stage, *more_precisely):
        await self.stall_or_drop(stage)
        for key in (*more_precisely, stage):
            answer = ORDERS.get("refuse", {}).get(key)
            if answer:
                await self.push(answer)
                if answer.startswith("421"):
                    self.transport.close()
                return True
        return False

    async def _handle_client(self):
        if not await self.met("CONNECT"):
            await super()._handle_client()

    async def smtp_EHLO(self, argument):
        if ORDERS.get("flood"):
            self._writer.write(b"250-")
            while not self.transport.is_closing():
                self._writer.write(b"x" * 65536)
                await self._writer.drain()
        if "drip" in ORDERS:
            for byte in b"250-" + b"x" * 1000:
                self._writer.write(bytes([byte]))
                await asyncio.sleep(ORDERS["drip"])
        if not await self.met("EHLO"):
            await super().smtp_EHLO(argument)

    async def smtp_STARTTLS(self, argument):
        if ORDERS.get("tls") == "broken":
            await self.push("220 go on")
            await self.push("this is no TLS")
        elif ORDERS.get("tls") == "injected":
            self.injected = b"250 localhost\r\n" * 3 + b"354 go on\r\n250 2.0.0 never taken\r\n"
            await super().smtp_STARTTLS(argument)
        elif not await self.met("STARTTLS"):
            await super().smtp_STARTTLS(argument)

    async def smtp_AUTH(self, argument):
        if not await self.met("AUTH"):
            await super().smtp_AUTH(argument)

    async def smtp_MAIL(self, argument):
        if not await self.met("MAIL"):
            await super().smtp_MAIL(argument)

    async def smtp_RCPT(self, argument):
        address = argument.partition("<")[2].partition(">")[0]
        if not await self.met("RCPT", f"RCPT {address}"):
            await super().smtp_RCPT(argument)

    async def smtp_DATA(self, argument):
        if not await self.met("DATA"):
            await super().smtp_DATA(argument)

    async def smtp_QUIT(self, argument):
        if not await self.met("QUIT"):
            await super().smtp_QUIT(argument)


def authenticate(server, session, envelope, mechanism, login):
    user, password = login.login, login.password
    if ORDERS.get("users", {}).get(user.decode()) == password.decode():
        return AuthResult(success=True, auth_data=user)
    words = f"535 5.7.8 no: {user.decode()} {password.decode()}"
    return AuthResult(success=False, handled=False, message=words)


def server():
    tls = ORDERS.get("tls", "no")
    context = None
    if tls != "no":
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(ORDERS["cert"], ORDERS["key"])
    options = {
        "hostname": "localhost",
        "auth_require_tls": False,
        "authenticator": authenticate,
        "auth_exclude_mechanism": [] if ORDERS.get("auth") else ["LOGIN", "PLAIN"],
        "tls_context": context if tls in ("offered", "broken", "injected") else None,
    }
    return (lambda: Server(Handler(), **options)), context if tls == "first" else None


async def main():
    loop = asyncio.get_running_loop()
    factory, context = server()
    listening = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
    print(listening.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    # Whoever was cut off needs a moment to be noticed.
    until = time.monotonic() + 5
    while OPEN and time.monotonic() < until:
        await asyncio.sleep(0.01)
    print(json.dumps({"taken": TAKEN, "open": len(OPEN)}), flush=True)


asyncio.run(main())
