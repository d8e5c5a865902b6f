"""One end of a torrent that knows no peers, trackers or nodes but those it is told of.

    torrent.py KIND ADDRESS:PORT FOLDER             has the file, and waits for a peer
    torrent.py KIND ADDRESS:PORT FOLDER PEER:PORT   gets it from this peer; ends well if it did
    torrent.py KIND ADDRESS:PORT FOLDER http://...  gets it from the peers that this tracker names
    torrent.py dht ADDRESS:PORT                     is a node of the hash table
    torrent.py dht ADDRESS:PORT NODE:PORT           ends well if this node answers

KIND is `tcp` or `utp`, both in the clear, or `encrypted`, which is TCP and looks like noise.
"""

import hashlib
import pathlib
import sys
import time

import libtorrent

NAME = "data.bin"
CONTENT = bytes(number * 7 % 251 for number in range(400_000))
PIECE = 1 << 16
FOR_EVER = 3600


def session(kind, listen):
    encrypted = kind == "encrypted"
    tcp = encrypted or kind == "tcp"
    policy = libtorrent.enc_policy.forced if encrypted else libtorrent.enc_policy.disabled
    return libtorrent.session({
        "listen_interfaces": listen,
        "enable_dht": kind == "dht",
        "enable_lsd": False,
        "enable_natpmp": False,
        "enable_upnp": False,
        "enable_incoming_tcp": tcp,
        "enable_outgoing_tcp": tcp,
        "enable_incoming_utp": kind == "utp",
        "enable_outgoing_utp": kind == "utp",
        "out_enc_policy": int(policy),
        "in_enc_policy": int(policy),
        "dht_bootstrap_nodes": "",
        "alert_mask": libtorrent.alert.category_t.all_categories,
    })


def torrent():
    """The same on both ends: it follows from the content alone."""
    files = libtorrent.file_storage()
    files.add_file(NAME, len(CONTENT))
    made = libtorrent.create_torrent(files, PIECE, libtorrent.create_torrent.v1_only)
    for number in range(made.num_pieces()):
        piece = CONTENT[number * PIECE : (number + 1) * PIECE]
        made.set_hash(number, hashlib.sha1(piece).digest())
    return libtorrent.torrent_info(made.generate())


def endpoint(text):
    address, port = text.rsplit(":", 1)
    return address, int(port)


def share(kind, listen, folder, source=None):
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    if source is None:
        (folder / NAME).write_bytes(CONTENT)
    ours = session(kind, listen)
    parameters = {"ti": torrent(), "save_path": str(folder)}
    tracked = source is not None and source.startswith("http://")
    if tracked:
        parameters["trackers"] = [source]
    handle = ours.add_torrent(parameters)
    while not handle.status().is_seeding:
        if source and not tracked and handle.status().state == libtorrent.torrent_status.downloading:
            # Again and again: it does nothing while they are connected.
            handle.connect_peer(endpoint(source))
        time.sleep(0.1)
    if source is None:
        time.sleep(FOR_EVER)
    sys.exit((folder / NAME).read_bytes() != CONTENT)


def node(listen, other=None):
    ours = session("dht", listen)
    if other is None:
        time.sleep(FOR_EVER)
    host, port = endpoint(other)
    while True:
        ours.add_dht_node((host, port))
        ours.wait_for_alert(200)
        for alert in ours.pop_alerts():
            # Incoming packets of the hash table, by the library's own trace.
            if isinstance(alert, libtorrent.dht_pkt_alert) and "<==" in alert.message():
                print(alert.message())
                sys.exit(0)


kind, *rest = sys.argv[1:]
if kind == "dht":
    node(*rest)
else:
    share(kind, *rest)
