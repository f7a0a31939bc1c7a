# libnice: two ICE agents that may use relayed candidates of a TURN server only.
#
#     main.py check                           can it work here?
#     main.py TRANSPORT HOST PORT USER PASSWORD
#
# They send messages to each other, and print how many have come.

import ctypes
import sys
import time
from ctypes import c_char_p, c_int, c_uint, c_void_p

MESSAGES = 50
TIMEOUT = 40

COMPONENT = 1
READY = 4
RELAY_UDP, RELAY_TCP = 0, 1

Received = ctypes.CFUNCTYPE(
    None, c_void_p, c_uint, c_uint, c_uint, c_void_p, c_void_p
)

Closed = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_void_p)

glib = ctypes.CDLL("libglib-2.0.so.0")
gobject = ctypes.CDLL("libgobject-2.0.so.0")
nice = ctypes.CDLL("libnice.so.10")

for function, result, arguments in (
    (glib.g_main_context_default, c_void_p, []),
    (glib.g_main_context_iteration, c_int, [c_void_p, c_int]),
    (glib.g_free, None, [c_void_p]),
    (nice.nice_agent_new, c_void_p, [c_void_p, c_int]),
    (nice.nice_agent_add_stream, c_uint, [c_void_p, c_uint]),
    (nice.nice_agent_set_stream_name, c_int, [c_void_p, c_uint, c_char_p]),
    (
        nice.nice_agent_set_relay_info,
        c_int,
        [c_void_p, c_uint, c_uint, c_char_p, c_uint, c_char_p, c_char_p, c_int],
    ),
    (
        nice.nice_agent_attach_recv,
        c_int,
        [c_void_p, c_uint, c_uint, c_void_p, Received, c_void_p],
    ),
    (nice.nice_agent_gather_candidates, c_int, [c_void_p, c_uint]),
    (nice.nice_agent_generate_local_sdp, c_void_p, [c_void_p]),
    (nice.nice_agent_parse_remote_sdp, c_int, [c_void_p, c_char_p]),
    (nice.nice_agent_get_component_state, c_int, [c_void_p, c_uint, c_uint]),
    (nice.nice_agent_send, c_int, [c_void_p, c_uint, c_uint, c_uint, c_char_p]),
    (nice.nice_agent_close_async, None, [c_void_p, Closed, c_void_p]),
    (nice.nice_address_new, c_void_p, []),
    (nice.nice_address_set_from_string, c_int, [c_void_p, c_char_p]),
    (nice.nice_address_free, None, [c_void_p]),
    (nice.nice_agent_add_local_address, c_int, [c_void_p, c_void_p]),
):
    function.restype = result
    function.argtypes = arguments

context = glib.g_main_context_default()
deadline = time.monotonic() + TIMEOUT


# runs what the library has to do, until something is there

def wait(what, condition, end=None):
    end = min(deadline, end or deadline)

    while not condition():
        if time.monotonic() > end:
            if end == deadline:
                raise TimeoutError(what)
            return False

        if not glib.g_main_context_iteration(context, 0):
            time.sleep(0.005)

    return True


class Agent:
    def __init__(self, controlling):
        transport, host, port, user, password = sys.argv[1:6]

        self.received = []
        self.closed = False
        self.agent = nice.nice_agent_new(context, 0)

        for name, value in (
            (b"controlling-mode", controlling),
            (b"force-relay", 1),
            (b"ice-tcp", 0),
            (b"upnp", 0),
        ):
            gobject.g_object_set(c_void_p(self.agent), c_char_p(name),
                                 c_int(value), c_void_p(None))

        address = nice.nice_address_new()
        nice.nice_address_set_from_string(address, b"127.0.0.1")
        nice.nice_agent_add_local_address(self.agent, address)
        nice.nice_address_free(address)

        self.stream = nice.nice_agent_add_stream(self.agent, COMPONENT)
        nice.nice_agent_set_stream_name(self.agent, self.stream, b"text")
        nice.nice_agent_set_relay_info(
            self.agent, self.stream, COMPONENT, host.encode(), int(port),
            user.encode(), password.encode(),
            RELAY_UDP if transport == "udp" else RELAY_TCP)

        self.callback = Received(self.on_received)
        nice.nice_agent_attach_recv(self.agent, self.stream, COMPONENT,
                                    context, self.callback, None)

        if not nice.nice_agent_gather_candidates(self.agent, self.stream):
            raise RuntimeError("gathers nothing")

        if not wait("candidates", lambda: b" typ " in self.sdp(),
                    time.monotonic() + 10):
            raise RuntimeError("no candidates")

        kinds = {line.split(" typ ")[1].split()[0]
                 for line in self.sdp().decode().splitlines()
                 if " typ " in line}
        print("candidates", *sorted(kinds), flush=True)

    def on_received(self, agent, stream, component, size, data, user_data):
        self.received.append(ctypes.string_at(data, size))

    def close(self):
        self.on_closed = Closed(lambda *args: setattr(self, "closed", True))
        nice.nice_agent_close_async(self.agent, self.on_closed, None)

    def sdp(self):
        text = nice.nice_agent_generate_local_sdp(self.agent)
        copy = ctypes.string_at(text)
        glib.g_free(text)
        return copy

    def ready(self):
        return nice.nice_agent_get_component_state(
            self.agent, self.stream, COMPONENT) == READY

    def send(self, text):
        nice.nice_agent_send(self.agent, self.stream, COMPONENT, len(text),
                             text)


# datagrams may be lost

def send(one, other):
    got = 0

    for n in range(4 * MESSAGES):
        if got == MESSAGES:
            break

        text = b"%d SEE THIS" % n
        one.send(text)
        got += wait("message", lambda: text in other.received,
                    time.monotonic() + 1)

    return got


def main():
    one, other = Agent(1), Agent(0)

    nice.nice_agent_parse_remote_sdp(other.agent, one.sdp())
    nice.nice_agent_parse_remote_sdp(one.agent, other.sdp())

    wait("connection", lambda: one.ready() and other.ready())

    print("messages", send(one, other), flush=True)
    print("messages", send(other, one), flush=True)

    # gives the allocations back

    for agent in one, other:
        agent.close()

    wait("end", lambda: one.closed and other.closed)


if sys.argv[1:] != ["check"]:
    try:
        main()
    except Exception as e:
        print("error:", type(e).__name__, e)
        sys.exit(1)
