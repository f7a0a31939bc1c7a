'use strict';

/*
 * What is shown of each array of status.json: its columns, and which fields are
 * a row's name.
 */

const column = {
    text: (id, label, more) => ({ id, label, value: r => r.data[id] || '',
        ...more }),

    count: (id, label, more) => ({ id, label, number: true,
        value: r => r.data[id], text: r => count(r.data[id]), ...more }),

    bytes: (id, label) => ({ id, label, number: true,
        value: r => r.data[id], text: r => bytes(r.data[id]) }),

    codes: (id, label) => ({ id, label, number: true,
        value: r => sum(r.data[id]),
        draw: (place, r) => {
            setText(place, count(sum(r.data[id])));
            setTitle(place, codes(r.data[id]));
        } }),

    /* how long it has been so: the longest has the smallest time */

    since: (id, label) => ({ id, label, number: true,
        value: r => r.data[id] ? r.now.time - r.data[id] : NaN,
        draw: (place, r) => {
            setText(place, r.data[id]
                ? duration(r.now.time - r.data[id]) : none);
            setTitle(place, moment(r.data[id]));
        } }),

    rate: (i, label) => ({ id: label.toLowerCase(), label, number: true,
        title: i ? 'payload sent to it, now' : 'payload received from it, now',
        value: r => r.now.history.rate(r.history, i),
        text: r => rate(r.now.history.rate(r.history, i)) }),

    state: (label, tell) => ({ id: 'state', label,
        value: r => tell(r.data).rank,
        draw: (place, r) => {
            const { style, text } = tell(r.data);

            setText(place, text);

            if (place.className !== `state ${style}`) {
                place.className = `state ${style}`;
            }
        } }),
};

column.name = (id, label, more) => column.text(id, label,
    { heads: true, text: r => visible(r.data[id]) || 'no name', ...more });


const chart_column = {
    id: 'traffic', label: 'Traffic', number: true,
    title: 'received and sent, in the last five minutes',
    value: r => r.now.history.rate(r.history, 0)
        + r.now.history.rate(r.history, 1),
    draw: (place, r) => {
        if (!place.chart) {
            place.chart = new Chart(120, 24);
            place.append(place.chart.element);
        }

        place.chart.draw(r.now.history, r.history);
    },
};

const traffic = [ column.rate(0, 'Received'), column.rate(1, 'Sent'),
    chart_column ];


function agentState({ up }) {
    return up ? { rank: 1, style: 'up', text: 'up' }
        : { rank: 0, style: 'down', text: 'down' };
}


function relayState({ state }) {
    const known = {
        __proto__: null,
        down: { rank: 0, style: 'down' },
        waiting: { rank: 1, style: 'down' },
        dialing: { rank: 2, style: 'busy' },
        up: { rank: 3, style: 'up' },
    };

    return { ...known[state] || { rank: 0, style: 'busy' },
        text: visible(state) };
}


function workerState({ exiting }) {
    return exiting ? { rank: 0, style: 'busy', text: 'exiting' }
        : { rank: 1, style: 'up', text: 'up' };
}


function lastLoss(r) {
    const { lost, why } = r.data;

    return !lost ? none : ago(lost, r.now.time)
        + (why ? `: ${visible(why)}` : '');
}


function nextTry(r) {
    return r.data.next ? ago(r.data.next, r.now.time) : none;
}


function lastError(r) {
    const { error, failed_at } = r.data;

    return !error ? none : visible(error)
        + (failed_at ? `, ${ago(failed_at, r.now.time)}` : '');
}


const tunnels = {
    id: 'tunnels', label: 'Tunnels', number: true,
    title: 'tunnels, and how many of them are idle',
    value: r => r.data.tunnels,
    text: r => `${count(r.data.tunnels)}, ${count(r.data.idle)} idle`,
};


const kinds = [
    {
        id: 'agents', title: 'Agents', key: [ 'role', 'name', 'group', 'key' ],
        find: [ 'comment', 'address' ], sort: 'state', traffic: true,
        filters: {
            '': { label: 'all' },
            up: { label: 'up', test: a => a.up },
            down: { label: 'down', test: a => !a.up },
            entry: { label: 'entries', test: a => a.role === 'entry' },
            reverse: { label: 'reverses', test: a => a.role === 'reverse' },
        },
        columns: [
            column.state('State', agentState),
            column.name('name', 'Name', { text: r => visible(r.data.name)
                || visible(r.data.comment) || 'no name' }),
            column.text('comment', 'Key'),
            column.text('role', 'Role'),
            column.text('group', 'Group'),
            column.text('address', 'Address'),
            column.since('since', 'Since'),
            tunnels,
            column.count('streams', 'Streams'),
            ...traffic,
            { id: 'lost', label: 'Last loss', slim: true,
                value: r => r.data.lost, text: lastLoss },
        ],
    },
    {
        id: 'groups', title: 'Groups', key: [ 'name' ],
        columns: [
            column.name('name', 'Group', { text: r => visible(r.data.name)
                || 'default' }),
            column.count('entries', 'Entries'),
            column.count('reverses', 'Reverses'),
            column.count('waiting', 'Waiting',
                { title: 'streams that wait for a reverse' }),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
            column.codes('refused_streams_total', 'Refused'),
        ],
    },
    {
        id: 'services', title: 'Published services', key: [ 'name', 'group' ],
        find: [ 'comment' ],
        columns: [
            column.name('name', 'Service'),
            column.text('group', 'Group'),
            column.text('comment', 'Key'),
            column.count('agents', 'Agents'),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
        ],
    },
    {
        id: 'servers', title: 'Relay', key: [ 'listen' ], traffic: true,
        columns: [
            column.name('listen', 'Address'),
            column.count('unauthenticated', 'Not yet authenticated'),
            column.count('tunnels', 'Tunnels'),
            column.count('streams', 'Streams'),
            ...traffic,
            column.count('authenticated_total', 'Tunnels so far'),
            column.codes('refused_agents_total', 'Refused agents'),
            column.codes('refused_streams_total', 'Refused streams'),
            { id: 'expires', label: 'Certificate expires', number: true,
                value: r => r.data.certificate_expires,
                text: r => ago(r.data.certificate_expires, r.now.time) },
        ],
    },
    {
        id: 'relays', title: 'Relays of this agent',
        key: [ 'role', 'name', 'group', 'host', 'address' ],
        find: [ 'error', 'state' ], sort: 'state',
        columns: [
            column.state('State', relayState),
            column.name('host', 'Relay'),
            column.text('address', 'Address'),
            column.text('role', 'Role'),
            column.text('name', 'Agent'),
            column.text('group', 'Group'),
            column.text('way', 'Way'),
            column.since('since', 'Since'),
            tunnels,
            column.count('dialing', 'Dialing'),
            column.count('failures', 'Failures',
                { title: 'in a row, now' }),
            { id: 'next', label: 'Next try', number: true,
                value: r => r.data.next, text: nextTry },
            { id: 'error', label: 'Last error', slim: true,
                value: r => r.data.failed_at, text: lastError },
        ],
    },
    {
        id: 'routes', title: 'Routes', traffic: true,
        key: [ 'listen', 'destination', 'upstream' ],
        columns: [
            column.name('listen', 'Address'),
            column.text('destination', 'Destination'),
            column.text('upstream', 'Relays'),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
            ...traffic,
            column.codes('refused_streams_total', 'Refused'),
        ],
    },
    {
        id: 'reverses', title: 'Reverses', key: [ 'group', 'name' ],
        traffic: true,
        columns: [
            column.name('name', 'Name'),
            column.text('group', 'Group'),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
            ...traffic,
            column.codes('refused_streams_total', 'Refused'),
        ],
    },
    {
        id: 'turn', title: 'TURN', key: [ 'realm' ], traffic: true,
        columns: [
            column.name('realm', 'Realm'),
            column.count('allocations', 'Allocations'),
            column.count('permissions', 'Permissions'),
            column.count('channels', 'Channels'),
            column.count('connections', 'Connections'),
            ...traffic,
            column.count('denied_total', 'Denied'),
            column.count('unauthenticated_total', 'Wrong password'),
            column.count('refused_total', 'Refused'),
            column.count('dropped_packets_total', 'Dropped'),
        ],
    },
    {
        id: 'turn_users', title: 'TURN users', key: [ 'name' ], traffic: true,
        columns: [
            column.name('name', 'User'),
            column.count('allocations', 'Allocations'),
            column.count('allocations_total', 'Allocations so far'),
            ...traffic,
            column.bytes('received_bytes_total', 'Received so far'),
            column.bytes('sent_bytes_total', 'Sent so far'),
            column.count('denied_total', 'Denied'),
        ],
    },
    {
        id: 'socks5', title: 'SOCKS5', key: [ 'listen' ], traffic: true,
        columns: [
            column.name('listen', 'Address'),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
            ...traffic,
            column.count('unauthenticated_total', 'Wrong password'),
            column.count('invalid_total', 'Not SOCKS5'),
            column.count('associated_total', 'UDP'),
            column.codes('refused_streams_total', 'Refused'),
        ],
    },
    {
        id: 'socks5_users', title: 'SOCKS5 users', key: [ 'name' ],
        traffic: true,
        columns: [
            column.name('name', 'User'),
            column.count('streams', 'Streams'),
            column.count('streams_total', 'Streams so far'),
            ...traffic,
            column.bytes('received_bytes_total', 'Received so far'),
            column.bytes('sent_bytes_total', 'Sent so far'),
            column.count('denied_total', 'Denied'),
        ],
    },
    {
        id: 'workers', title: 'Workers', key: [ 'pid' ],
        columns: [
            column.name('pid', 'Process', { value: r => r.data.pid,
                text: r => String(r.data.pid) }),
            column.state('State', workerState),
            column.since('started', 'Runs for'),
            column.count('connections', 'Connections'),
        ],
    },
];
