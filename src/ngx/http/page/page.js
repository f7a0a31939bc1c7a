'use strict';

/*
 * The page: reads status.json again and again, and tells everybody.
 */

const version = 1;
const interval_ms = 2000;
const slowest_ms = 30000;

class Page {
    constructor() {
        const by = id => document.getElementById(id);

        this.parts = Object.fromEntries([ 'about', 'live', 'search', 'pause',
            'theme', 'nav', 'trouble', 'problems', 'panels', 'tables',
            'announcer' ].map(id => [ id, by(id) ]));

        this.history = new Rates();
        this.overview = new Overview(this.parts.panels);
        this.tables = new Map();
        this.links = new Map();
        this.failures = 0;
        this.paused = false;
        this.cost = 0;

        for (const kind of kinds) this.addTable(kind);

        this.readAddress();
        this.listen();
        this.theme(stored('theme') || 'auto');
        this.poll();
    }

    addTable(kind) {
        const table = new Table(kind, () => {
            this.writeAddress();
            this.tellSizes();
        });
        const size = el('span', { 'class': 'total' });
        const link = el('li', {}, el('a', { href: `#${kind.id}` },
            kind.title, ' ', size));

        /* the address keeps the search, not the table */

        link.addEventListener('click', event => {
            event.preventDefault();
            this.show(kind.id);
        });

        link.hidden = true;
        this.parts.nav.append(link);
        this.parts.tables.append(table.element);
        this.tables.set(kind.id, table);
        this.links.set(kind.id, { link, size });
    }

    listen() {
        const { search, pause, theme } = this.parts;

        search.addEventListener('input', () => this.search());
        document.getElementById('controls').addEventListener('submit',
            event => event.preventDefault());
        pause.addEventListener('click', () => this.pause(!this.paused));
        theme.addEventListener('click', () => {
            const all = [ 'auto', 'light', 'dark' ];
            this.theme(all[(all.indexOf(this.chosen) + 1) % 3]);
        });

        document.addEventListener('keydown', event => {
            const typing = event.target.closest
                && event.target.closest('input, select, textarea');

            if (event.key === '/' && !typing && !event.ctrlKey
                && !event.metaKey && !event.altKey)
            {
                event.preventDefault();
                search.focus();
                search.select();
            }
        });

        document.addEventListener('visibilitychange', () => {
            if (!document.hidden) this.soon(0);
        });
    }

    /* where a table is, and perhaps a filter of it */

    show(id, filter) {
        const table = this.tables.get(id);

        if (filter !== undefined) table.refilter(filter);
        table.region.focus({ preventScroll: true });
        table.element.scrollIntoView({ block: 'start' });
    }

    search() {
        const text = this.parts.search.value.trim().toLowerCase();
        const list = text ? text.split(/\s+/) : [];

        for (const table of this.tables.values()) table.search(list);

        this.writeAddress();
        this.tellSizes();
        if (text) this.announce(this.found());
    }

    found() {
        const parts = [];

        for (const { kind, rows, order } of this.tables.values()) {
            if (rows.length && order.length) {
                parts.push(`${kind.title} ${count(order.length)}`);
            }
        }

        return parts.length ? `Found: ${parts.join(', ')}` : 'Nothing matches';
    }

    pause(paused) {
        this.paused = paused;
        setText(this.parts.pause, paused ? 'Resume' : 'Pause');
        this.tellLive();
        if (!paused) this.soon(0);
    }

    theme(name) {
        this.chosen = [ 'light', 'dark' ].includes(name) ? name : 'auto';
        document.documentElement.dataset.theme = this.chosen;
        setText(this.parts.theme, `Theme: ${this.chosen}`);
        store('theme', this.chosen);
    }

    announce(text) {
        clearTimeout(this.announcing);
        this.announcing = setTimeout(() =>
            setText(this.parts.announcer, text), 400);
    }


    /* reading */

    soon(ms) {
        clearTimeout(this.timer);
        this.timer = setTimeout(() => this.poll(), ms);
    }

    async poll() {
        if (this.reading || this.paused || document.hidden) return;

        this.reading = true;

        const start = performance.now();

        try {
            await this.read();
            this.failures = 0;
            this.parts.trouble.hidden = true;
        } catch (error) {
            this.failures++;
            this.fail(error);
        }

        this.reading = false;

        /* a large table, or a slow line, is read less often */

        this.cost = performance.now() - start;
        this.tellLive();
        this.soon(Math.min(slowest_ms, this.failures
            ? interval_ms * 2 ** this.failures
            : Math.max(interval_ms, 5 * this.cost)));
    }

    async read() {
        const answer = await this.fetch();

        if (!answer.ok) {
            throw new Error(`the answer is ${answer.status}`);
        }

        const time = performance.now();
        const status = await answer.json();

        if (!Number.isInteger(status?.version)) {
            throw new Error('the answer is no status');
        }

        if (status.version !== version) {
            throw new Error(`status.json has version ${status.version}, this `
                + `page knows ${version}: load it again`);
        }

        for (const { id } of kinds) status[id] = status[id] || [];

        this.update(status, time);
    }

    async fetch() {
        const signal = AbortSignal.timeout(20000);

        try {
            return await fetch('status.json', { cache: 'no-store', signal });
        } catch (error) {
            throw signal.aborted ? error : new Error('no connection');
        }
    }

    fail(error) {
        const { trouble } = this.parts;
        const reason = error.name === 'TimeoutError' ? 'it takes too long'
            : error instanceof SyntaxError ? 'the answer is no JSON'
            : error.message;

        setText(trouble, `No news from the server: ${visible(reason)}. `
            + (this.status ? 'What is shown is from '
                + `${moment(this.status.time)}.` : ''));
        trouble.hidden = false;
    }

    update(status, time) {
        this.history.begin(time);

        /* a new table: its counters have begun again */

        if (this.first?.since !== status.since) this.first = status;

        const now = { time: status.time, history: this.history };

        for (const { kind } of this.tables.values()) {
            this.rows(kind, status[kind.id], now);
        }

        this.overview.update(status, this.tables, this.history);
        this.history.end();

        this.tellProblems(problems(status, this.first));
        this.tellChanges(status);
        this.tellSizes();
        setText(this.parts.about, `trp ${visible(status.trp)}, `
            + `nginx ${visible(status.nginx)}, counts since `
            + `${duration(status.time - status.since)}`);
        this.status = status;
    }

    rows(kind, list, now) {
        const seen = new Set();

        const rows = list.map(data => {
            const name = kind.key.map(field => data[field]);
            let id = [ kind.id, ...name ].join('\0');

            /* read while the table was changed */

            while (seen.has(id)) id += '\0';
            seen.add(id);

            return {
                id, data, now,
                history: kind.traffic ? this.history.add(id,
                    data.received_bytes_total, data.sent_bytes_total) : null,

                /* what is searched, made when it is */

                get hay() {
                    return [ ...name, ...(kind.find || []).map(f => data[f]) ]
                        .map(visible).join('\n').toLowerCase();
                },
            };
        });

        this.tables.get(kind.id).update(rows);
    }


    /* telling */

    tellLive() {
        const { live } = this.parts;
        const style = this.paused ? 'paused' : this.failures ? 'failing'
            : 'fresh';

        live.className = `live ${style}`;
        setText(live, this.paused ? 'paused' : this.failures ? 'no news'
            : 'live');
    }

    tellSizes() {
        for (const [ id, { link, size } ] of this.links) {
            const { rows, order } = this.tables.get(id);

            link.hidden = rows.length === 0;
            setText(size, count(order.length));
        }
    }

    tellProblems(list) {
        const items = [ ...this.parts.problems.children ];
        const shown = list.length ? list
            : [ { text: 'Nothing.', good: true } ];

        shown.forEach((problem, i) => {
            let item = items[i];

            if (!item) {
                item = el('li', {}, el('span', {}), ' ',
                    el('button', { type: 'button' }, 'Show'));
                item.lastChild.addEventListener('click', () =>
                    this.show(item.problem.table, item.problem.filter));
                this.parts.problems.append(item);
            }

            item.problem = problem;
            item.className = problem.good ? 'good'
                : problem.bad ? 'bad' : 'worth';
            setText(item.firstChild, problem.text);
            item.lastChild.hidden = !problem.table;
        });

        items.slice(shown.length).forEach(item => item.remove());
    }

    /* agents and relays that have come and gone, for those who do not see */

    tellChanges(status) {
        const up = new Map();
        const reached = new Set(status.relays.filter(r => r.state === 'up')
            .map(r => r.host));

        const tell = (id, name, is) => up.set([ name, ...id ].join('\0'),
            { name, is });

        for (const a of status.agents) {
            tell([ a.role, a.name, a.group, a.key ],
                `agent ${visible(a.name) || visible(a.comment)}`, a.up);
        }

        /* one of its addresses is enough */

        for (const { host } of status.relays) {
            tell([], `relay ${visible(host)}`, reached.has(host));
        }

        const changes = { up: new Set(), down: new Set() };

        for (const [ id, { name, is } ] of up) {
            const was = this.up ? this.up.get(id)?.is : is;

            if (was !== is && (is || was !== undefined)) {
                changes[is ? 'up' : 'down'].add(name);
            }
        }

        const text = [ 'down', 'up' ].filter(way => changes[way].size)
            .map(way => `${names([ ...changes[way] ])} ${way}`).join('; ');

        if (text) this.announce(text);
        this.up = up;
    }


    /* search, filters and orders are in the address, to be kept and sent */

    readAddress() {
        const given = new URLSearchParams(location.hash.slice(1));

        this.parts.search.value = given.get('find') || '';

        for (const [ id, table ] of this.tables) {
            const [ , minus, sort ] = /^(-?)(.*)$/s.exec(
                given.get(`${id}.sort`) || '');
            const filter = given.get(`${id}.show`) || '';

            if (table.kind.columns.some(c => c.id === sort)) {
                table.sort = sort;
                table.descends = minus === '-';
            }

            if (Object.hasOwn(table.kind.filters || {}, filter)) {
                table.filter = filter;
            }

            table.words = this.parts.search.value.toLowerCase().split(/\s+/)
                .filter(Boolean);
        }
    }

    writeAddress() {
        const kept = new URLSearchParams();

        if (this.parts.search.value) kept.set('find', this.parts.search.value);

        for (const [ id, { kind, sort, descends, filter } ] of this.tables) {
            const usual = kind.sort || kind.columns[0].id;

            if (sort !== usual || descends) {
                kept.set(`${id}.sort`, (descends ? '-' : '') + sort);
            }

            if (filter) kept.set(`${id}.show`, filter);
        }

        const text = String(kept);

        history.replaceState(null, '', text ? `#${text}` : location.pathname
            + location.search);
    }
}


/* settings; a browser may forbid to keep them */

function stored(name) {
    try {
        return localStorage.getItem(`trp ${name}`);
    } catch {
        return null;
    }
}


function store(name, value) {
    try {
        localStorage.setItem(`trp ${name}`, value);
    } catch {
        /* for this time only, then */
    }
}


const page = new Page();
