'use strict';

/*
 * What stands above the tables: a panel for each role that this nginx has, and
 * what needs attention.
 */

class Panel {
    constructor(title) {
        this.figures = new Map();
        this.list = el('dl', {});
        this.chart = new Chart(600, 90);
        this.legend = new Legend();
        this.element = el('section', { 'class': 'panel' },
            el('h2', {}, title), this.list,
            this.chart.element, this.legend.element);
    }

    update(figures, history, row) {
        for (const [ label, text ] of figures) {
            let figure = this.figures.get(label);

            if (!figure) {
                figure = el('dd', {});
                this.figures.set(label, figure);
                this.list.append(el('div', {}, el('dt', {}, label), figure));
            }

            setText(figure, text);
        }

        this.chart.draw(history, row);
        this.legend.update(history, row);
    }
}


function total(list, field) {
    return list.reduce((n, row) => n + (row[field] || 0), 0);
}


function among(list, test) {
    return `${count(list.filter(test).length)} of ${count(list.length)}`;
}


/* which arrays a panel is about, and its figures */

const panels = [
    {
        title: 'Relay', of: [ 'servers' ],
        figures: ({ servers, agents }) => [
            [ 'Agents up', among(agents, a => a.up) ],
            [ 'Tunnels', count(total(servers, 'tunnels')) ],
            [ 'Streams', count(total(servers, 'streams')) ],
        ],
    },
    {
        title: 'Agent', of: [ 'routes', 'reverses' ], also: [ 'relays' ],
        figures: ({ relays, routes, reverses }) => [
            [ 'Relays up', among(relays, r => r.state === 'up') ],
            [ 'Tunnels', count(total(relays, 'tunnels')) ],
            [ 'Streams', count(total(routes, 'streams')
                + total(reverses, 'streams')) ],
        ],
    },
    {
        title: 'TURN', of: [ 'turn' ],
        figures: ({ turn }) => [
            [ 'Allocations', count(total(turn, 'allocations')) ],
            [ 'Channels', count(total(turn, 'channels')) ],
            [ 'Denied', count(total(turn, 'denied_total')) ],
        ],
    },
    {
        title: 'SOCKS5', of: [ 'socks5' ],
        figures: ({ socks5 }) => [
            [ 'Streams', count(total(socks5, 'streams')) ],
            [ 'So far', count(total(socks5, 'streams_total')) ],
            [ 'Wrong passwords', count(total(socks5,
                'unauthenticated_total')) ],
        ],
    },
];


class Overview {
    constructor(place) {
        this.place = place;
        this.panels = new Map();
    }

    update(status, tables, history) {
        for (const { title, of, also = [], figures } of panels) {
            const there = [ ...of, ...also ].some(id => status[id].length);
            let panel = this.panels.get(title);

            if (!panel && there) {
                panel = new Panel(title);
                this.panels.set(title, panel);
                this.place.append(panel.element);
            }

            if (!panel) continue;

            panel.element.hidden = !there;

            /* rows come and go: rates are summed up, not counters */

            const rows = of.flatMap(id => tables.get(id).rows);
            const rates = [ 0, 1 ].map(i => {
                const known = rows.map(row => history.rate(row.history, i))
                    .filter(Number.isFinite);

                return known.length ? known.reduce((a, b) => a + b) : NaN;
            });

            panel.update(figures(status), history,
                history.add(`panel ${title}`, ...rates, true));
        }
    }
}


/* names in a sentence: a few of them */

function names(list) {
    const shown = list.slice(0, 5).map(text => visible(text) || 'no name');

    return shown.join(', ') + (list.length > 5
        ? ` and ${count(list.length - 5)} more` : '');
}


function plural(n, one, many = one + 's') {
    return `${count(n)} ${n === 1 ? one : many}`;
}


/*
 * What is wrong now, the worst first: a text, and which table shows more of it,
 * perhaps filtered.  "first" is the status when this page was opened.
 */

function problems(status, first) {
    const list = [];
    const say = (bad, text, table, filter) =>
        list.push({ bad, text, table, filter });

    const down = status.agents.filter(a => !a.up);

    if (down.length) {
        say(true, `${plural(down.length, 'agent')} down: `
            + names(down.map(a => a.name || a.comment)), 'agents', 'down');
    }

    for (const r of status.relays.filter(r => r.state !== 'up').slice(0, 5)) {
        say(r.state !== 'dialing', `relay ${visible(r.host)} is `
            + `${visible(r.state)}`
            + (r.error ? `: ${visible(r.error)}` : '')
            + (r.next ? `; next try ${ago(r.next, status.time)}` : ''),
            'relays');
    }

    for (const g of status.groups.filter(g => g.waiting && !g.reverses)
        .slice(0, 5))
    {
        say(true, `group ${visible(g.name) || 'default'}: `
            + `${plural(g.waiting, 'stream waits', 'streams wait')}`
            + ', no reverse is connected', 'groups');
    }

    for (const s of status.servers) {
        const left = s.certificate_expires - status.time;

        if (!s.certificate_expires || left > 14 * 86400) continue;

        say(left <= 0, `the certificate of ${visible(s.listen)} `
            + (left > 0 ? 'expires ' : 'expired ')
            + ago(s.certificate_expires, status.time), 'servers');
    }

    refusals(status, first, say);

    if (status.zone && status.zone.unlisted_total) {
        say(false, `the table is full: ${count(status.zone.unlisted_total)} `
            + 'entries found no room, see trp_relay_zone');
    }

    return list.sort((a, b) => b.bad - a.bad);
}


function refusals(status, first, say) {
    const grown = (id, field) => {
        const now = {};

        for (const [ list, sign ] of [ [ status[id], 1 ], [ first[id], -1 ] ]) {
            for (const row of list) {
                const value = typeof row[field] === 'number'
                    ? { '': row[field] } : row[field] || {};

                for (const [ code, n ] of Object.entries(value)) {
                    now[code] = (now[code] || 0) + sign * n;
                }
            }
        }

        return Object.fromEntries(
            Object.entries(now).filter(([ , n ]) => n > 0));
    };

    const since = `in the last ${duration(status.time - first.time)}`;
    const agents = grown('servers', 'refused_agents_total');
    const rejected = sum(grown('servers', 'rejected_certificates_total'));
    const denied = sum(grown('turn', 'denied_total'));

    if (sum(agents)) {
        say(false, 'refused '
            + `${plural(sum(agents), 'connection')} of agents `
            + `${since}: ${codes(agents)}`, 'servers');
    }

    if (rejected) {
        say(true, 'agents rejected this relay\'s certificate '
            + `${plural(rejected, 'time')} ${since}`, 'servers');
    }

    if (denied) {
        say(false, `denied ${plural(denied, 'request')} for TURN peers `
            + since, 'turn');
    }
}
