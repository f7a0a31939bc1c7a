'use strict';

/*
 * A table of rows of one kind: searched, filtered, sorted, shown in pages.
 *
 * A column has an id, a label, and
 *     value(row)      by which it is sorted: a number or a string
 *     text(row)       what is shown, by default value(row)
 *     draw(place, row)   does more than to set the text
 *     number          true: aligned as a number, the largest first
 *     slim            true: a long text that wraps early
 * A row is { id, data, history, hay }.
 *
 * Elements of rows are kept from one update to the next, so that focus,
 * selection and a screen reader's place stay.
 */

const page_rows = 50;

/* roles are named, because cards on a phone would lose them */

class Table {
    constructor(kind, changed) {
        this.kind = kind;
        this.changed = changed;
        this.sort = kind.sort || kind.columns[0].id;
        this.descends = false;
        this.filter = '';
        this.page = 0;
        this.words = [];
        this.rows = [];
        this.order = [];
        this.lines = new Map();
        this.open = new Map();
        this.build();
    }

    build() {
        const { id, title, columns, filters } = this.kind;

        this.total = el('span', { 'class': 'total' });
        this.caption = el('h2', { id: `${id}-title` }, title, ' ', this.total);
        this.tools = el('div', { 'class': 'tools' });

        if (filters) this.tools.append(this.choice('Show',
            Object.entries(filters).map(([ key, { label } ]) => [ key, label ]),
            `${id}-filter`, value => this.refilter(value)));

        this.tools.append(this.choice('Sort by', columns.map(c =>
            [ c.id, c.label ]), `${id}-sort`, value => this.resort(value, false),
            'narrow'));
        this.tools.append(this.turn = el('button', {
            type: 'button', 'class': 'narrow' }));
        this.turn.addEventListener('click', () =>
            this.resort(this.sort, !this.descends));

        this.heads = columns.map(c => {
            const button = el('button', { type: 'button' }, c.label,
                el('span', { 'class': 'arrow', 'aria-hidden': 'true' }));
            const head = el('th', { scope: 'col', role: 'columnheader',
                'class': c.number ? 'number' : 'text' }, button);

            if (c.title) head.setAttribute('title', c.title);
            button.addEventListener('click', () => this.resort(c.id,
                this.sort === c.id ? !this.descends : Boolean(c.number)));
            return head;
        });

        this.body = el('tbody', { role: 'rowgroup' });
        this.grid = el('table', { role: 'table', 'class': id,
            'aria-labelledby': `${id}-title` },
            el('thead', { role: 'rowgroup' },
                el('tr', { role: 'row' }, ...this.heads)), this.body);
        this.region = el('div', { 'class': 'scroll', role: 'region',
            tabindex: '0', 'aria-labelledby': `${id}-title` }, this.grid);
        this.empty = el('p', { 'class': 'empty' });
        this.pager = this.buildPager();
        this.element = el('section', { id, 'aria-labelledby': `${id}-title` },
            this.caption, this.tools, this.region, this.empty, this.pager);
        this.element.hidden = true;
    }

    choice(label, options, id, code, style = '') {
        const select = el('select', { id });

        for (const [ value, text ] of options) {
            select.append(el('option', { value }, text));
        }

        select.addEventListener('change', () => code(select.value));
        return el('span', { 'class': style },
            el('label', { 'for': id }, label), ' ', select);
    }

    buildPager() {
        const step = (label, by) => {
            const button = el('button', { type: 'button' }, label);

            button.addEventListener('click', () => {
                this.page += by;
                this.render();
                this.region.scrollIntoView({ block: 'nearest' });
            });
            return button;
        };

        this.previous = step('Previous', -1);
        this.next = step('Next', 1);
        this.place = el('span', { 'class': 'place' });

        return el('nav', { 'class': 'pager',
            'aria-label': `Pages of ${this.kind.title}` },
            this.previous, this.place, this.next);
    }

    resort(id, descends) {
        this.sort = id;
        this.descends = descends;
        this.restart();
        this.changed();
    }

    refilter(value) {
        this.filter = value;
        this.restart();
        this.changed();
    }

    search(words) {
        this.words = words;
        this.restart();
    }

    restart() {
        this.page = 0;
        this.held = false;
        this.arrange();
        this.render();
    }

    /* new rows; while somebody points at the table, they stay where they are */

    update(rows) {
        this.rows = rows;
        this.held = this.body.matches(':hover')
            || this.body.contains(document.activeElement);
        this.arrange();
        this.render();
    }

    matches(row) {
        const filter = this.kind.filters && this.kind.filters[this.filter];

        return (!filter || !filter.test || filter.test(row.data))
            && this.words.every(word => row.hay.includes(word));
    }

    arrange() {
        const column = this.kind.columns.find(c => c.id === this.sort)
            || this.kind.columns[0];
        const found = this.rows.filter(row => this.matches(row));
        const places = this.held
            ? new Map(this.order.map((row, i) => [ row.id, i ])) : new Map();
        const sign = this.descends ? -1 : 1;

        const keyed = found.map(row => ({ row, value: column.value(row),
            place: places.has(row.id) ? places.get(row.id) : places.size }));

        keyed.sort((a, b) => a.place - b.place
            || sign * compare(a.value, b.value)
            || (a.row.id < b.row.id ? -1 : 1));

        this.order = keyed.map(({ row }) => row);
    }

    render() {
        const all = this.order.length;
        const last = Math.max(0, Math.ceil(all / page_rows) - 1);

        this.page = Math.min(Math.max(0, this.page), last);

        const from = this.page * page_rows;
        const rows = this.order.slice(from, from + page_rows);

        this.element.hidden = this.rows.length === 0;
        this.heading(all);
        this.pager.hidden = last === 0;
        this.previous.disabled = this.page === 0;
        this.next.disabled = this.page === last;
        setText(this.place, `${count(from + 1)} to `
            + `${count(from + rows.length)} of ${count(all)}`);
        this.empty.hidden = all > 0;
        this.region.hidden = all === 0;
        setText(this.empty, 'Nothing matches.');
        this.grid.setAttribute('aria-rowcount', String(all + 1));
        this.place_rows(rows, from);
    }

    heading(found) {
        const all = this.rows.length;

        setText(this.total, found === all ? count(all)
            : `${count(found)} of ${count(all)}`);
        setText(this.turn, this.descends ? 'Descending' : 'Ascending');

        this.kind.columns.forEach((c, i) => {
            const order = c.id !== this.sort ? 'none'
                : this.descends ? 'descending' : 'ascending';

            if (this.heads[i].getAttribute('aria-sort') !== order) {
                this.heads[i].setAttribute('aria-sort', order);
            }
        });

        for (const [ name, value ] of [ [ 'sort', this.sort ],
            [ 'filter', this.filter ] ])
        {
            const select = this.tools.querySelector(`#${this.kind.id}-${name}`);
            if (select && select.value !== value) select.value = value;
        }
    }

    place_rows(rows, from) {
        const focus = document.activeElement;
        const wanted = new Set(rows.map(row => row.id));

        for (const [ id, line ] of this.lines) {
            if (wanted.has(id)) continue;

            line.remove();
            this.lines.delete(id);
            this.close(id);
        }

        let at = this.body.firstChild;

        const put = element => {
            if (element === at) {
                at = at.nextSibling;
            } else {
                this.body.insertBefore(element, at);
            }
        };

        rows.forEach((row, i) => {
            const line = this.line(row);

            line.setAttribute('aria-rowindex', String(from + i + 2));
            put(line);

            const detail = this.open.get(row.id);

            if (detail) {
                detail.update(row);
                put(detail.element);
            }
        });

        if (this.body.contains(focus) && focus !== document.activeElement) {
            focus.focus({ preventScroll: true });
        }
    }

    line(row) {
        let line = this.lines.get(row.id);

        if (!line) {
            line = el('tr', { role: 'row' }, ...this.kind.columns.map((c, i) =>
                el(c.heads ? 'th' : 'td', {
                    role: c.heads ? 'rowheader' : 'cell',
                    'class': c.number ? 'number' : 'text',
                    'data-label': c.label,
                }, c.heads ? this.opener(row.id)
                    : el('span', c.slim ? { 'class': 'slim' } : {}))));

            for (const head of line.querySelectorAll('th')) {
                head.setAttribute('scope', 'row');
            }

            this.lines.set(row.id, line);
        }

        this.kind.columns.forEach((c, i) => {
            const place = line.children[i].firstChild;

            if (c.draw) return c.draw(place, row);

            setText(place, c.text ? c.text(row)
                : visible(c.value(row)) || none);
        });

        return line;
    }

    /* the button that shows all there is to know of a row */

    opener(id) {
        const button = el('button', { type: 'button', 'class': 'opener',
            'aria-expanded': 'false' });

        button.addEventListener('click', () => {
            if (this.open.has(id)) {
                this.close(id);
            } else {
                this.open.set(id, new Detail(this.kind));
                button.setAttribute('aria-expanded', 'true');
            }

            this.render();
        });

        return button;
    }

    close(id) {
        const detail = this.open.get(id);
        const line = this.lines.get(id);

        if (!detail) return;

        detail.element.remove();
        this.open.delete(id);

        if (line) {
            line.querySelector('.opener').setAttribute('aria-expanded', 'false');
        }
    }
}


/* absent values are the smallest ones */

function compare(a, b) {
    if (typeof a === 'string' && typeof b === 'string') {
        return collator.compare(a, b);
    }

    const x = Number.isFinite(a) ? a : -Infinity;
    const y = Number.isFinite(b) ? b : -Infinity;

    return x === y ? 0 : x < y ? -1 : 1;
}


/* a row below a row, with a chart and all fields, known or not */

class Detail {
    constructor(kind) {
        this.list = el('dl', {});
        this.fields = new Map();
        this.cell = el('td', { role: 'cell',
            colspan: String(kind.columns.length) });
        this.element = el('tr', { role: 'row', 'class': 'detail' }, this.cell);

        if (kind.traffic) {
            this.chart = new Chart(600, 80);
            this.legend = new Legend();
            this.cell.append(el('div', { 'class': 'large' },
                this.legend.element, this.chart.element));
        }

        this.cell.append(this.list);
    }

    update(row) {
        if (this.chart) {
            this.chart.draw(row.now.history, row.history);
            this.legend.update(row.now.history, row.history);
        }

        for (const [ field, value ] of Object.entries(row.data)) {
            let text = this.fields.get(field);

            if (!text) {
                text = el('dd', {});
                this.fields.set(field, text);
                this.list.append(el('div', {},
                    el('dt', {}, words(field)), text));
            }

            setText(text, fieldText(field, value, row.now.time));
        }
    }
}


const times = [ 'since', 'started', 'lost', 'next', 'failed_at',
    'certificate_expires' ];

function fieldText(field, value, now) {
    if (value === null || value === '') return none;
    if (value === true) return 'yes';
    if (value === false) return 'no';
    if (typeof value === 'object') return codes(value) || none;
    if (typeof value !== 'number') return visible(value);
    if (times.includes(field)) return `${moment(value)} (${ago(value, now)})`;

    return field.endsWith('_bytes_total') ? bytes(value)
        : field === 'pid' ? String(value) : count(value);
}


/* what a chart says, in words */

class Legend {
    constructor() {
        this.received = el('span', {});
        this.sent = el('span', {});
        this.most = el('span', {});
        this.element = el('p', { 'class': 'legend' },
            el('span', { 'class': 'key received' }, 'received ',
                this.received), ' ',
            el('span', { 'class': 'key sent' }, 'sent ', this.sent), ' ',
            el('span', {}, 'in 5 minutes at most ', this.most));
    }

    update(history, row) {
        setText(this.received, rate(history.rate(row, 0)));
        setText(this.sent, rate(history.rate(row, 1)));
        setText(this.most, rate(history.largest(row)));
    }
}
