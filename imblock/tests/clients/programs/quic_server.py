"""Serves the same page over HTTP/3, whatever the name and path.

    quic_server.py ADDRESS PORT CERTIFICATE KEY
"""

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ProtocolNegotiated

# About a round trip to a far server, or two. Nobody decides in less than that.
DELAY = 0.3


class Server(QuicConnectionProtocol):
    http = None

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic)
        for heard in self.http.handle_event(event) if self.http else []:
            if isinstance(heard, HeadersReceived):
                asyncio.get_running_loop().call_later(DELAY, self.answer, heard.stream_id)

    def answer(self, stream):
        self.http.send_headers(stream, [(b":status", b"200")])
        self.http.send_data(stream, b"hello\n", end_stream=True)
        self.transmit()


async def main(address, port, certificate, key):
    configuration = QuicConfiguration(is_client=False, alpn_protocols=H3_ALPN)
    configuration.load_cert_chain(certificate, key)
    await serve(address, int(port), configuration=configuration, create_protocol=Server)
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
