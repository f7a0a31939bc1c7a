// Two RTCPeerConnections of one program that talk through a TURN server only,
// for a browser and for libraries with the same interface.
//
//     relay(c, RTCPeerConnection, pause)
//
// Both sides of a data channel send 200 messages of 1 KiB and one of 256 KiB,
// and compare what they get.  c has url, username and password, and may have
// pause: then the large ones wait for pause().  Their size may be c.large, and
// c.timeout is in seconds.  The result:
//
//     state     "complete" when all bytes have arrived and were right, or
//               what has failed
//     received  messages and bytes of each side
//     pairs     the candidates in use, if that is known: types and, for our
//               own, the transport to the TURN server
//     errors    ICE candidate errors: codes and texts

const count = 200, small = 1024;
let large = 262144;


// bytes that look random, others for each message of each side

function block(side, i) {
    const bytes = new Uint8Array(i < count ? small : large);
    let x = (side * 1000 + i + 1) * 2654435761 >>> 0;

    for (let k = 0; k < bytes.length; k++) {
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        bytes[k] = x;
    }

    return bytes;
}


function same(a, b) {
    return a.length === b.length && a.every((x, i) => x === b[i]);
}


// what a message is that is not the one that should come

function identify(data) {
    for (const side of [ 0, 1 ]) {
        for (let i = 0; i <= count; i++) {
            if (same(data, block(side, i))) return i + ' of side ' + side;
        }
    }

    return data.length + ' bytes: ' + data.slice(0, 8);
}


class Side {
    constructor(number, channel) {
        this.channel = channel;
        this.number = number;
        this.messages = this.bytes = 0;

        channel.binaryType = 'arraybuffer';

        this.opened = new Promise(done => {
            channel.onopen = done;
            if (channel.readyState === 'open') done();
        });

        this.small = new Promise(done => this.have_small = done);

        this.all = new Promise((done, failed) => {
            channel.onerror = e => failed('channel: ' + e.error);
            channel.onclose = () => failed('channel closed');
            channel.onmessage = e => {
                const data = new Uint8Array(e.data);

                if (!same(data, block(1 - number, this.messages))) {
                    failed('message ' + this.messages + ' of side '
                        + (1 - number) + ' is ' + identify(data));
                }

                this.bytes += data.length;
                this.messages++;
                if (this.messages === count) this.have_small();
                if (this.messages === count + 1) done();
            };
        });

        this.all.catch(() => {});
    }

    send(from, to) {
        for (let i = from; i < to; i++) {
            this.channel.send(block(this.number, i));
        }
    }
}


// what one side tells the other: libraries put more candidates into it than
// the policy allows

function description(pc) {
    const { type, sdp } = pc.localDescription;

    return { type, sdp: sdp.split('\r\n').filter(
        line => !/^a=candidate:.* typ (?!relay)/.test(line)).join('\r\n') };
}


// all candidates first: werift gives up when it has none for a while

async function gathered(pc) {
    while (pc.iceGatheringState !== 'complete') {
        await new Promise(done => setTimeout(done, 10));
    }
}


// Chromium now and then loses the first messages of a channel that it has been
// told of, so that both sides make it.

async function connect(a, b) {
    const sides = [ a, b ].map((pc, i) => new Side(i,
        pc.createDataChannel('data', { negotiated: true, id: 0 })));

    await a.setLocalDescription(await a.createOffer());
    await gathered(a);
    await b.setRemoteDescription(description(a));
    b.takes_candidates();
    await b.setLocalDescription(await b.createAnswer());
    await gathered(b);
    await a.setRemoteDescription(description(b));
    a.takes_candidates();

    await Promise.all(sides.map(side => side.opened));
    return sides;
}


async function pair(pc) {
    const stats = await pc.getStats();

    for (const s of stats.values()) {
        if (s.type !== 'transport' || !s.selectedCandidatePairId) continue;

        const used = stats.get(s.selectedCandidatePairId);
        const ours = stats.get(used.localCandidateId);
        const other = stats.get(used.remoteCandidateId);

        return [ ours.candidateType, ours.relayProtocol,
            other.candidateType ].join(' ');
    }

    return 'no pair';
}


async function transfer(c, pcs, result, pause) {
    const sides = await connect(...pcs);
    result.state = 'connected';

    sides.forEach(side => side.send(0, count));

    if (c.pause) {
        await Promise.all(sides.map(side => side.small));
        await pause();
    }

    sides.forEach(side => side.send(count, count + 1));
    await Promise.all(sides.map(side => side.all));

    result.received = sides.map(
        side => side.messages + ' messages, ' + side.bytes + ' bytes');
    result.pairs = await Promise.all(pcs.map(pair));
    result.state = 'complete';
}


async function relay(c, RTCPeerConnection, pause) {
    const result = { state: 'new', received: [], pairs: [], errors: [] };

    large = c.large || large;

    const config = {
        iceServers: [ { urls: c.url, username: c.username,
            credential: c.password } ],
        iceTransportPolicy: 'relay'
    };

    const pcs = [ 0, 1 ].map(() => new RTCPeerConnection(config));
    let timer;

    // libraries do not keep candidates that come too early

    const ready = pcs.map(pc => new Promise(
        done => pc.takes_candidates = done));

    const failed = new Promise((done, fail) => {
        timer = setTimeout(() => fail('timeout'), (c.timeout || 40) * 1000);

        pcs.forEach((pc, i) => {
            let candidates = 0;

            pc.onicecandidate = e => {
                if (e.candidate) {
                    candidates++;
                    ready[1 - i].then(
                        () => pcs[1 - i].addIceCandidate(e.candidate));

                } else if (e.candidate === null && !candidates) {
                    fail('no candidates');
                }
            };

            pc.onicecandidateerror = e => {
                const error = e.errorCode + ' ' + e.errorText;
                if (!result.errors.includes(error)) result.errors.push(error);
            };

            pc.onconnectionstatechange = () => {
                if (pc.connectionState === 'failed') fail('disconnected');
            };
        });
    });

    try {
        await Promise.race([ transfer(c, pcs, result, pause), failed ]);
    } catch (e) {
        result.state = String(e);
    }

    clearTimeout(timer);
    await Promise.all(pcs.map(pc => pc.close()));
    return result;
}


// node webrtc.js MODULE CASE: prints the result

if (typeof require === 'function') {
    const [ name, c ] = process.argv.slice(2);

    relay(JSON.parse(c), require(name).RTCPeerConnection).then(result => {
        console.log(JSON.stringify(result));
        process.exit(0);
    });
}
