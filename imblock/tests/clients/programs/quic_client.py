"""Fetches a page over HTTP/3.

    quic_client.py ADDRESS PORT NAME    ends well if it came
"""

import asyncio
import ssl
import sys

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived
from aioquic.quic.configuration import QuicConfiguration


class Client(QuicConnectionProtocol):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http = H3Connection(self._quic)
        self.page = asyncio.get_running_loop().create_future()

    def quic_event_received(self, event):
        for heard in self.http.handle_event(event):
            if isinstance(heard, DataReceived) and not self.page.done():
                self.page.set_result(heard.data)

    async def get(self, name):
        stream = self._quic.get_next_available_stream_id()
        request = {":method": "GET", ":scheme": "https", ":authority": name, ":path": "/"}
        headers = [(key.encode(), value.encode()) for key, value in request.items()]
        self.http.send_headers(stream, headers, end_stream=True)
        self.transmit()
        return await self.page


async def main(address, port, name):
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, server_name=name, verify_mode=ssl.CERT_NONE
    )
    async with connect(
        address, int(port), configuration=configuration, create_protocol=Client
    ) as client:
        print(await client.get(name))


asyncio.run(main(*sys.argv[1:]))
