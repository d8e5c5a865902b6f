"""Fetches a page with the handshake of the newest Chrome that the library knows: post-quantum key
share, shuffled extensions and all.

    browser.py tls|quic ADDRESS PORT NAME    ends well if the page came
"""

import sys

from curl_cffi import CurlHttpVersion, CurlOpt, requests

kind, address, port, name = sys.argv[1:]
version = {"tls": CurlHttpVersion.V1_1, "quic": CurlHttpVersion.V3ONLY}[kind]
page = requests.get(
    f"https://{name}:{port}/",
    impersonate="chrome",
    http_version=version,
    timeout=10,
    verify=False,
    curl_options={CurlOpt.RESOLVE: [f"{name}:{port}:{address}"]},
)
print(page.status_code, len(page.text), "characters")
page.raise_for_status()
