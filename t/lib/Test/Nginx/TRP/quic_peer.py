# A QUIC client for QUICPeer.pm, over aioquic: one command a line on standard
# input, one event a line on standard output, both JSON.

import hashlib
import hmac
import json
import os
import select
import socket
import ssl
import struct
import sys
import time

from aioquic.quic import events
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.tls import KeySchedule
from cryptography.hazmat.primitives.serialization import load_pem_private_key

# the secret of exporters belongs to the same transcript as the server's keys

derive = KeySchedule.derive_secret
exporters = []


def derive_secret(self, label):
    if label == b's ap traffic':
        exporters.append((derive(self, b'exp master'), self.algorithm.name))
    return derive(self, label)


KeySchedule.derive_secret = derive_secret


def expand(name, secret, label, context, length):
    label = b'tls13 ' + label
    info = struct.pack('>HB', length, len(label)) + label \
        + bytes([len(context)]) + context
    return hmac.new(secret, info + b'\x01', name).digest()[:length]


def exporter(label, length):
    secret, name = exporters[-1]
    empty = hashlib.new(name, b'').digest()
    secret = expand(name, secret, label, empty, len(empty))
    return expand(name, secret, b'exporter', empty, length)


# a test that does not read its events must not block the connection

said = bytearray()


def say(**event):
    said.extend(json.dumps(event).encode() + b'\n')


def tell():
    try:
        del said[:os.write(1, said)]
    except BlockingIOError:
        pass


class Peer:

    def __init__(self, options):
        self.server = (options['host'], options['port'])
        self.sockets = []
        self.bind(options.get('bind', '0.0.0.0'))

        conf = QuicConfiguration(is_client=True,
                                 alpn_protocols=options['alpn'],
                                 server_name=options.get('name'),
                                 verify_mode=ssl.CERT_NONE,
                                 idle_timeout=options.get('idle', 30),
                                 max_datagram_frame_size=65536,
                                 connection_id_length=8)

        self.quic = QuicConnection(configuration=conf)

        if options.get('dcid'):
            self.quic._peer_cid.cid = bytes.fromhex(options['dcid'])
            self.quic._original_destination_connection_id \
                = self.quic._peer_cid.cid

        self.mute = False
        self.spoofing = 0
        self.spoofed = None
        self.last = b''
        self.quic.connect(self.server, now=time.time())

    def bind(self, address):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, 0))
        s.setblocking(False)
        self.sockets.append(s)

    def other(self, address):
        if self.spoofed is None:
            self.spoofed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.spoofed.bind((address, 0))
            self.spoofed.setblocking(False)

        return self.spoofed

    def flush(self):
        for data, _ in self.quic.datagrams_to_send(now=time.time()):
            self.last = data

            if self.spoofing:
                self.spoofing -= 1
                self.spoofed.sendto(data, self.server)
            elif not self.mute:
                self.sockets[-1].sendto(data, self.server)

    def events(self):
        while True:
            e = self.quic.next_event()

            if e is None:
                return

            if isinstance(e, events.HandshakeCompleted):
                say(event='ready', alpn=e.alpn_protocol)
            elif isinstance(e, events.StreamDataReceived):
                say(event='data', id=e.stream_id, data=e.data.hex(),
                    end=e.end_stream)
            elif isinstance(e, events.StreamReset):
                say(event='reset', id=e.stream_id, code=e.error_code)
            elif isinstance(e, events.StopSendingReceived):
                say(event='stop', id=e.stream_id, code=e.error_code)
            elif isinstance(e, events.DatagramFrameReceived):
                say(event='datagram', data=e.data.hex())
            elif isinstance(e, events.ConnectionTerminated):
                say(event='closed', code=e.error_code, text=e.reason_phrase,
                    frame=e.frame_type)

    def command(self, c):
        q = self.quic
        name = c['command']

        if name == 'open':
            sid = q.get_next_available_stream_id(
                is_unidirectional=bool(c.get('uni')))

            # aioquic keeps streams back that the server does not allow

            if c.get('force'):
                q._remote_max_streams_bidi = 1 << 30
                q._remote_max_streams_uni = 1 << 30

            q.send_stream_data(sid, bytes.fromhex(c['data']),
                               bool(c.get('end')))

            if c.get('force'):
                q._streams[sid].max_stream_data_remote = 1 << 60
                q._streams[sid].is_blocked = False
                q._streams_blocked_bidi.clear()
                q._streams_blocked_uni.clear()

            say(event='opened', id=sid)

        elif name == 'send':
            if c.get('force'):
                q._remote_max_data = 1 << 60
                stream = q._streams[c['id']]
                stream.max_stream_data_remote = 1 << 60

            q.send_stream_data(c['id'], bytes.fromhex(c['data'])
                               * c.get('times', 1), bool(c.get('end')))

        elif name == 'reset':
            q.reset_stream(c['id'], c.get('code', 0))

        elif name == 'datagram':
            q.send_datagram_frame(bytes.fromhex(c['data']))

        elif name == 'exporter':
            say(event='exporter',
                data=exporter(c['label'].encode(), 32).hex())

        elif name == 'sign':
            with open(c['key'], 'rb') as f:
                key = load_pem_private_key(f.read(), None)
            say(event='signature',
                data=key.sign(bytes.fromhex(c['data'])).hex())

        elif name == 'streams':
            say(event='streams', n=q._remote_max_streams_bidi)

        elif name == 'update':
            q.request_key_update()

        elif name == 'rebind':
            self.bind(c.get('bind', '0.0.0.0'))

        # packets from an address that is not this peer's: what comes back
        # there is counted only

        elif name == 'spoof':
            self.other(c['bind'])
            self.spoofing = c.get('packets', 1)

        elif name == 'replay':
            self.other(c['bind']).sendto(self.last, self.server)

        elif name == 'spoofed':
            total = 0
            try:
                while True:
                    total += len(self.spoofed.recv(65536))
            except BlockingIOError:
                pass
            say(event='spoofed', bytes=total)

        elif name == 'cid':
            q.change_connection_id()

        elif name == 'ping':
            q.send_ping(c.get('uid', 0))

        elif name == 'raw':
            self.sockets[-1].sendto(bytes.fromhex(c['data']), self.server)

        elif name == 'ids':
            say(event='ids', peer=q._peer_cid.cid.hex(),
                token=q._peer_token.hex(),
                more=[x.cid.hex() for x in q._peer_cid_available])

        elif name == 'mute':
            self.mute = bool(c['on'])

        elif name == 'close':
            q.close(c.get('code', 0))

    def run(self):
        rest = b''

        while True:
            self.events()
            self.flush()

            timer = self.quic.get_timer()
            wait = None if timer is None else max(0, timer - time.time())
            ready, out, _ = select.select([0] + self.sockets,
                                          [1] if said else [], [], wait)

            if out:
                tell()

            for s in ready:
                if s == 0:
                    data = os.read(0, 1 << 20)

                    if not data:
                        self.quic.close()
                        self.flush()
                        return

                    lines = (rest + data).split(b'\n')
                    rest = lines.pop()

                    for line in lines:
                        self.command(json.loads(line))

                else:
                    try:
                        while True:
                            data, addr = s.recvfrom(65536)
                            self.quic.receive_datagram(data, addr,
                                                       now=time.time())
                    except BlockingIOError:
                        pass
                    except ConnectionRefusedError:
                        say(event='refused')

            timer = self.quic.get_timer()

            if timer is not None and timer <= time.time():
                self.quic.handle_timer(now=time.time())


os.set_blocking(1, False)
Peer(json.loads(sys.argv[1])).run()
