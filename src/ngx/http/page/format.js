'use strict';

/*
 * Values as text, and text as elements.  What comes from the server becomes
 * text nodes only, never markup, and what would change the text around it is
 * shown as its code.
 */

const numbers = new Intl.NumberFormat('en');
const collator = new Intl.Collator('en', { numeric: true });
const none = '–';


/* an element; attributes are ours, children are elements or texts */

function el(name, attributes = {}, ...children) {
    const space = [ 'svg', 'path', 'line' ].includes(name)
        ? 'http://www.w3.org/2000/svg' : 'http://www.w3.org/1999/xhtml';
    const element = document.createElementNS(space, name);

    for (const [ key, value ] of Object.entries(attributes)) {
        element.setAttribute(key, value);
    }

    element.append(...children);
    return element;
}


/* changes the text only if it is another one: less work, quiet for readers */

function setText(element, text) {
    if (element.textContent !== text) element.textContent = text;
}


function setTitle(element, text) {
    if (element.title !== text) element.title = text;
}


/*
 * Controls, marks of direction, what has no width, heaps of accents: a name must
 * not look like another one, or change what stands beside it.
 */

const unseen = /[\p{C}\p{Zl}\p{Zp}\p{DI}\u2800]|(?! )\p{Zs}|(?<=\p{M}{2})\p{M}/gu;

function visible(value) {
    if (value === null || value === undefined) return '';

    return String(value).replace(unseen, c =>
        '\\u{' + c.codePointAt(0).toString(16) + '}');
}


function count(value) {
    return Number.isFinite(value) ? numbers.format(value) : none;
}


function bytes(value) {
    if (!Number.isFinite(value)) return none;

    let unit = 0;

    while (value >= 999.5 && unit < 5) {
        value /= 1000;
        unit++;
    }

    return (unit && value < 9.95 ? value.toFixed(1) : Math.round(value))
        + ' ' + [ 'B', 'kB', 'MB', 'GB', 'TB', 'PB' ][unit];
}


function rate(value) {
    return Number.isFinite(value) ? bytes(value) + '/s' : none;
}


/* the two largest units of a time in seconds */

function duration(seconds) {
    const units = [ [ 86400, 'd' ], [ 3600, 'h' ], [ 60, 'min' ], [ 1, 's' ] ];
    let rest = Math.max(0, Math.round(seconds));
    const first = Math.max(0, units.findIndex(([ size ]) => rest >= size));

    if (rest === 0) return '0 s';

    return units.slice(first, first + 2).map(([ size, name ]) => {
        const n = Math.floor(rest / size);
        rest -= n * size;
        return n ? `${n} ${name}` : '';
    }).filter(Boolean).join(' ');
}


function ago(time, now) {
    if (!time) return none;
    return time > now + 1 ? `in ${duration(time - now)}`
        : `${duration(now - time)} ago`;
}


function moment(time) {
    return time ? new Date(time * 1000).toLocaleString('sv') : '';
}


/* an object of counts by code, in words: the largest first */

function codes(value) {
    return Object.entries(value || {})
        .sort((a, b) => b[1] - a[1] || collator.compare(a[0], b[0]))
        .map(([ code, n ]) => `${visible(code)} ${count(n)}`).join(', ');
}


function sum(value) {
    return Object.values(value || {}).reduce((a, b) => a + b, 0);
}


/* the name of a field in words */

function words(field) {
    return visible(field).replace(/(?:_bytes)?_total$/, ' so far')
        .replace(/_/g, ' ');
}
